package mailsync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

var day = time.Date(2024, 3, 9, 8, 7, 6, 0, time.FixedZone("", 3600))

// letter is a small message; letters with the same id share a Message-ID.
func letter(id string, body ...string) []byte {
	text := strings.Join(body, "\r\n")
	if text == "" {
		text = "the body of " + id
	}
	return []byte("From: a@example.org\r\nTo: b@example.net\r\nSubject: " + id + "\r\nMessage-ID: <" + id + "@example.org>\r\n\r\n" + text + "\r\n")
}

// pairOf is a mailbox pair and what is remembered of it.
type pairOf struct {
	t              *testing.T
	source, target *mailboxtest.Memory
	records        mailsync.Records
	job            mailsync.Job
}

func newPair(t *testing.T) *pairOf {
	p := &pairOf{t: t, source: mailboxtest.NewMemory(), target: mailboxtest.NewMemory(), records: mailsync.NewMemoryRecords()}
	p.source.Side, p.target.Side = migration.Source, migration.Target
	return p
}

// run performs a pass and checks that its books are right.
func (p *pairOf) run() (mailsync.Outcome, error) {
	p.t.Helper()
	job := p.job
	job.Source, job.Target, job.Records = p.source.Open, p.target.Open, p.records
	out, err := mailsync.Run(p.t.Context(), job)
	c := out.Tally
	if !out.Yielded && c.Seen != c.Unchanged+c.Copied+c.Adopted+c.Skipped+c.Failed {
		p.t.Errorf("seen %d is not the sum of its parts: %+v", c.Seen, c)
	}
	return out, err
}

func (p *pairOf) mustRun() mailsync.Outcome {
	p.t.Helper()
	out, err := p.run()
	if err != nil {
		p.t.Fatalf("pass: %v", err)
	}
	return out
}

// contents lists a mailbox's messages, one line each, sorted: folder, flags, date, body.
func contents(m *mailboxtest.Memory, bodiesOnly bool) []string {
	var out []string
	for _, name := range m.Names() {
		f := m.Folder(name)
		if f.Parent {
			continue
		}
		for _, x := range f.Messages {
			line := fmt.Sprintf("%s|%x", name, x.Body)
			if !bodiesOnly {
				line = fmt.Sprintf("%s|%s|%d|%x", name, x.Flags, x.Date.Unix(), x.Body)
			}
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return out
}

// same fails the test unless the target holds exactly the source's messages.
func (p *pairOf) same() {
	p.t.Helper()
	want, got := contents(p.source, false), contents(p.target, false)
	if !slices.Equal(want, got) {
		p.t.Fatalf("the mailboxes differ: source %d messages, target %d\n%s", len(want), len(got), difference(want, got))
	}
}

func difference(want, got []string) string {
	var b strings.Builder
	count := map[string]int{}
	for _, w := range want {
		count[w]++
	}
	for _, g := range got {
		count[g]--
	}
	for line, n := range count {
		if n != 0 && b.Len() < 2000 {
			fmt.Fprintf(&b, "%+d %.200s\n", -n, line)
		}
	}
	return b.String()
}

func tallyIs(t *testing.T, out mailsync.Outcome, want migration.Tally) {
	t.Helper()
	got := out.Tally
	got.Folders, got.FoldersDone, got.Bytes, got.BytesTotal = 0, 0, 0, 0
	if got != want {
		t.Fatalf("tally %+v, want %+v", got, want)
	}
}

// fill puts awkward mail into the source.
func fill(m *mailboxtest.Memory, n int) {
	m.Make("Empty")
	m.Make("Sent").Role = mailbox.RoleSent
	m.Make("Archive/2021").Subscribed = true
	for i := range n {
		folder := []string{"INBOX", "Sent", "Archive/2021"}[i%3]
		body := letter(fmt.Sprint(i))
		flags := []string{mailbox.Seen}
		switch i % 10 {
		case 1:
			body = letter("shared", fmt.Sprint("template ", i)) // one Message-ID, other bodies
		case 2:
			body = letter("twin", "the same in every respect")
		case 3:
			body = []byte("Subject: no id " + fmt.Sprint(i%20) + "\r\n\r\nbody\r\n")
			flags = []string{mailbox.Flagged, "$Forwarded"}
		case 4:
			body = []byte("\r\nno header at all\r\n")
			flags = nil
		case 5:
			body = append(letter(fmt.Sprint("long", i)), bytes.Repeat([]byte("x"), 700)...)
		}
		m.Deliver(folder, body, day.Add(time.Duration(i%7)*time.Hour), flags...)
	}
	m.Expunge("INBOX", 2, 5)
}

func TestPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		fill(p.source, 900)
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 898, Copied: 898})
		p.same()
		if f := p.target.Folder("Empty"); f == nil {
			t.Error("the empty folder is not there")
		}
		if f := p.target.Folder("Archive"); f == nil || !f.Parent {
			t.Errorf("Archive is %+v, want a mere parent", f)
		}
		if !p.target.Folder("Archive/2021").Subscribed || p.target.Folder("Sent").Subscribed {
			t.Error("subscriptions are not the source's")
		}

		writes := p.target.Writes
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 898, Unchanged: 898})
		if p.target.Writes != writes {
			t.Error("a pass with nothing new wrote")
		}

		p.source.Deliver("INBOX", letter("new"), day)
		p.source.SetFlags("INBOX", 1, mailbox.Flagged, "Later")
		p.source.Expunge("Sent", 1)
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 898, Unchanged: 897, Copied: 1, FlagsUpdated: 1})
		if got := p.target.Folder("INBOX").Messages[0].Flags.String(); got != `\Flagged Later` {
			t.Errorf("flags are %q", got)
		}
	})
}

