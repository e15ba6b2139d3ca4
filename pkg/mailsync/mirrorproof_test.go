package mailsync_test

import (
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

// TestACopyThatAnotherFolderHasNow: mail is put into another folder at the source, which
// takes the place of the first at the target, and finds its copies there. They are the
// other one's, and stay.
func TestACopyThatAnotherFolderHasNow(t *testing.T) {
	for _, n := range []int{5, 25} { // 25 would look wrong, and be asked about
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p := newPair(t)
			p.job.Mirror = true
			p.target.Make("Sent").Role = mailbox.RoleSent
			for i := range n {
				p.source.Deliver("Sent Items", letter(fmt.Sprint(i)), day)
			}
			p.mustRun()
			for i := range n {
				p.source.Deliver("Sent", letter(fmt.Sprint(i)), day)
			}
			p.source.Delete("Sent Items")
			for range 2 {
				if out := p.mustRun(); out.Tally.Deleted != 0 {
					t.Errorf("%+v", out.Tally)
				}
				p.same()
			}
			p.source.Expunge("Sent", 1) // nobody else has its copy
			if out := p.mustRun(); out.Tally.Deleted != 1 {
				t.Errorf("%+v", out.Tally)
			}
			p.same()
		})
	}
}

// TestAConfirmationIsOfThoseMessages that were asked about, and of no others: neither of
// as many in other folders nor in the same one.
func TestAConfirmationIsOfThoseMessages(t *testing.T) {
	for name, then := range map[string]func(p *pairOf){
		"another folder is gone":                    func(p *pairOf) { p.source.Delete("Old") },
		"others are gone in the same folder":        func(p *pairOf) { p.source.Expunge("INBOX", span(9, 30)...) },
		"fewer, of which one was not asked about":   func(p *pairOf) { p.source.Expunge("INBOX", span(2, 22)...); p.source.Expunge("Work", 1) },
		"some are back, and another folder is gone": func(p *pairOf) { p.source.Expunge("INBOX", 1, 2); p.source.Delete("Old") },
	} {
		t.Run(name, func(t *testing.T) {
			p := mirrored(t)
			f := p.source.Folder("INBOX")
			all := slices.Clone(f.Messages)
			p.source.Expunge("INBOX", span(1, 22)...)
			if out, err := p.run(); migration.AsFault(err) == nil || out.Tally.ToDelete != 22 {
				t.Fatalf("%+v, %v", out.Tally, err)
			}
			f.Messages = slices.Clone(all)
			then(p)
			before := contents(p.target, false)
			p.job.ConfirmedDeletions = 22
			out, err := p.run()
			if f := migration.AsFault(err); f == nil || f.Code != migration.NeedsDecision || !slices.Equal(contents(p.target, false), before) {
				t.Fatalf("%+v, %v", out.Tally, err)
			}
			p.job.ConfirmedDeletions = out.Tally.ToDelete
			if c := p.mustRun().Tally; c.Deleted != out.Tally.ToDelete {
				t.Errorf("%d are confirmed: %+v", out.Tally.ToDelete, c)
			}
			p.same()
		})
	}
}

// TestAConfirmationIsOfTheLatestQuestion: what was asked about before is asked about again.
func TestAConfirmationIsOfTheLatestQuestion(t *testing.T) {
	p := mirrored(t)
	inbox, old := p.source.Folder("INBOX"), *p.source.Folder("Old")
	all := slices.Clone(inbox.Messages)
	ask := func(want int64) {
		t.Helper()
		if out, err := p.run(); migration.AsFault(err) == nil || out.Tally.ToDelete != want || out.Tally.Deleted != 0 {
			t.Fatalf("%+v, %v; want to be asked about %d", out.Tally, err, want)
		}
	}
	p.source.Delete("Old")
	ask(12)
	*p.source.Make("Old") = old
	p.source.Expunge("INBOX", span(1, 22)...)
	ask(22)
	inbox.Messages = all
	p.source.Delete("Old")
	p.job.ConfirmedDeletions = 22
	ask(12)
}

// TestASourceThatIsSetBack gives UIDs away a second time. What it has not numbered yet it
// has not lost; and where a message is another one than was copied, nothing is believed to
// be gone.
func TestASourceThatIsSetBack(t *testing.T) {
	for name, x := range map[string]struct {
		do    func(p *pairOf)
		asked bool
	}{
		"to an older state": {func(p *pairOf) {
			f := p.source.Folder("INBOX")
			f.Messages, f.Next = slices.Clone(f.Messages[:25]), 26
		}, false},
		"and new mail has come": {func(p *pairOf) {
			f := p.source.Folder("INBOX")
			f.Messages, f.Next = slices.Clone(f.Messages[:25]), 26
			p.source.Deliver("INBOX", letter("new"), day)
		}, false},
		"and more mail has come, and was deleted": {func(p *pairOf) {
			f := p.source.Folder("INBOX")
			f.Messages, f.Next = slices.Clone(f.Messages[:25]), 26
			for i := range 7 {
				p.source.Deliver("INBOX", letter(fmt.Sprint("new ", i)), day)
			}
			p.source.Expunge("INBOX", 27, 28)
		}, true},
		"a folder made anew under its old number": {func(p *pairOf) {
			f := p.source.Folder("Work")
			f.Messages, f.Next = nil, 1
			for i := range 12 {
				p.source.Deliver("Work", letter(fmt.Sprint("other ", i)), day)
			}
			p.source.Expunge("Work", 2, 4)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := mirrored(t)
			x.do(p)
			out, err := p.run()
			f := migration.AsFault(err)
			if asked := f != nil && f.Code == migration.NeedsDecision && strings.Contains(f.Reason, "other messages"); asked != x.asked || !asked && err != nil {
				t.Errorf("%v", err)
			}
			for i := range 50 {
				if p.whose(fmt.Sprint(i)) == nil {
					t.Errorf("message %d is gone: %+v", i, out.Tally)
				}
			}
		})
	}
}

