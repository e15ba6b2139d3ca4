package mailsync_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// mirrored is a pair in step, of 30 messages in INBOX, 8 in Work and 12 in Old, whose
// deletions are carried over from now on.
func mirrored(t *testing.T) *pairOf {
	p := newPair(t)
	for i := range 50 {
		folder := "INBOX"
		switch {
		case i >= 38:
			folder = "Old"
		case i >= 30:
			folder = "Work"
		}
		p.source.Deliver(folder, letter(fmt.Sprint(i)), day.Add(time.Duration(i)*time.Hour), mailbox.Seen)
	}
	p.mustRun()
	p.job.Mirror = true
	return p
}

// whose returns where a message's copies are at the target.
func (p *pairOf) whose(id string) (folders []string) {
	for _, name := range p.target.Names() {
		for _, m := range p.target.Messages(name) {
			if slices.Equal(m.Body, letter(id)) {
				folders = append(folders, name)
			}
		}
	}
	return folders
}

func span(from, to mailbox.UID) (out []mailbox.UID) {
	for u := from; u <= to; u++ {
		out = append(out, u)
	}
	return out
}

// TestDeletionsAreMirrored tells what is deleted, and that it is deleted once.
func TestDeletionsAreMirrored(t *testing.T) {
	tests := []struct {
		name string
		do   func(p *pairOf)
		want migration.Tally // of the pass after it
		same bool            // the mailboxes are alike then
	}{
		{"nothing is gone", func(*pairOf) {}, migration.Tally{Seen: 50, Unchanged: 50}, true},
		{"some messages", func(p *pairOf) { p.source.Expunge("INBOX", 3, 4, 9) }, migration.Tally{Seen: 47, Unchanged: 47, Deleted: 3}, true},
		{"the last one, and a new one comes", func(p *pairOf) {
			p.source.Expunge("INBOX", 30)
			p.source.Deliver("INBOX", letter("new"), day)
		}, migration.Tally{Seen: 50, Unchanged: 49, Copied: 1, Deleted: 1}, true},
		{"a small folder's, all of them", func(p *pairOf) { p.source.Expunge("Work", span(1, 8)...) }, migration.Tally{Seen: 42, Unchanged: 42, Deleted: 8}, true},
		{"those of a small folder that is deleted; the folder stays", func(p *pairOf) { p.source.Delete("Work") }, migration.Tally{Seen: 42, Unchanged: 42, Deleted: 8}, true},
		{"a folder is renamed", func(p *pairOf) { p.source.Rename("Old", "Older") }, migration.Tally{Seen: 50, Unchanged: 50}, true},
		{"a message is moved: its old copy goes", func(p *pairOf) { p.moveAt("INBOX", 3, "Work") }, migration.Tally{Seen: 50, Unchanged: 49, Copied: 1, Deleted: 1}, true},
		{"to a new folder", func(p *pairOf) { p.moveAt("INBOX", 3, "New") }, migration.Tally{Seen: 50, Unchanged: 49, Copied: 1, Deleted: 1}, true},
		{"its flag was changed, then it was deleted", func(p *pairOf) {
			p.source.SetFlags("INBOX", 5, mailbox.Seen, mailbox.Deleted)
			p.mustRun()
			p.source.Expunge("INBOX", 5)
		}, migration.Tally{Seen: 49, Unchanged: 49, Deleted: 1}, true},
		{"the target's user deleted it too", func(p *pairOf) { p.source.Expunge("INBOX", 5); p.target.Expunge("INBOX", 5) }, migration.Tally{Seen: 49, Unchanged: 49}, true},
		{"the target's user marked it as deleted too", func(p *pairOf) {
			p.source.Expunge("INBOX", 5)
			p.target.SetFlags("INBOX", 5, mailbox.Seen, mailbox.Deleted)
		}, migration.Tally{Seen: 49, Unchanged: 49, Deleted: 1}, true},
		{"the target's user changed a flag: the copy stays", func(p *pairOf) {
			p.source.Expunge("INBOX", 5, 6)
			p.target.SetFlags("INBOX", 5, mailbox.Seen, mailbox.Flagged)
		}, migration.Tally{Seen: 48, Unchanged: 48, Deleted: 1, KeptAtTarget: 1}, false},
		{"the target's user moved the copy: it stays", func(p *pairOf) {
			p.source.Expunge("INBOX", 5)
			p.target.Expunge("INBOX", 5)
			p.target.Deliver("Mine", letter("4"), day)
		}, migration.Tally{Seen: 49, Unchanged: 49}, false},
		{"what the target's user put there and marked as deleted stays", func(p *pairOf) {
			p.source.Expunge("INBOX", 5)
			p.target.Deliver("INBOX", letter("own"), day, mailbox.Deleted)
			p.target.Deliver("INBOX", letter("4"), day)
		}, migration.Tally{Seen: 49, Unchanged: 49, Deleted: 1}, false},
		{"the target folder was deleted by its user", func(p *pairOf) { p.source.Expunge("Work", 5); p.target.Delete("Work") }, migration.Tally{Seen: 49, Unchanged: 49}, false},
		{"the source numbers a folder anew", func(p *pairOf) {
			p.source.Expunge("INBOX", 5)
			p.source.Folder("INBOX").Validity++
		}, migration.Tally{Seen: 49, Unchanged: 20, Adopted: 29}, false},
		{"the target numbers a folder anew", func(p *pairOf) {
			p.source.Expunge("Old", 5)
			p.target.Folder("Old").Validity++
		}, migration.Tally{Seen: 49, Unchanged: 38, Adopted: 11}, false},
		{"only mail of a time is wanted now, and older mail goes", func(p *pairOf) {
			p.job.Since = day.Add(20 * time.Hour)
			p.source.Expunge("INBOX", 5, 25)
		}, migration.Tally{Seen: 48, Unchanged: 48, Deleted: 1, KeptAtTarget: 1}, false},
		{"a folder is left out now", func(p *pairOf) { p.job.Exclude = []string{"Work"}; p.source.Expunge("Work", 5) }, migration.Tally{Seen: 42, Unchanged: 42}, false},
		{"a folder is left out now, and deleted", func(p *pairOf) { p.job.Exclude = []string{"Wo*"}; p.source.Delete("Work") }, migration.Tally{Seen: 42, Unchanged: 42}, false},
		{"other folders alone are wanted now", func(p *pairOf) { p.job.Include = []string{"INBOX"}; p.source.Delete("Work") }, migration.Tally{Seen: 30, Unchanged: 30}, false},
		{"only small messages are wanted now", func(p *pairOf) { p.job.MaxMessageSize = 1 }, migration.Tally{Seen: 50, Unchanged: 50}, true},
		{"a message is moved that is too large now: the old copy is all there is", func(p *pairOf) {
			p.job.MaxMessageSize = 1
			p.source.Expunge("INBOX", 7)
			p.moveAt("INBOX", 5, "Work")
		}, migration.Tally{Seen: 49, Unchanged: 48, Skipped: 1, Deleted: 1, KeptAtTarget: 1}, false},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := mirrored(t)
				x.do(p)
				own := len(p.whose("own"))
				tallyIs(t, p.mustRun(), x.want)
				if len(p.whose("own")) != own {
					t.Error("what the target's user put there is gone")
				}
				if x.same {
					p.same()
				}
				writes := p.target.Writes
				if c := p.mustRun().Tally; c.Deleted+c.KeptAtTarget+c.Copied+c.Adopted != 0 || p.target.Writes != writes {
					t.Errorf("one more pass found work: %+v", c)
				}
			})
		})
	}
}

