package mailsync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// A commit that failed may or may not be stored: what it held goes with the next. Each of
// the pass's commits fails in its turn.
func TestRecordsThatFailForAMoment(t *testing.T) {
	at := 1
	for more := true; more; at++ {
		for _, stored := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				for i := range 12 {
					p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
				}
				p.mustRun()
				p.source.Folder("INBOX").Validity++ // the stored journal is void
				for i := range 9 {
					p.source.Deliver("INBOX", letter(fmt.Sprint("new", i)), day)
				}
				b := &breaking{kept: p.records, at: at, stored: stored}
				p.records, p.job.Window = b, 3
				_, err := p.run()
				more = b.n >= at
				p.records = b.kept
				n := int64(22)
				if err == nil { // then all of it is recorded: what was sent is not found anew
					p.source.Deliver("INBOX", letter("next"), day)
					tallyIs(t, p.mustRun(), migration.Tally{Seen: n, Unchanged: n - 1, Copied: 1})
					n++
				}
				p.source.Deliver("INBOX", letter("later"), day)
				a := &accident{at: 3, crash: true, kill: func(error) {}, records: p.records}
				_, _ = mailsync.Run(t.Context(), mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: a, Window: 3})
				p.mustRun()
				p.same()
				tallyIs(t, p.mustRun(), migration.Tally{Seen: n, Unchanged: n})
			})
		}
	}
	if at < 8 {
		t.Errorf("only %d commits", at-2)
	}
}

// breaking fails once.
type breaking struct {
	kept   mailsync.Records
	n, at  int
	stored bool
}

func (b *breaking) Records(ctx context.Context) ([]migration.FolderRecord, error) {
	return b.kept.Records(ctx)
}

func (b *breaking) Commit(ctx context.Context, w migration.Window) error {
	if b.n++; b.n != b.at {
		return b.kept.Commit(ctx, w)
	}
	if b.stored {
		if err := b.kept.Commit(ctx, w); err != nil {
			return err
		}
	}
	return errors.New("the database is locked")
}

// An equal message is adopted only where the target holds one more than is known to
// be delivered there.
func TestTwinOfADeliveryIsCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.target.Caps.UIDPlus = false
		p.job.NewestFirst, p.job.Window = true, 2
		for range 600 { // two pieces: the later half goes first
			p.source.Deliver("INBOX", letter("twin"), day)
		}
		p.job.Yield = func() bool { return true }
		if out := p.mustRun(); !out.Yielded {
			t.Fatal("did not yield")
		}
		p.job.Yield = nil
		p.mustRun()
		p.same()
	})
}

// What the source does not deliver is noticed also where as many messages are gone
// as are withheld.
func TestWithheldIsNoticedBesideExpunged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _, run := oddPair(t)
		for i := range 10 {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
		}
		p.mustRun()
		p.source.Expunge("INBOX", 2, 3)
		for i := range 5 {
			p.source.Deliver("INBOX", letter(fmt.Sprint("new", i)), day)
		}
		for _, m := range p.source.Folder("INBOX").Messages[9:11] {
			m.Withheld = true
		}
		out, err := run()
		if err != nil {
			t.Fatal(err)
		}
		tallyIs(t, out, migration.Tally{Seen: 13, Unchanged: 8, Copied: 3, Skipped: 2})
	})
}

// A large message goes through without being held: where the source never delivers
// the whole of it, it is left out, and the pass ends.
func TestLargeMessageThatAlwaysTears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, source, _, run := oddPair(t)
		for i := range 9 {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
			if i == 4 {
				p.source.Deliver("INBOX", letter("large", string(bytes.Repeat([]byte("x"), 700<<10))), day)
			}
		}
		source.tearAlways = func(m mailbox.Message) bool { return m.Size > 512<<10 }
		out, err := run()
		if err != nil {
			t.Fatal(err)
		}
		tallyIs(t, out, migration.Tally{Seen: 10, Copied: out.Tally.Copied, Adopted: 9 - out.Tally.Copied, Skipped: 1})
		if n := len(p.target.Messages("INBOX")); n != 9 || out.Items[0].Code != migration.MessageUnreadable {
			t.Errorf("%d messages at the target, items %+v", n, out.Items)
		}
	})
}

// A server that tells no numbers in a listing shows another UIDVALIDITY only when the
// folder is opened.
func TestRenumberedWithoutStatus(t *testing.T) {
	for _, side := range []string{"source", "target"} {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, source, target, run := oddPair(t)
				source.noStatus, target.noStatus = side == "source", side == "target"
				for i := range 9 {
					p.source.Deliver("Sent", letter(fmt.Sprint(i)), day)
				}
				if _, err := run(); err != nil {
					t.Fatal(err)
				}
				map[string]*mailboxtest.Memory{"source": p.source, "target": p.target}[side].Folder("Sent").Validity++
				p.source.Deliver("Sent", letter("new"), day)
				if _, err := run(); err != nil {
					t.Fatal(err)
				}
				p.same()
			})
		})
	}
}

