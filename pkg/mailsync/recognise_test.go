package mailsync_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// counted counts the messages whose headers are read.
type counted struct {
	mailbox.Session
	read *int
}

func (c counted) Metas(ctx context.Context, set mailbox.UIDSet, each func(mailbox.Meta) error) error {
	return c.Session.Metas(ctx, set, func(m mailbox.Meta) error {
		*c.read++
		return each(m)
	})
}

func counting(open mailbox.Opener, read *int) mailbox.Opener {
	return func(ctx context.Context) (mailbox.Session, error) {
		s, err := open(ctx)
		return counted{s, read}, err
	}
}

// mortal dies in the place of one of its commits.
type mortal struct {
	of   mailsync.Records
	left int
	die  context.CancelCauseFunc
}

func (m *mortal) Records(ctx context.Context) ([]migration.FolderRecord, error) {
	return m.of.Records(ctx)
}

func (m *mortal) Commit(ctx context.Context, w migration.Window) error {
	if m.left--; m.left <= 0 {
		m.die(errCrash)
		return errCrash
	}
	return m.of.Commit(ctx, w)
}

// After a kill a pass looks at what was under way, not at the whole of a large folder:
// neither at what is recorded nor at all that is left. Exact copies of one message in
// both parts stay as many as they were.
func TestAfterAKillALargeFolderIsNotReadAnew(t *testing.T) {
	const messages, window = 600 - 5, 3
	for _, newest := range []bool{false, true} {
		for _, at := range []int{3, 40, 120} {
			t.Run(fmt.Sprintf("newest first %v, killed at commit %d", newest, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPair(t)
					for i := range 600 {
						p.source.Deliver("INBOX", letter(fmt.Sprint(i%200)), day)
					}
					p.source.Expunge("INBOX", 1, 20, 300, 301, 590) // UIDs have gaps
					ctx, cancel := context.WithCancelCause(t.Context())
					job := mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: &mortal{p.records, at, cancel}, Window: window, NewestFirst: newest}
					if _, err := mailsync.Run(ctx, job); !errors.Is(err, errCrash) {
						t.Fatal(err)
					}
					var source, target int
					job.Source, job.Target, job.Records = counting(p.source.Open, &source), counting(p.target.Open, &target), p.records
					out, err := mailsync.Run(t.Context(), job)
					if c := out.Tally; err != nil || c.Seen != messages || c.Unchanged+c.Copied+c.Adopted != messages || c.Adopted == 0 || c.Surplus != 0 {
						t.Fatalf("%+v, %v", c, err)
					}
					t.Logf("%d headers read at the source, %d at the target; adopted %d, copied %d", source, target, out.Tally.Adopted, out.Tally.Copied)
					if most := 40 * window; source > most || target > most {
						t.Errorf("%d headers were read at the source, %d at the target; want at most %d each", source, target, most)
					}
					time.Sleep(time.Minute) // in the bubble
					p.same()
					if out := p.mustRun(); out.Tally.Copied+out.Tally.Adopted != 0 {
						t.Errorf("one more pass found work: %+v", out.Tally)
					}
				})
			})
		}
	}
}

// What somebody else has put into the target meanwhile may be a message that is far from
// being copied: it is recognised as that one, also where one that is copied next differs
// from it in nothing but its body.
func TestAfterAKillTheTailMayHoldWhatIsFarOff(t *testing.T) {
	for name, near := range map[string]string{"nothing is like it": "", "one that is copied next is like it": "the body, but not it"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				for i := range 300 {
					switch {
					case i == 250:
						p.source.Deliver("INBOX", letter("far off", "the body, and just it"), day)
					case i == 20 && near != "":
						p.source.Deliver("INBOX", letter("far off", near+"!"), day)
					default:
						p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
					}
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				job := mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: &mortal{p.records, 3, cancel}, Window: 3}
				if _, err := mailsync.Run(ctx, job); !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				p.target.Expunge("INBOX", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
				p.target.Deliver("INBOX", letter("far off", "the body, and just it"), day)
				if near == "" {
					p.target.Deliver("INBOX", letter("2"), day)
				}
				p.job.Window = 3
				p.mustRun()
				p.same()
			})
		})
	}
}