// TestASkippedMessageThatIsGoneHoldsNothingUp: its folder is empty, and not opened any more.
func TestASkippedMessageThatIsGoneHoldsNothingUp(t *testing.T) {
	p := mirrored(t)
	p.target.Refuse = func(_ mailbox.Message, body []byte) error {
		if bytes.Contains(body, []byte("virus")) {
			return migration.NewFault(migration.MessageRejected, migration.ScopeMessage, migration.Target, "NO virus", nil)
		}
		return nil
	}
	u := p.source.Deliver("Bad", letter("x", "virus"), day)
	p.mustRun()
	p.source.Expunge("Bad", u)
	p.source.Expunge("INBOX", 5)
	if out := p.mustRun(); out.Tally.Deleted != 1 {
		t.Errorf("%+v", out.Tally)
	}
}

// TestACopyThatStaysIsItsUsers: it is decided once.
func TestACopyThatStaysIsItsUsers(t *testing.T) {
	p := mirrored(t)
	p.source.Expunge("INBOX", 5)
	p.target.SetFlags("INBOX", 5)
	p.mustRun()
	p.target.SetFlags("INBOX", 5, mailbox.Seen)
	p.source.Expunge("INBOX", 6)
	if out := p.mustRun(); out.Tally.Deleted != 1 || len(p.whose("4")) != 1 {
		t.Errorf("%+v, the copy is in %v", out.Tally, p.whose("4"))
	}
}