// TestAFolderThatHides while a message is moved to it: it is listed no more, by one listing
// or by all, and opens.
func TestAFolderThatHides(t *testing.T) {
	for _, first := range []int{1, 2} { // the listing that leaves it out, and those after
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			p := mirrored(t)
			p.moveAt("INBOX", 5, "Work")
			l := &liar{Memory: p.source}
			n := 0
			l.list = func(folders []mailbox.Folder) []mailbox.Folder {
				if n++; n < first {
					return folders
				}
				return slices.DeleteFunc(folders, func(f mailbox.Folder) bool { return f.Name == "Work" })
			}
			job := p.job
			job.Source, job.Target, job.Records = l.Open, p.target.Open, p.records
			_, err := mailsync.Run(t.Context(), job)
			if f := migration.AsFault(err); f == nil || f.Code != migration.SourceChanged || len(p.whose("4")) != 1 {
				t.Errorf("%v; the moved message is in %v", err, p.whose("4"))
			}
			p.mustRun()
			p.same()
		})
	}
}

// TestAFolderThatFillsUpWhileItIsLookedAt to as many messages as the source shows: the
// oldest is not gone.
func TestAFolderThatFillsUpWhileItIsLookedAt(t *testing.T) {
	p := mirrored(t)
	p.source.Expunge("INBOX", 9)
	p.job.Shown = 30
	listed := false
	p.source.Step = func(what string) mailboxtest.Fate {
		listed = listed || what == "list"
		if what == "select" && listed {
			p.source.Step = nil
			p.source.Deliver("INBOX", letter("new"), day)
			p.source.Deliver("INBOX", letter("newer"), day)
			p.source.Expunge("INBOX", 1) // it is not shown any more
		}
		return mailboxtest.Done
	}
	if out := p.mustRun(); out.Tally.Deleted != 0 || len(p.whose("0")) != 1 {
		t.Errorf("%+v", out.Tally)
	}
}

// TestAnotherMailboxIsNotMirrored: a login that opens another mailbox, at a server that
// numbers all alike.
func TestAnotherMailboxIsNotMirrored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrored(t)
		other := mailboxtest.NewMemory()
		other.Side = migration.Source
		for _, name := range p.source.Names() {
			f := p.source.Folder(name)
			*other.Make(name) = mailboxtest.MemoryFolder{Validity: f.Validity, Next: 1, ModSeq: 100}
			for i := range 40 {
				other.Deliver(name, letter(fmt.Sprint("other ", name, i)), day.Add(time.Hour))
			}
			other.Expunge(name, 1, 2, 3)
		}
		job := p.job
		job.Source, job.Target, job.Records = other.Open, p.target.Open, p.records
		out, err := mailsync.Run(t.Context(), job)
		if f := migration.AsFault(err); f == nil || f.Code != migration.NeedsDecision || out.Tally.Deleted != 0 {
			t.Errorf("%+v, %v", out.Tally, err)
		}
	})
}

// TestATargetThatIsSetBack has given UIDs of copies to its user's own mail by now.
func TestATargetThatIsSetBack(t *testing.T) {
	for name, own := range map[string]int{"some of them": 2, "all of them": 12} {
		t.Run(name, func(t *testing.T) {
			p := mirrored(t)
			f := p.target.Folder("INBOX")
			f.Messages, f.Next = slices.Clone(f.Messages[:20]), 21
			for i := range own {
				p.target.Deliver("INBOX", letter(fmt.Sprint("own ", i)), day, mailbox.Seen)
			}
			p.source.Expunge("INBOX", 21, 22)
			out, err := p.run()
			if f := migration.AsFault(err); f == nil || f.Code != migration.NeedsDecision || out.Tally.Deleted != 0 {
				t.Errorf("%+v, %v", out.Tally, err)
			}
			for i := range own {
				if p.whose(fmt.Sprint("own ", i)) == nil {
					t.Errorf("the user's own message %d is gone", i)
				}
			}
		})
	}
}

// TestAFolderThatIsNotListed and to which nothing has come holds up no deletions elsewhere.
func TestAFolderThatIsNotListed(t *testing.T) {
	p := mirrored(t)
	p.source.Expunge("INBOX", 5)
	l := &liar{Memory: p.source, list: func(folders []mailbox.Folder) []mailbox.Folder {
		return slices.DeleteFunc(folders, func(f mailbox.Folder) bool { return f.Name == "Work" })
	}}
	job := p.job
	job.Source, job.Target, job.Records = l.Open, p.target.Open, p.records
	if out, err := mailsync.Run(t.Context(), job); err != nil || out.Tally.Deleted != 1 || len(p.target.Messages("Work")) != 8 {
		t.Errorf("%+v, %v", out.Tally, err)
	}
}
