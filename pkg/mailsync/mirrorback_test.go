package mailsync_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestWhatWasMirroredComesBack: what was deleted because the source did not have it is
// there again, and comes to the target again, once, whatever was set meanwhile.
func TestWhatWasMirroredComesBack(t *testing.T) {
	first4 := func(_ *pairOf, f *mailboxtest.MemoryFolder) { f.Messages = f.Messages[4:] }
	keep := func(p *pairOf) { p.job.Mirror = false }
	tests := []struct {
		name   string
		before func(p *pairOf)                              // it goes
		goes   func(p *pairOf, f *mailboxtest.MemoryFolder) // of Work
		then   func(p *pairOf)                              // it comes back
	}{
		{"all of a folder", nil, func(_ *pairOf, f *mailboxtest.MemoryFolder) { f.Messages = nil }, nil},
		{"a folder", nil, func(p *pairOf, _ *mailboxtest.MemoryFolder) { p.source.Delete("Work") }, nil},
		{"a folder, and nothing is deleted any more", nil, func(p *pairOf, _ *mailboxtest.MemoryFolder) { p.source.Delete("Work") }, keep},
		{"some, and nothing is deleted any more", nil, first4, keep},
		{"one, and as many are gone", nil, func(_ *pairOf, f *mailboxtest.MemoryFolder) { f.Messages = f.Messages[1:] }, func(p *pairOf) {
			p.source.Expunge("Work", p.source.Deliver("Work", letter("new"), day))
		}},
		{"some, between new mail, and nothing is deleted any more", nil, first4, func(p *pairOf) {
			p.job.Mirror = false
			for i := range 6 {
				if u := p.source.Deliver("Work", letter(fmt.Sprint("new ", i)), day); i%2 == 0 {
					p.source.Expunge("Work", u)
				}
			}
		}},
		{"some, and only mail of a time is wanted", func(p *pairOf) {
			p.source.Deliver("Work", letter("old"), day)
			p.job.Since = day.Add(32 * time.Hour)
			p.mustRun()
		}, func(_ *pairOf, f *mailboxtest.MemoryFolder) {
			f.Messages = slices.Delete(slices.Clone(f.Messages), 4, 6)
		}, nil},
		{"some, of which a copy became its user's own", func(p *pairOf) { p.target.SetFlags("Work", 3, mailbox.Flagged) }, first4, nil},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := mirrored(t)
				if x.before != nil {
					x.before(p)
				}
				f := p.source.Folder("Work")
				all := slices.Clone(f.Messages)
				x.goes(p, f)
				if out := p.mustRun(); out.Tally.Deleted == 0 {
					t.Fatalf("%+v", out.Tally)
				}
				p.mustRun()
				if x.then != nil {
					x.then(p)
				}
				gone := slices.DeleteFunc(slices.Clone(all), func(m *mailboxtest.MemoryMessage) bool { return slices.Contains(f.Messages, m) })
				f.Messages = append(gone, f.Messages...)
				*p.source.Make("Work") = *f
				if p.source.Folder("Work").Messages == nil {
					p.source.Folder("Work").Messages = all
				}
				p.mustRun()
				for _, m := range all {
					if m.UID > 8 && m.Date.Before(p.job.Since) {
						continue // it was never carried
					}
					n := 0
					for _, have := range p.target.Messages("Work") {
						if slices.Equal(have.Body, m.Body) {
							n++
						}
					}
					if n != 1 {
						t.Errorf("message %d is at the target %d times", m.UID, n)
					}
				}
				writes := p.target.Writes
				if c := p.mustRun().Tally; p.target.Writes != writes {
					t.Errorf("one more pass found work: %+v", c)
				}
			})
		})
	}
}

// TestWhatComesBackInTheMiddle: mail that was gone is there again when some of its copies
// are deleted already. The rest stays, and what went is copied again.
func TestWhatComesBackInTheMiddle(t *testing.T) {
	p, all := manyGone(t)
	f := p.source.Folder("INBOX")
	p.target.Step = func(what string) mailboxtest.Fate {
		if what == "expunge" {
			f.Messages = slices.Clone(all)
		}
		return mailboxtest.Done
	}
	out, err := p.run()
	if migration.AsFault(err) == nil || migration.AsFault(err).Code != migration.SourceChanged || out.Tally.Deleted != 500 {
		t.Fatalf("%+v, %v; want SourceChanged after 500", out.Tally, err)
	}
	p.target.Step = nil
	if out := p.mustRun(); out.Tally.Copied != 500 {
		t.Errorf("%+v", out.Tally)
	}
	p.same()
}