// TestAdoptedCopiesAreMirrored: what was proven to be the message's copy is it, whoever
// put it there; but not where it had flags of its own.
func TestAdoptedCopiesAreMirrored(t *testing.T) {
	p := newPair(t)
	p.job.Mirror = true
	for i := range 20 {
		p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
		p.target.Deliver("INBOX", letter(fmt.Sprint(i)), day)
	}
	p.target.SetFlags("INBOX", 2, mailbox.Flagged)
	if out := p.mustRun(); out.Tally.Adopted != 20 {
		t.Fatalf("%+v", out.Tally)
	}
	p.source.Expunge("INBOX", 1, 2)
	if c := p.mustRun().Tally; c.Deleted != 1 || c.KeptAtTarget != 1 || p.whose("0") != nil || p.whose("1") == nil {
		t.Errorf("%+v", c)
	}
}

// TestDeletionsThatLookWrong are asked about: nothing is deleted, everything else is
// carried, it is asked again, and ends by itself when the source is right again.
func TestDeletionsThatLookWrong(t *testing.T) {
	tests := []struct {
		name   string
		do     func(p *pairOf)
		asked  int64
		reason string
	}{
		{"a folder with 12 messages is empty", func(p *pairOf) { p.source.Expunge("Old", span(1, 12)...) }, 12, `all 12 messages of folder "Old" are gone`},
		{"it is listed no more", func(p *pairOf) { p.source.Delete("Old") }, 12, `folder "Old" with 12 messages is gone`},
		{"21 of 50", func(p *pairOf) { p.source.Expunge("INBOX", span(1, 21)...) }, 21, "more than 20"},
		{"no messages at all", func(p *pairOf) {
			for _, f := range p.source.Names() {
				p.source.Expunge(f, span(1, 50)...)
			}
		}, 50, "no messages at all"},
		{"no folders at all", func(p *pairOf) {
			for _, f := range p.source.Names() {
				p.source.Delete(f)
			}
		}, 50, "no messages at all"},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := mirrored(t)
				before := contents(p.target, false)
				names := p.source.Names()
				was := map[string]mailboxtest.MemoryFolder{}
				for _, f := range names {
					kept := *p.source.Folder(f)
					kept.Messages = slices.Clone(kept.Messages)
					was[f] = kept
				}
				x.do(p)
				for range 2 { // it is asked again
					out, err := p.run()
					f := migration.AsFault(err)
					if f == nil || f.Code != migration.NeedsDecision || !strings.Contains(f.Reason, x.reason) || out.Tally.ToDelete != x.asked ||
						out.Tally.Deleted != 0 || !slices.Equal(contents(p.target, false), before) {
						t.Fatalf("%v, %+v", err, out.Tally)
					}
					if out.Tally.Failed != 0 {
						t.Errorf("%+v", out.Tally)
					}
				}
				p.job.ConfirmedDeletions = x.asked - 1
				if _, err := p.run(); migration.AsFault(err) == nil || !slices.Equal(contents(p.target, false), before) {
					t.Errorf("one too few was confirmed: %v", err)
				}
				p.job.ConfirmedDeletions = 0
				for f, m := range was { // the source is restored
					*p.source.Make(f) = m
				}
				if out := p.mustRun(); out.Tally.Deleted+out.Tally.Copied+out.Tally.Adopted != 0 || !slices.Equal(contents(p.target, false), before) {
					t.Fatalf("the source is back: %+v", out.Tally)
				}
				x.do(p)
				p.job.ConfirmedDeletions = x.asked
				if out := p.mustRun(); out.Tally.Deleted != x.asked {
					t.Errorf("confirmed: %+v", out.Tally)
				}
				p.same()
			})
		})
	}
}

