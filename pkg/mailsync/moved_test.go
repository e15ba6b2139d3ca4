package mailsync_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// moveAt moves a message as a client does: a copy, and then the old one goes.
func (p *pairOf) moveAt(from string, u mailbox.UID, to string) {
	for _, m := range p.source.Messages(from) {
		if m.UID == u {
			p.source.Deliver(to, m.Body, m.Date, m.Flags...)
		}
	}
	p.source.Expunge(from, u)
}

func TestMovedAtSource(t *testing.T) {
	tests := []struct {
		name  string
		do    func(p *pairOf)
		want  migration.Tally // of the pass after it
		inbox int             // messages at the target then
	}{
		{"a message is moved", func(p *pairOf) { p.moveAt("INBOX", 3, "Work") }, migration.Tally{Seen: 20, Unchanged: 19, Copied: 1, MovedAtSource: 1}, 10},
		{"to a new folder", func(p *pairOf) { p.moveAt("INBOX", 3, "New"); p.moveAt("INBOX", 4, "New") }, migration.Tally{Seen: 20, Unchanged: 18, Copied: 2, MovedAtSource: 2}, 10},
		{"and one more comes", func(p *pairOf) { p.moveAt("INBOX", 3, "Work"); p.source.Deliver("INBOX", letter("more"), day) }, migration.Tally{Seen: 21, Unchanged: 19, Copied: 2, MovedAtSource: 1}, 11},
		{"a large one", func(p *pairOf) { p.moveAt("INBOX", 10, "Work") }, migration.Tally{Seen: 20, Unchanged: 19, Copied: 1, MovedAtSource: 1}, 10},
		{"only copied", func(p *pairOf) {
			m := p.source.Messages("INBOX")[2]
			p.source.Deliver("Work", m.Body, m.Date)
		}, migration.Tally{Seen: 21, Unchanged: 20, Copied: 1}, 10},
		{"only deleted", func(p *pairOf) { p.source.Expunge("INBOX", 3) }, migration.Tally{Seen: 19, Unchanged: 19}, 10},
		{"deleted, and others come", func(p *pairOf) {
			p.source.Expunge("INBOX", 3)
			p.source.Deliver("Work", letter("other"), day)
		}, migration.Tally{Seen: 20, Unchanged: 19, Copied: 1}, 10},
		{"copied, and another deleted", func(p *pairOf) {
			m := p.source.Messages("INBOX")[2]
			p.source.Deliver("Work", m.Body, m.Date)
			p.source.Expunge("INBOX", 4)
		}, migration.Tally{Seen: 20, Unchanged: 19, Copied: 1}, 10},
		{"put back where it was", func(p *pairOf) { p.moveAt("INBOX", 3, "INBOX") }, migration.Tally{Seen: 20, Unchanged: 19, Copied: 1}, 11},
		{"copied twice and deleted", func(p *pairOf) {
			m := p.source.Messages("INBOX")[2]
			p.source.Deliver("New", m.Body, m.Date)
			p.moveAt("INBOX", 3, "Work")
		}, migration.Tally{Seen: 21, Unchanged: 19, Copied: 2, MovedAtSource: 1}, 10},
		{"a folder goes, its mail elsewhere", func(p *pairOf) {
			for u := range mailbox.UID(10) {
				p.moveAt("Work", u+1, "INBOX")
			}
			p.source.Delete("Work")
		}, migration.Tally{Seen: 20, Unchanged: 10, Copied: 10, MovedAtSource: 10}, 20},
		{"the old copy is gone at the target too", func(p *pairOf) {
			p.target.Expunge("INBOX", 3)
			p.moveAt("INBOX", 3, "Work")
		}, migration.Tally{Seen: 20, Unchanged: 19, Copied: 1}, 9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				for i := range 10 {
					body := letter(fmt.Sprint(i))
					if i == 9 {
						body = letter("large", strings.Repeat("x", 700<<10))
					}
					p.source.Deliver("INBOX", body, day)
					p.source.Deliver("Work", letter(fmt.Sprint("work", i)), day)
				}
				tallyIs(t, p.mustRun(), migration.Tally{Seen: 20, Copied: 20})
				tt.do(p)
				tallyIs(t, p.mustRun(), tt.want)
				if n := len(p.target.Messages("INBOX")); n != tt.inbox {
					t.Errorf("%d messages in the target's INBOX, want %d: the old copy stays", n, tt.inbox)
				}
				// What was counted is not counted again.
				p.source.Deliver("INBOX", letter("later"), day)
				p.source.Deliver("Third", letter("work3"), day)
				tallyIs(t, p.mustRun(), migration.Tally{Seen: tt.want.Seen + 2, Unchanged: tt.want.Seen, Copied: 2})
			})
		})
	}
}