// manyGone is a pair in step whose first 700 of 1,200 messages are gone at the source. It
// was asked about them, and they are confirmed.
func manyGone(t *testing.T) (*pairOf, []*mailboxtest.MemoryMessage) {
	p := newPair(t)
	for i := range 1200 {
		p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
	}
	p.mustRun()
	p.job.Mirror = true
	f := p.source.Folder("INBOX")
	all := slices.Clone(f.Messages)
	f.Messages = slices.Clone(all[700:])
	if out, err := p.run(); migration.AsFault(err) == nil || out.Tally.ToDelete != 700 {
		t.Fatalf("%+v, %v", out.Tally, err)
	}
	p.job.ConfirmedDeletions = 700
	return p, all
}

// TestACopyChangedWhileDeletionsRun is its user's: it was looked at before those before it
// were deleted.
func TestACopyChangedWhileDeletionsRun(t *testing.T) {
	p, _ := manyGone(t)
	p.target.Step = func(what string) mailboxtest.Fate {
		if what == "expunge" {
			p.target.SetFlags("INBOX", 650, mailbox.Flagged)
		}
		return mailboxtest.Done
	}
	if out := p.mustRun(); out.Tally.Deleted != 699 || out.Tally.KeptAtTarget != 1 || len(p.whose("649")) != 1 {
		t.Errorf("%+v, the copy is in %v", out.Tally, p.whose("649"))
	}
}

// TestAConfirmedPassThatBreaksGoesOn: what is left of what was confirmed is not asked about
// again.
func TestAConfirmedPassThatBreaksGoesOn(t *testing.T) {
	p, _ := manyGone(t)
	expunged := 0
	p.target.Step = func(what string) mailboxtest.Fate {
		if what == "expunge" {
			if expunged++; expunged == 2 {
				return mailboxtest.Undo
			}
		}
		return mailboxtest.Done
	}
	if out, err := p.run(); err == nil || out.Tally.Deleted != 500 {
		t.Fatalf("%+v, %v; want it broken after 500", out.Tally, err)
	}
	p.target.Step = nil
	if out := p.mustRun(); out.Tally.Deleted != 200 {
		t.Errorf("%+v", out.Tally)
	}
	p.same()
}

// TestWhatComesBackAfterADeath: a pass ends at each step, in the midst of its deletions too,
// and the source brings all of it back. Both are alike in the end: nothing that was deleted
// is believed to be there, and nothing that is there is left marked as deleted.
func TestWhatComesBackAfterADeath(t *testing.T) {
	for at, over := 1, false; !over; at++ {
		for _, crash := range []bool{true, false} {
			for _, fate := range []mailboxtest.Fate{mailboxtest.Undo, mailboxtest.Mute} {
				synctest.Test(t, func(t *testing.T) {
					p := mirrored(t)
					f := p.source.Folder("INBOX")
					all := slices.Clone(f.Messages)
					p.source.Expunge("INBOX", 3, 4, 9)
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					a := &accident{at: at, fate: fate, crash: crash, kill: cancel, records: p.records}
					p.source.Step, p.target.Step = a.step, a.step
					job := p.job
					job.Source, job.Target, job.Records = p.source.Open, p.target.Open, a
					_, _ = mailsync.Run(ctx, job)
					p.source.Step, p.target.Step = nil, nil
					f.Messages = all
					p.mustRun()
					if want, got := contents(p.source, false), contents(p.target, false); !slices.Equal(want, got) {
						t.Errorf("step %d, crash %v, fate %d:\n%s", at, crash, fate, difference(want, got))
					}
					over = a.steps < at
				})
			}
		}
	}
}

// TestAMessageWithAnOldUID that no pass has seen, of a source that was restored, is copied.
func TestAMessageWithAnOldUID(t *testing.T) {
	for _, mirror := range []bool{true, false} {
		p := mirrored(t)
		p.job.Mirror = mirror
		p.source.Deliver("Work", letter("old"), day)
		f := p.source.Folder("Work")
		all := slices.Clone(f.Messages)
		f.Messages = slices.Clone(all[:8])
		p.mustRun()
		f.Messages = all
		f.ModSeq++
		if out := p.mustRun(); out.Tally.Copied != 1 {
			t.Errorf("mirror %v: %+v", mirror, out.Tally)
		}
		p.same()
	}
}
