package mailsync_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// filledFolders is a pair in step, with a tree of folders.
func filledFolders(t *testing.T) *pairOf {
	p := newPair(t)
	p.source.Make("Sent").Role = mailbox.RoleSent
	for i := range 6 {
		p.source.Deliver([]string{"INBOX", "Work", "Work/A", "Work/A/deep", "Sent", "Other"}[i], letter(fmt.Sprint(i, "a")), day)
		p.source.Deliver([]string{"INBOX", "Work", "Work/A", "Work/A/deep", "Sent", "Other"}[i], letter(fmt.Sprint(i, "b")), day)
	}
	p.source.Folder("Work").Subscribed = true
	p.mustRun()
	return p
}

func (p *pairOf) folders() string { return strings.Join(p.target.Names(), " ") }

func TestRenamedAtSource(t *testing.T) {
	tests := []struct {
		name   string
		rename func(p *pairOf)
		want   string // the target's folders
		copied int64  // by the next pass
	}{
		{"a folder", func(p *pairOf) { p.source.Rename("Other", "Else/Where") }, "Else Else/Where INBOX Sent Work Work/A Work/A/deep", 0},
		{"with what lies below", func(p *pairOf) { p.source.Rename("Work", "Jobs") }, "INBOX Jobs Jobs/A Jobs/A/deep Other Sent", 0},
		{"without what lies below it: the copy keeps its name", func(p *pairOf) { p.source.Rename("Work", "Jobs"); p.source.Rename("Jobs/A", "Work/A") }, "INBOX Other Sent Work Work/A Work/A/deep", 0},
		{"out of a parent that stays", func(p *pairOf) { p.source.Rename("Work/A", "A") }, "A A/deep INBOX Other Sent Work", 0},
		{"twice between passes", func(p *pairOf) { p.source.Rename("Work", "Jobs"); p.source.Rename("Jobs/A", "Z") }, "INBOX Jobs Other Sent Z Z/deep", 0},
		{"two that swap", func(p *pairOf) {
			p.source.Rename("Other", "x")
			p.source.Rename("Work/A/deep", "y")
		}, "INBOX Sent Work Work/A x y", 0},
		{"with new mail", func(p *pairOf) {
			p.source.Rename("Other", "Else")
			p.source.Deliver("Else", letter("new"), day)
		}, "Else INBOX Sent Work Work/A Work/A/deep", 1},
		{"with its first message deleted at the target", func(p *pairOf) { p.target.Expunge("Other", 1); p.source.Rename("Other", "Else") }, "Else INBOX Sent Work Work/A Work/A/deep", 0},
		{"the target's user renamed it to something else", func(p *pairOf) { p.target.Rename("Other", "Mine"); p.source.Rename("Other", "Else") }, "Else INBOX Mine Sent Work Work/A Work/A/deep", 2},
		{"the target's user renamed it alike", func(p *pairOf) { p.target.Rename("Other", "Else"); p.source.Rename("Other", "Else") }, "Else INBOX Sent Work Work/A Work/A/deep", 0},
		{"the new name is taken at the target", func(p *pairOf) { p.target.Make("Else"); p.source.Rename("Other", "Else") }, "Else INBOX Other Sent Work Work/A Work/A/deep", 0},
		{"a folder with a role", func(p *pairOf) { p.source.Folder("Sent").Role = ""; p.source.Rename("Sent", "Old mail") }, "INBOX Other Sent Work Work/A Work/A/deep", 0},
		{"another folder of its UIDVALIDITY", func(p *pairOf) {
			old := p.source.Folder("Other")
			p.source.Delete("Other")
			p.source.Make("Else").Validity = old.Validity
			p.source.Deliver("Else", letter("other mail"), day)
			p.source.Deliver("Else", letter("and more"), day)
		}, "Else INBOX Other Sent Work Work/A Work/A/deep", 2},
		{"of another UIDVALIDITY", func(p *pairOf) { p.source.Rename("Other", "Else"); p.source.Folder("Else").Validity++ }, "Else INBOX Other Sent Work Work/A Work/A/deep", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := filledFolders(t)
				tt.rename(p)
				dry := mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: p.records, DryRun: true}
				before := p.folders()
				if _, err := mailsync.Run(t.Context(), dry); err != nil || p.folders() != before {
					t.Errorf("a dry run: %v, folders %s, before %s", err, p.folders(), before)
				}
				out := p.mustRun()
				if c := out.Tally; c.Copied != tt.copied || c.Adopted != 0 {
					t.Errorf("tally %+v, want %d copied", c, tt.copied)
				}
				if got := p.folders(); got != tt.want {
					t.Errorf("folders %s\nwant    %s", got, tt.want)
				}
				writes := p.target.Writes
				if c := p.mustRun().Tally; c.Copied+c.Adopted != 0 || p.target.Writes != writes || p.folders() != tt.want {
					t.Errorf("one more pass: %+v, folders %s", c, p.folders())
				}
				for _, name := range p.source.Names() { // and what is new goes where the rest is
					if f := p.source.Folder(name); !f.Parent {
						p.source.Deliver(name, letter("later in "+name), day)
					}
				}
				p.mustRun()
				if got := p.folders(); got != tt.want {
					t.Errorf("with new mail: folders %s\nwant                   %s", got, tt.want)
				}
			})
		})
	}
}

// What is expunged on both sides while it is looked for proves nothing: neither all of
// it nor a part makes another folder the renamed one.
func TestExpungedWhileCompared(t *testing.T) {
	for name, gone := range map[string][]mailbox.UID{"all": {1, 2}, "the first": {1}, "the last": {2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := filledFolders(t)
				old := p.source.Folder("Other")
				p.source.Delete("Other")
				p.source.Make("Else").Validity = old.Validity
				for i := range 2 { // what stays is the same on both sides
					p.source.Deliver("Else", letter(fmt.Sprint(5, string(rune('a'+i)))), day)
				}
				p.source.Step = func(op string) mailboxtest.Fate {
					if op == "metas" {
						p.source.Step = nil
						for _, u := range gone {
							p.source.Expunge("Else", u)
							p.target.Expunge("Other", u)
						}
					}
					return mailboxtest.Done
				}
				p.mustRun()
				if got, want := p.folders(), "Else INBOX Other Sent Work Work/A Work/A/deep"; got != want {
					t.Errorf("folders %s\nwant    %s", got, want)
				}
			})
		})
	}
}

// A process that dies at any step of following a rename leaves what the next one
// completes: no folder twice, no message twice, no record lost.
func TestAccidentWhileFollowing(t *testing.T) {
	at := 0
	for more := true; more; {
		at++
		for _, fate := range []mailboxtest.Fate{mailboxtest.Undo, mailboxtest.Mute} {
			synctest.Test(t, func(t *testing.T) {
				p := filledFolders(t)
				p.source.Rename("Work", "Jobs")
				a := &accident{at: at, fate: fate, crash: true, kill: func(error) {}, records: p.records}
				p.source.Step, p.target.Step = a.step, a.step
				_, _ = mailsync.Run(t.Context(), mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: a})
				p.source.Step, p.target.Step = nil, nil
				more = a.steps >= at
				tallyIs(t, p.mustRun(), migration.Tally{Seen: 12, Unchanged: 12})
				p.same()
				records, err := p.records.Records(t.Context())
				if err != nil || len(records) != 6 {
					t.Errorf("step %d fate %d: %d records, %v", at, fate, len(records), err)
				}
			})
		}
	}
	if at < 20 {
		t.Errorf("only %d steps", at)
	}
}
