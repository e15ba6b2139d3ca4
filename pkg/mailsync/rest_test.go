package mailsync_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
)

// archiving is a user who takes the only label off a message as a pass opens its folder.
type archiving struct {
	mailbox.Session
	at string
	do func()
}

func (s archiving) Select(ctx context.Context, name string, readOnly bool) (mailbox.Selected, error) {
	if name == s.at {
		s.do()
	}
	return s.Session.Select(ctx, name, readOnly)
}

// What the other folders leave over (Gmail's All Mail) is read after all of them: a
// message that loses its label while the pass runs is found there.
func TestWhatNoFolderShowsIsReadLast(t *testing.T) {
	for _, connections := range []int{1, 4} {
		t.Run(fmt.Sprint(connections, " connections"), func(t *testing.T) { readLast(t, connections, false) })
	}
	t.Run("a folder has to wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { readLast(t, 1, true) })
	})
}

// readLast has the label taken off as the folder is opened, or, where it has to wait
// because the target was lost over it, as it is opened again.
func readLast(t *testing.T, connections int, waits bool) {
	t.Helper()
	p := newPair(t)
	p.source.Make("[Gmail]/All Mail").Role = mailbox.RoleRest
	p.source.Deliver("[Gmail]/All Mail", letter("archived"), day)
	p.source.Deliver("INBOX", letter("new"), day)
	labelled := p.source.Deliver("work", letter("labelled"), day)
	archive := sync.OnceFunc(func() {
		p.source.Expunge("work", labelled)
		p.source.Deliver("[Gmail]/All Mail", letter("labelled"), day)
	})
	var opened, sent atomic.Int32
	p.target.Step = func(op string) mailboxtest.Fate {
		if waits && op == "append" && sent.Add(1) == 2 { // after INBOX
			return mailboxtest.Undo
		}
		return mailboxtest.Done
	}
	_, err := mailsync.Run(t.Context(), mailsync.Job{
		Source: func(ctx context.Context) (mailbox.Session, error) {
			s, err := p.source.Open(ctx)
			return archiving{s, "work", func() {
				if opened.Add(1) > 1 || !waits {
					archive()
				}
			}}, err
		},
		Target: p.target.Open, Records: p.records, Connections: connections, Window: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.target.Messages("[Gmail]/All Mail"); len(got) != 2 {
		t.Errorf("%d messages where two have no label by now", len(got))
	}
}

// What no folder shows goes where the target keeps such, and never into a view of
// everything; and a source's view of everything is not carried.
func TestViewsOfEverythingAreNeitherReadNorWritten(t *testing.T) {
	for role, want := range map[mailbox.Role]string{mailbox.RoleRest: "All", mailbox.RoleAll: "Archived"} {
		p := newPair(t)
		p.source.Make("Archived").Role = mailbox.RoleRest
		p.source.Deliver("Archived", letter("archived"), day)
		p.source.Make("View").Role = mailbox.RoleAll
		p.source.Deliver("View", letter("seen twice"), day)
		p.target.Make("All").Role = role
		p.mustRun()
		var got []string
		for _, name := range p.target.Names() {
			if len(p.target.Messages(name)) > 0 {
				got = append(got, name)
			}
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("target with %s: messages in %s, want %s", role, strings.Join(got, ", "), want)
		}
	}
}