// Mail that arrives between two looks at a folder without numbers is for the next pass.
func TestArrivalBetweenLooksWithoutStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, source, _, run := oddPair(t)
		source.noStatus, p.target.Caps.UIDPlus = true, false // placing looks twice
		for i := range 9 {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
		}
		arrived := false
		p.target.Step = func(op string) mailboxtest.Fate {
			if op == "answer" && !arrived {
				arrived = true
				p.source.Deliver("INBOX", letter("between"), day)
			}
			return mailboxtest.Done
		}
		for range 2 {
			if _, err := run(); err != nil {
				t.Fatal(err)
			}
		}
		p.same()
	})
}

// A folder that nobody has opened yet may have one UIDVALIDITY for whoever asks and
// another for who opens it first; one that changes again and again is an error.
func TestValidityBetweenAskingAndOpening(t *testing.T) {
	for times, fails := range map[int]bool{1: false, 100: true} {
		synctest.Test(t, func(t *testing.T) {
			p, _, _, run := oddPair(t)
			p.source.Deliver("INBOX", letter("one"), day)
			p.target.Step = func(op string) mailboxtest.Fate {
				if op == "select" && times > 0 {
					times--
					p.target.Folder("INBOX").Validity++
				}
				return mailboxtest.Done
			}
			if _, err := run(); (err != nil) != fails {
				t.Errorf("changed %d times more: %v", times, err)
			}
			if !fails {
				p.same()
			}
		})
	}
}

// A takeover of a folder that is renumbered still waits for what is under way.
func TestRenumberedWhileUnsure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		for i := range 9 {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		p.target.Step = func(op string) mailboxtest.Fate {
			if op != "append" {
				return mailboxtest.Done
			}
			cancel(errCrash)
			return mailboxtest.Late
		}
		_, _ = mailsync.Run(ctx, mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: p.records})
		p.target.Step = nil
		p.source.Folder("INBOX").Validity++
		p.mustRun()
		time.Sleep(time.Minute) // in the bubble
		p.same()
	})
}

// Asked to yield, a pass reads no further than it must.
func TestYieldEndsTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		for i := range 3000 {
			p.source.Deliver([]string{"INBOX", "Sent"}[min(1, i/20)], letter(fmt.Sprint(i)), day)
		}
		read := 0
		p.source.Step = func(op string) mailboxtest.Fate {
			if op == "messages message" {
				read++
			}
			return mailboxtest.Done
		}
		p.job.Yield, p.job.Window = func() bool { return true }, 10
		if out := p.mustRun(); !out.Yielded {
			t.Fatal("did not yield")
		}
		if read > 1000 {
			t.Errorf("%d messages were read after the pass was asked to yield", read)
		}
	})
}

// A message at which the target hangs up each time is left out, and the rest goes on.
func TestMessageThatMakesTheTargetHangUp(t *testing.T) {
	for _, multi := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p, _, target, run := oddPair(t)
			p.target.Caps.MultiAppend = multi
			for i := range 9 {
				p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
			}
			target.hangUp = func(body []byte) bool { return bytes.Contains(body, []byte("<4@")) }
			out, err := run()
			if err != nil {
				t.Fatal(err)
			}
			if n := len(p.target.Messages("INBOX")); n != 8 || len(out.Items) != 1 || out.Items[0].Code != migration.MessageRejected {
				t.Errorf("%d messages at the target, items %+v", n, out.Items)
			}
		})
	}
}

// Without a Message-ID nothing but the contents tells one scan from the next.
func TestMessagesWithoutIDAreComparedWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.target.Deliver("INBOX", []byte("Subject: scan\r\n\r\npage 1\r\n"), day)
		p.source.Deliver("INBOX", []byte("Subject: scan\r\n\r\npage 2\r\n"), day)
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 1, Copied: 1})
	})
}

// silent hangs up instead of sending one message.
type silent struct {
	mailbox.Session
	at mailbox.UID
}

func (s silent) Messages(ctx context.Context, set mailbox.UIDSet, each func(mailbox.Message) error) error {
	return s.Session.Messages(ctx, set, func(m mailbox.Message) error {
		if m.UID == s.at {
			return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, migration.Source, "cut", io.ErrUnexpectedEOF)
		}
		return each(m)
	})
}