// TestManyDeletionsOfALargeMailbox are the everyday's: a tenth of it.
func TestManyDeletionsOfALargeMailbox(t *testing.T) {
	p := newPair(t)
	p.job.Mirror = true
	for i := range 400 {
		p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
	}
	p.mustRun()
	p.source.Expunge("INBOX", span(1, 40)...)
	if out := p.mustRun(); out.Tally.Deleted != 40 {
		t.Errorf("%+v", out.Tally)
	}
	p.source.Expunge("INBOX", span(41, 77)...)
	if _, err := p.run(); migration.AsFault(err) == nil || migration.AsFault(err).Code != migration.NeedsDecision {
		t.Errorf("37 of 360: %v", err)
	}
}

// TestADryRunTellsWhatWouldBeDeleted and deletes nothing.
func TestADryRunTellsWhatWouldBeDeleted(t *testing.T) {
	p := mirrored(t)
	p.source.Expunge("INBOX", span(1, 25)...)
	p.job.DryRun = true
	before := contents(p.target, false)
	if out := p.mustRun(); out.Tally.ToDelete != 25 || !slices.Equal(contents(p.target, false), before) {
		t.Errorf("%+v", out.Tally)
	}
}

// TestATargetWithoutUIDPLUSIsRefused before anything is carried.
func TestATargetWithoutUIDPLUSIsRefused(t *testing.T) {
	p := mirrored(t)
	p.target.Caps.UIDPlus = false
	p.source.Deliver("INBOX", letter("new"), day)
	p.source.Expunge("INBOX", 1)
	before := contents(p.target, false)
	_, err := p.run()
	if f := migration.AsFault(err); f == nil || f.Code != migration.TargetNotPrepared || !strings.Contains(f.Reason, "UIDPLUS") || !slices.Equal(contents(p.target, false), before) {
		t.Errorf("%v", err)
	}
}

// TestAPassThatFailsDeletesNothing, and one that yields: what was moved may not have
// arrived.
func TestAPassThatFailsDeletesNothing(t *testing.T) {
	for name, disturb := range map[string]func(p *pairOf){
		"a message is not delivered": func(p *pairOf) {
			p.target.Refuse = func(mailbox.Message, []byte) error {
				return migration.NewFault(migration.QuotaExceeded, migration.ScopeUser, migration.Target, "full", nil)
			}
		},
		"a folder cannot be written": func(p *pairOf) {
			p.target.Refuse = func(mailbox.Message, []byte) error {
				return migration.NewFault(migration.AuthorizationMissing, migration.ScopeFolder, migration.Target, "no", nil)
			}
		},
		"a folder is refused": func(p *pairOf) {
			p.target.Refuse = func(mailbox.Message, []byte) error {
				return migration.NewFault(migration.MessageRejected, migration.ScopeFolder, migration.Target, "no", nil)
			}
		},
		"the pass yields": func(p *pairOf) { p.job.Yield = func() bool { return true } },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := mirrored(t)
				p.source.Expunge("INBOX", 1)
				p.moveAt("INBOX", 5, "Work")
				disturb(p)
				if out, _ := p.run(); out.Tally.Deleted != 0 || len(p.whose("0")) != 1 || !slices.Contains(p.whose("4"), "INBOX") {
					t.Fatalf("%+v, moved message in %v", out.Tally, p.whose("4"))
				}
				p.target.Refuse, p.job.Yield = nil, nil
				if out := p.mustRun(); out.Tally.Deleted != 2 {
					t.Errorf("%+v", out.Tally)
				}
				p.same()
			})
		})
	}
}