func TestAdoption(t *testing.T) {
	tests := []struct {
		name  string
		lose  func(p *pairOf)
		tally migration.Tally
	}{
		{
			"records lost", func(p *pairOf) { p.records = mailsync.NewMemoryRecords() },
			migration.Tally{Seen: 298, Adopted: 298},
		},
		{"records lost, some copies gone", func(p *pairOf) {
			p.records = mailsync.NewMemoryRecords()
			p.target.Expunge("INBOX", 1, 2, 3, 4, 5, 6, 7)
		}, migration.Tally{Seen: 298, Adopted: 291, Copied: 7}},
		{
			"one target folder with another uidvalidity", func(p *pairOf) { p.target.Folder("Sent").Validity += 77 },
			migration.Tally{Seen: 298, Adopted: 100, Unchanged: 198},
		},
		{
			"source with another uidvalidity", func(p *pairOf) { p.source.Folder("Sent").Validity += 77 },
			migration.Tally{Seen: 298, Adopted: 100, Unchanged: 198},
		},
		{
			"a new target", func(p *pairOf) { p.target = mailboxtest.NewMemory(); p.target.Folder("INBOX").Validity = 4711 },
			migration.Tally{Seen: 298, Copied: 298, Redelivered: 298},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				fill(p.source, 300)
				p.mustRun()
				tt.lose(p)
				tallyIs(t, p.mustRun(), tt.tally)
				p.same()
				tallyIs(t, p.mustRun(), migration.Tally{Seen: 298, Unchanged: 298})
			})
		})
	}
}

// TestAdoptionAddsFlags: of a folder filled by somebody else, in an order of its own, every
// message gets the flags that it lacks and keeps those it has, also where that takes
// several pieces.
func TestAdoptionAddsFlags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 51
		p := newPair(t)
		p.job.Window = 3
		of := func(i int, names ...string) mailbox.Flags {
			var out []string
			for bit, name := range names {
				if i>>bit&1 == 1 {
					out = append(out, name)
				}
			}
			return mailbox.NewFlags(out...)
		}
		for i := range n {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day, of(i, mailbox.Seen, mailbox.Flagged, "Work")...)
			there := n - 1 - i
			p.target.Deliver("INBOX", letter(fmt.Sprint(there)), day, of(there, mailbox.Answered, mailbox.Seen, "Mine")...)
		}
		tallyIs(t, p.mustRun(), migration.Tally{Seen: n, Adopted: n})
		for at, m := range p.target.Messages("INBOX") {
			i := n - 1 - at
			want := mailbox.NewFlags(append(of(i, mailbox.Seen, mailbox.Flagged, "Work"), of(i, mailbox.Answered, mailbox.Seen, "Mine")...)...)
			if !m.Flags.Equal(want) {
				t.Errorf("message %d has %q, want %q", i, m.Flags, want)
			}
		}
		tallyIs(t, p.mustRun(), migration.Tally{Seen: n, Unchanged: n})
	})
}

func TestWhatTheUserDidAtTheTargetStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		for i := range 5 {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day, mailbox.Seen)
			p.source.Deliver("Old", letter(fmt.Sprint("old", i)), day)
		}
		p.mustRun()
		p.target.Expunge("INBOX", 2)                           // deleted
		p.target.SetFlags("INBOX", 1, mailbox.Flagged, "Mine") // read mark taken away, flagged
		p.target.Delete("Old")                                 // a whole folder
		p.source.SetFlags("INBOX", 1, mailbox.Seen, mailbox.Answered)
		p.source.SetFlags("INBOX", 2, mailbox.Answered)
		p.source.Deliver("INBOX", letter("6"), day)
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 11, Unchanged: 10, Copied: 1, FlagsUpdated: 2})
		if got := p.target.Folder("INBOX").Messages[0].Flags.String(); got != `\Answered \Flagged Mine` {
			t.Errorf("flags are %q: only what changed at the source may change", got)
		}
		if n := len(p.target.Folder("INBOX").Messages); n != 5 {
			t.Errorf("%d messages in INBOX, want 5: the deleted one stays deleted", n)
		}
		if p.target.Folder("Old") != nil {
			t.Error("the deleted folder came back without new mail")
		}
		p.source.Deliver("Old", letter("old-new"), day)
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 12, Unchanged: 11, Copied: 1})
		if f := p.target.Folder("Old"); f == nil || len(f.Messages) != 1 {
			t.Error("the folder did not come back with the new mail alone")
		}
	})
}

func TestWithoutAbilities(t *testing.T) {
	tests := map[string]func(source, target *mailbox.Caps){
		"UIDPLUS":                func(_, c *mailbox.Caps) { c.UIDPlus = false },
		"MULTIAPPEND":            func(_, c *mailbox.Caps) { c.MultiAppend = false },
		"MULTIAPPEND or UIDPLUS": func(_, c *mailbox.Caps) { c.MultiAppend, c.UIDPlus = false, false },
		"CONDSTORE":              func(c, _ *mailbox.Caps) { c.CondStore = false },
	}
	for name, without := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				without(&p.source.Caps, &p.target.Caps)
				fill(p.source, 300)
				tallyIs(t, p.mustRun(), migration.Tally{Seen: 298, Copied: 298})
				p.same()
				p.source.SetFlags("Sent", 3, mailbox.Draft)
				p.source.Deliver("Sent", letter("new"), day)
				tallyIs(t, p.mustRun(), migration.Tally{Seen: 299, Copied: 1, Unchanged: 298, FlagsUpdated: 1})
				p.same()
				tallyIs(t, p.mustRun(), migration.Tally{Seen: 299, Unchanged: 299})
			})
		})
	}
}