// A message before which the source hangs up each time is left out, wherever it is,
// and the rest goes on.
func TestMessageBeforeWhichTheSourceHangsUp(t *testing.T) {
	for _, at := range []mailbox.UID{1, 5, 9} {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t)
			for i := range 9 {
				p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
			}
			source := func(ctx context.Context) (mailbox.Session, error) {
				s, err := p.source.Open(ctx)
				return silent{s, at}, err
			}
			out, err := mailsync.Run(t.Context(), mailsync.Job{Source: source, Target: p.target.Open, Records: p.records})
			if err != nil {
				t.Fatal(err)
			}
			tallyIs(t, out, migration.Tally{Seen: 9, Copied: 8, Skipped: 1})
			if it := out.Items[0]; it.UID != uint32(at) || it.Code != migration.MessageUnreadable {
				t.Errorf("left out %+v, want uid %d", it, at)
			}
		})
	}
}

// refusing is a source that answers NO instead of delivering some messages, and of what
// was asked for with them delivers what comes before.
type refusing struct {
	mailbox.Session
	bad func(mailbox.UID) bool
}

func (s refusing) Messages(ctx context.Context, set mailbox.UIDSet, each func(mailbox.Message) error) error {
	for u := range set.All() {
		if s.bad(u) {
			return migration.NewFault(migration.MessageUnreadable, migration.ScopeMessage, migration.Source, "NO [SERVERBUG] Internal error occurred.", nil)
		}
		if err := s.Session.Messages(ctx, mailbox.NewUIDSet(u), each); err != nil {
			return err
		}
	}
	return nil
}

// A message that the source refuses to deliver is left out alone. It is offered again by
// no later pass but one that was told that the cause is mended.
func TestMessageThatTheSourceRefuses(t *testing.T) {
	for name, bad := range map[string][]mailbox.UID{"the first": {1}, "in the middle": {5}, "the last": {9}, "some": {2, 3, 9}, "all": {1, 2, 3, 4, 5, 6, 7, 8, 9}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				for i := range 9 {
					p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
				}
				ill, asked := true, 0
				job := mailsync.Job{Target: p.target.Open, Records: p.records, Source: func(ctx context.Context) (mailbox.Session, error) {
					s, err := p.source.Open(ctx)
					return refusing{s, func(u mailbox.UID) bool {
						asked++
						return ill && slices.Contains(bad, u)
					}}, err
				}}
				n := int64(len(bad))
				out, err := mailsync.Run(t.Context(), job)
				if err != nil {
					t.Fatal(err)
				}
				tallyIs(t, out, migration.Tally{Seen: 9, Copied: 9 - n, Skipped: n})
				for _, it := range out.Items {
					if it.Code != migration.MessageUnreadable || !slices.Contains(bad, mailbox.UID(it.UID)) || !strings.Contains(it.Reason, "NO [SERVERBUG]") {
						t.Errorf("left out %+v, want %v", it, bad)
					}
				}
				if asked > 60 {
					t.Errorf("the source was asked for %d messages, to deliver %d of 9", asked, 9-n)
				}
				ill = false
				out, err = mailsync.Run(t.Context(), job)
				if err != nil {
					t.Fatal(err)
				}
				tallyIs(t, out, migration.Tally{Seen: 9, Unchanged: 9 - n, Skipped: n})
				job.Again = true
				if out, err = mailsync.Run(t.Context(), job); err != nil {
					t.Fatal(err)
				}
				tallyIs(t, out, migration.Tally{Seen: 9, Unchanged: 9 - n, Copied: n})
				p.same()
			})
		})
	}
}

// A source that delivers nothing at all is no matter of single messages: the folder fails,
// and is tried again by the next pass.
func TestASourceThatRefusesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		for i := range 400 {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
		}
		ill := true
		job := mailsync.Job{Target: p.target.Open, Records: p.records, Source: func(ctx context.Context) (mailbox.Session, error) {
			s, err := p.source.Open(ctx)
			return refusing{s, func(mailbox.UID) bool { return ill }}, err
		}}
		out, err := mailsync.Run(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		if out.Tally.Skipped > 100 || out.Tally.Failed != 400-out.Tally.Skipped {
			t.Errorf("%+v", out.Tally)
		}
		ill = false // and nothing was noted: no message was written after which to note it
		if out, err = mailsync.Run(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		tallyIs(t, out, migration.Tally{Seen: 400, Copied: 400})
		p.same()
	})
}

// A message that the target calls too large, without having told its limit, is not
// offered again by every pass.
func TestTooLargeForAnUnknownLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.source.Deliver("INBOX", letter("large"), day)
		p.target.Refuse = func(mailbox.Message, []byte) error {
			return migration.NewFault(migration.MessageTooLarge, migration.ScopeMessage, migration.Target, "NO [TOOBIG]", nil)
		}
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 1, Skipped: 1})
		var appends atomic.Int32
		p.target.Step = func(op string) mailboxtest.Fate {
			if op == "add" {
				appends.Add(1)
			}
			return mailboxtest.Done
		}
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 1, Skipped: 1})
		if n := appends.Load(); n != 0 {
			t.Errorf("it was offered %d times again", n)
		}
		p.target.Refuse = nil
		p.job.MaxMessageSize = 1 << 20
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 1, Copied: 1})
	})
}
