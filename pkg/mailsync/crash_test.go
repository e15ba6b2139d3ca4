package mailsync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

var errCrash = errors.New("the process was killed")

// accident stops a pass at one of its steps: everything it does over a connection
// and every commit of a record counts as one.
type accident struct {
	mu      sync.Mutex
	at      int // which step; 0: none
	fate    mailboxtest.Fate
	crash   bool // the process dies; otherwise only the connection is lost
	kill    context.CancelCauseFunc
	steps   int
	dead    bool
	records mailsync.Records
}

func (a *accident) step(string) mailboxtest.Fate {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dead {
		return mailboxtest.Undo
	}
	a.steps++
	if a.steps != a.at {
		return mailboxtest.Done
	}
	if a.crash {
		a.dead = true
		a.kill(errCrash)
	}
	return a.fate
}

func (a *accident) Records(ctx context.Context) ([]migration.FolderRecord, error) {
	return a.records.Records(ctx)
}

// Commit is a step too; a commit with the fate Mute is stored, and the process dies
// before it learns of it.
func (a *accident) Commit(ctx context.Context, w migration.Window) error {
	switch a.step("commit") {
	case mailboxtest.Done:
		return a.records.Commit(ctx, w)
	case mailboxtest.Mute:
		if err := a.records.Commit(ctx, w); err != nil {
			return err
		}
	}
	return errCrash
}

type scenario struct {
	name  string
	setup func(p *pairOf)
	// later is what happens between a first, undisturbed pass and the one that is
	// disturbed; nil: the first pass is disturbed.
	later       func(p *pairOf)
	newestFirst bool
	connections int
}

var scenarios = []scenario{
	{"initial", func(p *pairOf) { fill(p.source, 24) }, nil, false, 1},
	{"initial without uidplus", func(p *pairOf) { fill(p.source, 24); p.target.Caps.UIDPlus = false }, nil, false, 1},
	{"initial without multiappend", func(p *pairOf) { fill(p.source, 24); p.target.Caps.MultiAppend = false }, nil, false, 1},
	{"initial with refusals", func(p *pairOf) {
		fill(p.source, 24)
		p.target.Refuse = func(m mailbox.Message, _ []byte) error {
			if m.Flags.Has("$Forwarded") {
				return migration.NewFault(migration.MessageRejected, migration.ScopeMessage, migration.Target, "NO keyword", nil)
			}
			return nil
		}
		for _, name := range []string{"INBOX", "Sent", "Archive/2021"} {
			for _, m := range p.source.Folder(name).Messages {
				m.Flags = m.Flags.Without(mailbox.Flags{"$Forwarded"}) // compared afterwards
			}
		}
		p.source.Deliver("INBOX", letter("refused for good"), day, mailbox.Seen)
	}, nil, false, 1},
	{"incremental", func(p *pairOf) { fill(p.source, 24) }, func(p *pairOf) {
		for i := range 7 {
			p.source.Deliver("INBOX", letter(fmt.Sprint("new", i%5)), day)
		}
		p.source.SetFlags("INBOX", 1, mailbox.Answered)
		p.source.SetFlags("Sent", 1, "Later", mailbox.Seen)
	}, false, 1},
	{"adoption", func(p *pairOf) { fill(p.source, 24) }, func(p *pairOf) {
		p.records = mailsync.NewMemoryRecords()
		p.target.Expunge("INBOX", 1, 3)
	}, false, 1},
	{"adoption without uidplus and multiappend", func(p *pairOf) {
		fill(p.source, 24)
		p.target.Caps.UIDPlus, p.target.Caps.MultiAppend = false, false
	}, func(p *pairOf) {
		p.records = mailsync.NewMemoryRecords()
		p.target.Expunge("Sent", 1, 2, 4)
	}, false, 1},
	{"incremental with skips, without uidplus", func(p *pairOf) {
		fill(p.source, 24)
		p.target.Caps.UIDPlus = false
		p.target.Refuse = func(_ mailbox.Message, body []byte) error {
			if bytes.Contains(body, []byte("virus")) {
				return migration.NewFault(migration.MessageRejected, migration.ScopeMessage, migration.Target, "NO virus", nil)
			}
			return nil
		}
		p.source.Deliver("INBOX", letter("early", "virus"), day)
	}, func(p *pairOf) {
		for i := range 7 {
			p.source.Deliver("INBOX", letter(fmt.Sprint("new", i%5)), day)
		}
		p.source.Deliver("Sent", letter("later", "virus"), day)
	}, false, 1},
	{"initial, newest first", func(p *pairOf) { fill(p.source, 24) }, nil, true, 1},
	{"mail of a time, then all of it", func(p *pairOf) { fill(p.source, 24); p.job.Since = day.Add(3 * time.Hour) }, func(p *pairOf) {
		p.job.Since = time.Time{}
		p.source.Deliver("INBOX", letter("new"), day)
	}, false, 1},
	{"several connections", func(p *pairOf) { fill(p.source, 24) }, nil, false, 4},
	{"several connections, one folder", oneFolder, nil, false, 3},
	{"several connections, one folder, newest first, without uidplus", func(p *pairOf) {
		oneFolder(p)
		p.target.Caps.UIDPlus = false
	}, nil, true, 3},
	{"several connections, one folder, without multiappend, with refusals", func(p *pairOf) {
		oneFolder(p)
		p.target.Caps.MultiAppend = false
		p.target.Refuse = func(_ mailbox.Message, body []byte) error {
			if bytes.Contains(body, []byte("virus")) {
				return migration.NewFault(migration.MessageRejected, migration.ScopeMessage, migration.Target, "NO virus", nil)
			}
			return nil
		}
		p.source.Deliver("INBOX", letter("late", "virus"), day)
	}, nil, false, 2},
	{"several connections, adoption", oneFolder, func(p *pairOf) {
		p.records = mailsync.NewMemoryRecords()
		p.target.Expunge("INBOX", 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16)
		p.source.SetFlags("INBOX", 1, mailbox.Answered, mailbox.Seen)
	}, false, 3},
}