// TestMovedWhileAPassRuns: a message that goes to a folder which the pass has done with
// already is not there yet. Its old copy stays until the next pass has brought the new
// one.
func TestMovedWhileAPassRuns(t *testing.T) {
	for at := 1; ; at++ {
		over := false
		synctest.Test(t, func(t *testing.T) {
			p := mirrored(t)
			p.source.Expunge("Old", 1) // so that it is looked at
			steps := 0
			p.source.Step = func(string) mailboxtest.Fate {
				if steps++; steps == at {
					p.moveAt("Old", 3, "Work")
				}
				return mailboxtest.Done
			}
			_, err := p.run()
			p.source.Step = nil
			if err != nil && migration.AsFault(err).Class() != migration.Retry {
				t.Fatalf("moved at step %d: %v", at, err)
			}
			if len(p.whose("40")) == 0 {
				t.Fatalf("moved at step %d: it is nowhere at the target", at)
			}
			p.mustRun()
			p.same()
			over = steps < at
		})
		if over {
			return
		}
	}
}

// liar is a source whose answers are changed.
type liar struct {
	*mailboxtest.Memory
	list   func([]mailbox.Folder) []mailbox.Folder
	opened func(string, mailbox.Selected) mailbox.Selected
	// tells is asked for each message that is told of, of a reading of n.
	tells func(s *liarSession, set mailbox.UIDSet, u mailbox.UID) bool
}

type liarSession struct {
	mailbox.Session
	l      *liar
	folder string
	told   int
}

func (l *liar) Open(ctx context.Context) (mailbox.Session, error) {
	s, err := l.Memory.Open(ctx)
	return &liarSession{Session: s, l: l}, err
}

func (s *liarSession) List(ctx context.Context) ([]mailbox.Folder, error) {
	out, err := s.Session.List(ctx)
	if s.l.list != nil {
		out = s.l.list(out)
	}
	return out, err
}

func (s *liarSession) Select(ctx context.Context, name string, readOnly bool) (mailbox.Selected, error) {
	sel, err := s.Session.Select(ctx, name, readOnly)
	s.folder = name
	if s.l.opened != nil {
		sel = s.l.opened(name, sel)
	}
	return sel, err
}

func (s *liarSession) Flags(ctx context.Context, set mailbox.UIDSet, since mailbox.ModSeq, each func(mailbox.UID, mailbox.Flags) error) error {
	s.told = 0
	return s.Session.Flags(ctx, set, since, func(u mailbox.UID, f mailbox.Flags) error {
		if s.l.tells != nil && !s.l.tells(s, set, u) {
			return nil
		}
		s.told++
		return each(u, f)
	})
}

