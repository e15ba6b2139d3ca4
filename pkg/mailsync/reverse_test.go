package mailsync_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// back turns the pair round, with what is known of it.
func (p *pairOf) back() {
	p.t.Helper()
	stored, err := p.records.Records(p.t.Context())
	if err == nil {
		stored, err = mailsync.Reversed(stored)
	}
	p.records = mailsync.NewMemoryRecords()
	for _, r := range stored {
		for i, entry := range r.Journal {
			w := migration.Window{Folder: r.Folder, Append: entry}
			if i == 0 {
				w.Head = r.Head
			}
			err = errors.Join(err, p.records.Commit(p.t.Context(), w))
		}
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.source, p.target = p.target, p.source
	p.source.Side, p.target.Side = migration.Source, migration.Target
}

// A move back copies what is new, and nothing else; forth and back again as often as
// somebody likes.
func TestAMoveBackCopiesNothingAgain(t *testing.T) {
	for _, lacks := range []string{"nothing", "UIDPLUS", "CONDSTORE"} {
		t.Run("lacks "+lacks, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				for _, m := range []*mailboxtest.Memory{p.source, p.target} {
					m.Caps.UIDPlus, m.Caps.CondStore = lacks != "UIDPLUS", lacks != "CONDSTORE"
				}
				fill(p.source, 300)
				n := int64(298)
				p.mustRun()
				for turn := range 4 {
					p.back()
					out := p.mustRun()
					out.Tally.FlagsUpdated = 0 // keywords, told again
					tallyIs(t, out, migration.Tally{Seen: n, Unchanged: n})
					p.same()
					p.source.Deliver("INBOX", letter(fmt.Sprint("since", turn)), day)
					p.source.Deliver("Later", letter(fmt.Sprint("folder", turn)), day)
					n += 2
					tallyIs(t, p.mustRun(), migration.Tally{Seen: n, Unchanged: n - 2, Copied: 2})
					p.same()
					tallyIs(t, p.mustRun(), migration.Tally{Seen: n, Unchanged: n})
				}
			})
		})
	}
}

// What was deleted where it came from is brought back: nobody knows whether its user did
// it, or whoever cleared the old mailbox.
func TestAMoveBackBringsWhatIsGoneThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		fill(p.source, 30)
		p.mustRun()
		p.source.Expunge("INBOX", 1, 3, 4, 8)
		p.source.Delete("Sent")
		p.back()
		out := p.mustRun()
		if out.Tally.Copied != 14 || out.Tally.Adopted != 0 || out.Tally.Failed != 0 {
			t.Errorf("%+v", out.Tally)
		}
		if want, got := len(contents(p.source, true)), len(contents(p.target, true)); want != got {
			t.Errorf("%d messages at the target, want %d", got, want)
		}
		again := p.mustRun()
		if again.Tally.Copied != 0 {
			t.Errorf("one more pass: %+v", again.Tally)
		}
	})
}

// Flags that were changed meanwhile are carried back; a keyword that the new system
// could not keep is not taken off the message it came from.
func TestAMoveBackTakesNoKeywordOff(t *testing.T) {
	p := newPair(t)
	p.source.Deliver("INBOX", letter("a"), day, mailbox.Seen, "Project")
	p.source.Deliver("INBOX", letter("b"), day, mailbox.Seen)
	p.mustRun()
	p.target.SetFlags("INBOX", 1, mailbox.Seen, mailbox.Flagged) // as if Project had not been kept
	p.target.SetFlags("INBOX", 2)
	p.back()
	tallyIs(t, p.mustRun(), migration.Tally{Seen: 2, Unchanged: 2, FlagsUpdated: 2})
	for i, want := range []string{`\Flagged \Seen Project`, ``} {
		if got := p.target.Folder("INBOX").Messages[i].Flags.String(); got != want {
			t.Errorf("flags of message %d: %q, want %q", i+1, got, want)
		}
	}
}

// Folders go back to the names that they had.
func TestAMoveBackGoesToTheOldNames(t *testing.T) {
	p := newPair(t)
	p.target.Naming.Delimiter = "."
	p.source.Deliver("a.b", letter("dot"), day)
	p.source.Deliver("Gesendet", letter("sent"), day)
	p.source.Folder("Gesendet").Role = mailbox.RoleSent
	p.target.Make("Sent Items").Role = mailbox.RoleSent
	p.mustRun()
	before := fmt.Sprint(p.source.Names())
	p.back()
	tallyIs(t, p.mustRun(), migration.Tally{Seen: 2, Unchanged: 2})
	if after := fmt.Sprint(p.target.Names()); after != before {
		t.Errorf("folders %s, were %s", after, before)
	}
}