// oneFolder puts enough awkward mail into one folder for several connections to help
// with it: gaps, twins and templates among it.
func oneFolder(p *pairOf) {
	for i := range 26 {
		body := letter(fmt.Sprint(i))
		switch i % 5 {
		case 1:
			body = letter("shared", fmt.Sprint("template ", i))
		case 3:
			body = letter("twin", "the same in every respect")
		}
		p.source.Deliver("INBOX", body, day.Add(time.Duration(i%3)*time.Hour), mailbox.Seen)
	}
	p.source.Expunge("INBOX", 2, 11)
}

// TestAccidentAtEveryStep disturbs a pass at every one of its steps in every way,
// resumes, and compares: nothing may be lost, nothing doubled, and one more pass
// finds nothing to do.
func TestAccidentAtEveryStep(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			total := 0
			for at := 1; ; at++ {
				steps, kind := 0, 0
				for _, crash := range []bool{true, false} {
					for _, fate := range []mailboxtest.Fate{mailboxtest.Undo, mailboxtest.Mute, mailboxtest.Late} {
						for _, after := range []backup{kept, lost, old} {
							if after != kept && !crash || after == old && fate == mailboxtest.Late {
								continue // nobody can know what is still under way
							}
							if after == old && sc.later == nil {
								continue // there was none yet
							}
							if kind++; (at+kind)%everyStep != 0 {
								continue
							}
							name := fmt.Sprintf("step %d crash %v fate %d record %s", at, crash, fate, after)
							synctest.Test(t, func(t *testing.T) { steps = disturb(t, sc, name, at, crash, fate, after) })
							total++
						}
					}
				}
				if steps < at {
					break
				}
			}
			t.Logf("%d disturbed passes", total)
		})
	}
}

// backup is what there is of the record after the disturbed pass.
type backup string

const (
	kept backup = "kept"
	lost backup = "lost"
	old  backup = "restored as it was before"
)

// copyOf returns records as they are now.
func copyOf(t *testing.T, r mailsync.Records) mailsync.Records {
	t.Helper()
	all, err := r.Records(t.Context())
	out := mailsync.NewMemoryRecords()
	for _, x := range all {
		err = errors.Join(err, out.Commit(t.Context(), migration.Window{Folder: x.Folder, Head: x.Head}))
		for _, entry := range x.Journal {
			err = errors.Join(err, out.Commit(t.Context(), migration.Window{Folder: x.Folder, Append: entry}))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func disturb(t *testing.T, sc scenario, name string, at int, crash bool, fate mailboxtest.Fate, after backup) int {
	t.Helper()
	p := newPair(t)
	sc.setup(p)
	if sc.later != nil {
		p.mustRun()
		sc.later(p)
	}
	p.job.Connections = sc.connections
	before := copyOf(t, p.records)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	a := &accident{at: at, fate: fate, crash: crash, kill: cancel, records: p.records}
	p.source.Step, p.target.Step = a.step, a.step
	_, err := mailsync.Run(ctx, mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: a, Window: 3, NewestFirst: sc.newestFirst, Connections: sc.connections})
	p.source.Step, p.target.Step = nil, nil
	if crash && a.dead && !errors.Is(err, errCrash) {
		t.Fatalf("%s: the pass ended with %v", name, err)
	}
	switch after {
	case lost:
		p.records = mailsync.NewMemoryRecords()
		p.job.Unsettled = true // as the mailbox's lease knows
	case old:
		p.records = before
	}
	if out, err := p.run(); err != nil {
		t.Fatalf("%s: the next pass: %v", name, err)
	} else if out.Tally.Surplus != 0 {
		t.Errorf("%s: surplus %d", name, out.Tally.Surplus)
	}
	time.Sleep(time.Minute) // in the bubble
	compare(t, p, name, after == lost && sc.later != nil)
	p.job.Unsettled = false
	out, err := p.run()
	if err != nil {
		t.Fatalf("%s: one more pass: %v", name, err)
	}
	if c := out.Tally; c.Copied+c.Adopted+c.FlagsUpdated != 0 {
		t.Fatalf("%s: one more pass found work: %+v", name, c)
	}
	compare(t, p, name, after == lost && sc.later != nil)
	return a.steps
}

// compare compares the mailboxes. bodiesOnly: an adopted message keeps flags that
// were taken away at the source while the record was lost.
func compare(t *testing.T, p *pairOf, name string, bodiesOnly bool) {
	t.Helper()
	want, got := contents(p.source, bodiesOnly), contents(p.target, bodiesOnly)
	want = slices.DeleteFunc(want, func(line string) bool { return strings.Contains(line, fmt.Sprintf("%x", "virus")) }) // skipped
	if !slices.Equal(want, got) {
		t.Fatalf("%s: the mailboxes differ: source %d messages, target %d\n%s", name, len(want), len(got), difference(want, got))
	}
}