// TestASourceThatLies about what it holds deletes nothing that it shows when it is asked
// for it, and nothing at all where it contradicts itself.
func TestASourceThatLies(t *testing.T) {
	inbox := func(l *liar, change func(*mailbox.Status)) {
		l.list = func(folders []mailbox.Folder) []mailbox.Folder {
			for i := range folders {
				if folders[i].Name == "INBOX" {
					change(folders[i].Status)
				}
			}
			return folders
		}
	}
	tests := []struct {
		name string
		lie  func(l *liar)
		code migration.Code // "": the pass ends well
	}{
		{"a full folder is said to be empty", func(l *liar) {
			inbox(l, func(s *mailbox.Status) { s.Messages = 0 })
			l.opened = func(name string, sel mailbox.Selected) mailbox.Selected {
				if name == "INBOX" {
					sel.Messages = 0
				}
				return sel
			}
		}, migration.NeedsDecision},
		{"a small full folder is said to be empty", func(l *liar) {
			l.list = func(folders []mailbox.Folder) []mailbox.Folder {
				for i := range folders {
					if folders[i].Name == "Work" {
						folders[i].Status.Messages = 0
					}
				}
				return folders
			}
			l.opened = func(name string, sel mailbox.Selected) mailbox.Selected {
				if name == "Work" {
					sel.Messages = 0
				}
				return sel
			}
		}, migration.SourceChanged},
		{"a FETCH ends early", func(l *liar) {
			inbox(l, func(s *mailbox.Status) { s.Messages-- }) // so that it is looked at
			l.tells = func(s *liarSession, _ mailbox.UIDSet, _ mailbox.UID) bool { return s.told < 25 }
		}, migration.SourceChanged},
		{"it ends early, and the number of messages is made to fit", func(l *liar) {
			inbox(l, func(s *mailbox.Status) { s.Messages = 25 })
			l.opened = func(name string, sel mailbox.Selected) mailbox.Selected {
				if name == "INBOX" {
					sel.Messages = 25
				}
				return sel
			}
			l.tells = func(s *liarSession, _ mailbox.UIDSet, _ mailbox.UID) bool { return s.told < 25 }
		}, migration.SourceChanged},
		{"one message is told of only where it is asked for", func(l *liar) {
			inbox(l, func(s *mailbox.Status) { s.Messages-- })
			l.opened = func(name string, sel mailbox.Selected) mailbox.Selected {
				if name == "INBOX" {
					sel.Messages--
				}
				return sel
			}
			l.tells = func(s *liarSession, set mailbox.UIDSet, u mailbox.UID) bool {
				return s.folder != "INBOX" || u != 7 || set.Len() < 30
			}
		}, migration.SourceChanged},
		{"one message is counted, and told of by nothing", func(l *liar) {
			inbox(l, func(s *mailbox.Status) { s.Messages-- })
			l.tells = func(s *liarSession, _ mailbox.UIDSet, u mailbox.UID) bool { return s.folder != "INBOX" || u != 7 }
		}, migration.SourceChanged},
		{"a folder is missing from the listing, and opens", func(l *liar) {
			l.list = func(folders []mailbox.Folder) []mailbox.Folder {
				return slices.DeleteFunc(folders, func(f mailbox.Folder) bool { return f.Name == "Work" })
			}
		}, ""},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := mirrored(t)
				before := contents(p.target, false)
				l := &liar{Memory: p.source}
				x.lie(l)
				job := p.job
				job.Source, job.Target, job.Records = l.Open, p.target.Open, p.records
				out, err := mailsync.Run(t.Context(), job)
				var code migration.Code
				if f := migration.AsFault(err); f != nil {
					code = f.Code
				}
				if code != x.code || out.Tally.Deleted != 0 || !slices.Equal(contents(p.target, false), before) {
					t.Errorf("%v, %+v", err, out.Tally)
				}
				if out := p.mustRun(); out.Tally.Deleted+out.Tally.Copied != 0 {
					t.Errorf("when it tells the truth again: %+v", out.Tally)
				}
				p.same()
			})
		})
	}
}

// TestAFolderReplacedWhileAPassRuns: UIDs mean nothing under another UIDVALIDITY. Each
// time a pass opens or lists something the target's folder is replaced by one of its user's own, or the source's
// by a backup of it, in which the deleted message is there again.
func TestAFolderReplacedWhileAPassRuns(t *testing.T) {
	for name, replace := range map[string]func(p *pairOf){
		"at the target": func(p *pairOf) {
			p.target.Delete("Work")
			p.target.Make("Work")
			for i := range 8 {
				p.target.Deliver("Work", letter(fmt.Sprint("own ", i)), day, mailbox.Seen)
			}
		},
		"at the source": func(p *pairOf) {
			p.source.Delete("Work")
			p.source.Make("Work").Next = 101
			for i := range 8 {
				p.source.Deliver("Work", letter(fmt.Sprint(30+i)), day.Add(time.Duration(30+i)*time.Hour), mailbox.Seen)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for at, replaced := 1, true; replaced; at++ {
				synctest.Test(t, func(t *testing.T) {
					p := mirrored(t)
					p.source.Expunge("Work", 2)
					steps := 0
					step := func(op string) mailboxtest.Fate {
						if op == "select" || op == "list" { // what is open stays what it was
							if steps++; steps == at {
								replace(p)
							}
						}
						return mailboxtest.Done
					}
					if name == "at the target" {
						p.target.Step = step
					} else {
						p.source.Step = step
					}
					_, _ = p.run()
					p.source.Step, p.target.Step = nil, nil
					if replaced = steps >= at; !replaced {
						return
					}
					for i := range 8 {
						if name == "at the target" && p.whose(fmt.Sprint("own ", i)) == nil {
							t.Fatalf("step %d: the user's own message %d is deleted", at, i)
						}
						if name == "at the source" && p.whose(fmt.Sprint(30+i)) == nil {
							t.Fatalf("step %d: message %d is at the source, and nowhere at the target", at, 30+i)
						}
					}
				})
			}
		})
	}
}