func TestRefusedMessages(t *testing.T) {
	for _, multi := range []bool{true, false} {
		t.Run(fmt.Sprint("multiappend ", multi), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				p.target.Caps.MultiAppend = multi
				p.job.MaxMessageSize = 2000
				refuse := func(reason string) error {
					return migration.NewFault(migration.MessageRejected, migration.ScopeMessage, migration.Target, reason, nil)
				}
				p.target.Refuse = func(m mailbox.Message, body []byte) error {
					switch {
					case bytes.Contains(body, []byte("virus")):
						return refuse("NO contains a virus")
					case m.Flags.Has("Refused"):
						return refuse("NO invalid keyword")
					case !m.Date.IsZero() && m.Date.Year() < 1970:
						return refuse("BAD invalid date")
					}
					return nil
				}
				for i := range 450 {
					p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
				}
				p.source.Deliver("INBOX", letter("bad", "virus"), day)
				p.source.Deliver("INBOX", letter("keyword"), day, mailbox.Seen, "Refused")
				p.source.Deliver("INBOX", letter("early"), time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC))
				p.source.Deliver("INBOX", letter("large", strings.Repeat("x", 3000)), day)
				p.source.Deliver("INBOX", letter("withheld"), day)
				p.source.Folder("INBOX").Messages[454].Withheld = true
				out := p.mustRun()
				tallyIs(t, out, migration.Tally{Seen: 455, Copied: 452, Skipped: 3})
				codes := map[string]migration.Code{}
				for _, it := range out.Items {
					codes[it.MessageID] = it.Code
				}
				want := map[string]migration.Code{"<bad@example.org>": migration.MessageRejected, "<large@example.org>": migration.MessageTooLarge, "": migration.MessageUnreadable}
				if fmt.Sprint(codes) != fmt.Sprint(want) {
					t.Errorf("items %v, want %v", codes, want)
				}
				again := p.mustRun()
				tallyIs(t, again, migration.Tally{Seen: 455, Unchanged: 452, Skipped: 3})
				if len(again.Items) != 3 {
					t.Errorf("%d items in the second pass, want the 3 again", len(again.Items))
				}
				p.job.MaxMessageSize = 0
				tallyIs(t, p.mustRun(), migration.Tally{Seen: 455, Unchanged: 452, Skipped: 2, Copied: 1})
			})
		})
	}
}

func TestYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		fill(p.source, 1500)
		p.job.Yield = func() bool { return true }
		passes := 0
		for {
			out := p.mustRun()
			passes++
			if !out.Yielded {
				break
			}
			if !out.Progress {
				t.Fatal("yielded without progress")
			}
		}
		p.same()
		if passes < 3 {
			t.Errorf("%d passes: it did not yield after a window", passes)
		}
	})
}

// TestStopWhileFoldersSettle: a process that is to end does not wait for servers that
// may still be at work.
func TestStopWhileFoldersSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.source.Deliver("INBOX", letter("one"), day)
		died, die := context.WithCancelCause(t.Context())
		p.target.Step = func(op string) mailboxtest.Fate {
			if op == "append" {
				die(migration.ErrLeaseLost)
			}
			return mailboxtest.Done
		}
		if _, err := mailsync.Run(died, mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: p.records}); !errors.Is(err, migration.ErrLeaseLost) {
			t.Fatalf("the pass that died: %v", err)
		}
		p.target.Step = nil
		stop := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(stop) })
		p.job.Stop = stop
		begun := time.Now()
		out := p.mustRun()
		if took := time.Since(begun); !out.Yielded || took != time.Second {
			t.Errorf("yielded %v after %s, want after a second", out.Yielded, took)
		}
		p.job.Stop = nil
		begun = time.Now()
		if out := p.mustRun(); time.Since(begun) < 10*time.Second {
			t.Errorf("the next pass did not let the folder settle: %s, %+v", time.Since(begun), out.Tally)
		}
		p.same()
	})
}

func TestNewestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		for i := range 1200 {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
		}
		p.source.Expunge("INBOX", 700, 701, 1)
		p.job.NewestFirst = true
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 1197, Copied: 1197})
		p.same()
		if got := p.target.Folder("INBOX").Messages[0].Body; !bytes.Equal(got, letter("701")) {
			t.Errorf("the first message to arrive is\n%s", got)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		fill(p.source, 900)
		ctx, cancel := context.WithCancelCause(t.Context())
		var n atomic.Int32
		p.target.Step = func(op string) mailboxtest.Fate {
			if n.Add(1) == 300 {
				cancel(migration.ErrLeaseLost)
			}
			return mailboxtest.Done
		}
		_, err := mailsync.Run(ctx, mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: p.records})
		if !errors.Is(err, migration.ErrLeaseLost) {
			t.Fatalf("error %v, want the cause", err)
		}
		p.target.Step = nil
		p.mustRun()
		p.same()
	})
}