// TestWhatComesBackIsCopiedAgain: a source that was wrong, and believed, costs nothing for
// good.
func TestWhatComesBackIsCopiedAgain(t *testing.T) {
	p := mirrored(t)
	f := p.source.Folder("INBOX")
	lost := slices.Clone(f.Messages[3:6])
	f.Messages = slices.Delete(slices.Clone(f.Messages), 3, 6)
	if out := p.mustRun(); out.Tally.Deleted != 3 {
		t.Fatalf("%+v", out.Tally)
	}
	f.Messages = slices.Insert(f.Messages, 3, lost...)
	if out := p.mustRun(); out.Tally.Copied != 3 {
		t.Errorf("%+v", out.Tally)
	}
	p.same()
}

// TestMirrorAtEveryStep cuts a pass off at every one of its steps. At each moment every
// message that the source holds is at the target, and in the end the two are alike.
func TestMirrorAtEveryStep(t *testing.T) {
	for _, connections := range []int{1, 3} {
		total := 0
		for at := 1; ; at++ {
			steps := 0
			for _, crash := range []bool{true, false} {
				for _, fate := range []mailboxtest.Fate{mailboxtest.Undo, mailboxtest.Mute} {
					name := fmt.Sprintf("%d connections, step %d crash %v fate %d", connections, at, crash, fate)
					synctest.Test(t, func(t *testing.T) { steps = disturbMirror(t, name, connections, at, crash, fate) })
					total++
				}
			}
			if steps < at {
				break
			}
		}
		t.Logf("%d disturbed passes", total)
	}
}

func disturbMirror(t *testing.T, name string, connections, at int, crash bool, fate mailboxtest.Fate) int {
	t.Helper()
	p := newPair(t)
	p.job.Mirror, p.job.Connections = true, connections
	for i := range 12 {
		p.source.Deliver([]string{"INBOX", "Work", "Old"}[i%3], letter(fmt.Sprint(i)), day)
	}
	p.mustRun()
	p.target.Deliver("INBOX", letter("the user's own"), day, mailbox.Deleted)
	p.source.Expunge("INBOX", 1)
	p.moveAt("INBOX", 2, "Work")
	p.moveAt("Work", 1, "New")
	p.source.Delete("Old")
	for _, i := range []int{2, 5, 8, 11} { // its messages were moved before
		p.source.Deliver("Older", letter(fmt.Sprint(i)), day)
	}
	need := map[string]int{}
	for _, f := range p.source.Names() {
		for _, m := range p.source.Messages(f) {
			need[string(m.Body)] = 1
		}
	}
	need[string(letter("the user's own"))] = 1
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	a := &accident{at: at, fate: fate, crash: crash, kill: cancel, records: p.records}
	watched := func(op string) mailboxtest.Fate {
		have := map[string]bool{}
		for _, f := range p.target.Names() {
			for _, m := range p.target.Messages(f) {
				have[string(m.Body)] = true
			}
		}
		for body := range need {
			if !have[body] {
				t.Errorf("%s: at %s this is nowhere at the target: %.60q", name, op, body)
			}
		}
		return a.step(op)
	}
	p.source.Step, p.target.Step = watched, watched
	job := p.job
	job.Source, job.Target, job.Records, job.Window = p.source.Open, p.target.Open, a, 3
	_, _ = mailsync.Run(ctx, job)
	p.source.Step, p.target.Step = nil, nil
	for range 3 { // one that settles, one that deletes, one that finds nothing
		if _, err := p.run(); err != nil {
			t.Fatalf("%s: the next pass: %v", name, err)
		}
		time.Sleep(time.Minute) // in the bubble
	}
	writes := p.target.Writes
	p.mustRun()
	p.target.Expunge("INBOX", 5) // the user's own
	if p.target.Writes != writes {
		t.Errorf("%s: one more pass found work", name)
	}
	compare(t, p, name, false)
	return a.steps
}
