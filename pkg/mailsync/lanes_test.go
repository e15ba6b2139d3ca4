package mailsync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// gate counts the connections to one side, and those over which messages went.
type gate struct {
	mu              sync.Mutex
	open            mailbox.Opener
	allowed         int // further ones are refused
	now, most, used int
	refused         int
}

func (c *gate) Open(ctx context.Context) (mailbox.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.allowed > 0 && c.now >= c.allowed {
		c.refused++
		return nil, migration.NewFault(migration.AuthFailed, migration.ScopeUser, migration.Target, "NO [LIMIT] too many connections", nil)
	}
	s, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	c.now++
	c.most = max(c.most, c.now)
	return &gateSession{Session: s, c: c}, nil
}

type gateSession struct {
	mailbox.Session
	c    *gate
	end  sync.Once
	used sync.Once
}

func (s *gateSession) ended() {
	s.end.Do(func() {
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		s.c.now--
	})
}

func (s *gateSession) Kill(cause error) {
	s.Session.Kill(cause)
	s.ended()
}

func (s *gateSession) Close() error {
	s.ended()
	return s.Session.Close()
}

func (s *gateSession) Append(ctx context.Context, name string, mode mailbox.AppendMode) (mailbox.Appender, error) {
	a, err := s.Session.Append(ctx, name, mode)
	return &gateAppender{a, s}, err
}

type gateAppender struct {
	mailbox.Appender
	s *gateSession
}

func (a *gateAppender) Add(ctx context.Context, m mailbox.NewMessage) error {
	a.s.used.Do(func() {
		a.s.c.mu.Lock()
		defer a.s.c.mu.Unlock()
		a.s.c.used++
	})
	return a.Appender.Add(ctx, m)
}

// slowly makes every answer to an append take as long as a round trip, so that all
// connections have their part.
func slowly(m *mailboxtest.Memory) {
	m.Step = func(op string) mailboxtest.Fate {
		if op == "answer" {
			time.Sleep(50 * time.Millisecond) // in the bubble
		}
		return mailboxtest.Done
	}
}

// lanes runs a pass of p with four connections allowed, and counts them at each side.
func (p *pairOf) lanes(allowed int) (out mailsync.Outcome, source, target *gate) {
	p.t.Helper()
	source, target = &gate{open: p.source.Open}, &gate{open: p.target.Open, allowed: allowed}
	job := p.job
	job.Source, job.Target, job.Records = source.Open, target.Open, p.records
	job.Connections = 4
	out, err := mailsync.Run(p.t.Context(), job)
	if err != nil {
		p.t.Fatalf("pass: %v", err)
	}
	if e := balanced(out, err); e != nil {
		p.t.Error(e)
	}
	if source.now+target.now != 0 {
		p.t.Errorf("%d connections to the source and %d to the target are left", source.now, target.now)
	}
	return out, source, target
}

// Work is shared by folders, and a large folder by its messages. What little there is
// has one pair of connections.
func TestSeveralConnections(t *testing.T) {
	for name, spread := range map[string]int{"one folder": 1, "folders": 12} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				p.job.Window = 10
				for i := range 600 {
					p.source.Deliver(fmt.Sprint("F", i%spread), letter(fmt.Sprint(i)), day)
				}
				slowly(p.target)
				out, source, target := p.lanes(0)
				tallyIs(t, out, migration.Tally{Seen: 600, Copied: 600})
				p.same()
				if source.most != 4 || target.most != 4 || target.used != 4 {
					t.Errorf("%d connections to the source, %d to the target, messages over %d; want 4 of each", source.most, target.most, target.used)
				}

				out, source, target = p.lanes(0)
				tallyIs(t, out, migration.Tally{Seen: 600, Unchanged: 600})
				if source.most != 1 || target.most != 1 {
					t.Errorf("nothing new: %d connections to the source, %d to the target", source.most, target.most)
				}

				p.source.Deliver("F0", letter("new"), day)
				out, source, target = p.lanes(0)
				tallyIs(t, out, migration.Tally{Seen: 601, Unchanged: 600, Copied: 1})
				if source.most != 1 || target.most != 1 {
					t.Errorf("one new message: %d connections to the source, %d to the target", source.most, target.most)
				}
				p.same()
			})
		})
	}
}

// A server that lets in fewer connections than the pass might have gets all messages
// over those: the pass does not fail, does not ask again and again, and says why.
func TestFurtherConnectionsRefused(t *testing.T) {
	for _, allowed := range []int{1, 2} {
		for _, spread := range []int{1, 12} {
			t.Run(fmt.Sprintf("%d allowed, %d folders", allowed, spread), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPair(t)
					p.job.Window = 10
					for i := range 300 {
						p.source.Deliver(fmt.Sprint("F", i%spread), letter(fmt.Sprint(i)), day)
					}
					slowly(p.target)
					out, _, target := p.lanes(allowed)
					tallyIs(t, out, migration.Tally{Seen: 300, Copied: 300})
					p.same()
					if target.used != allowed || target.refused != 4-allowed {
						t.Errorf("messages went over %d connections, %d were refused", target.used, target.refused)
					}
					if out.Fewer == nil || len(out.Items) != 0 {
						t.Errorf("told %v, items %v", out.Fewer, out.Items)
					}
				})
			})
		}
	}
}

// Nothing is sent before the record says that something may be under way, and when the
// record says that nothing is any more, all has been answered.
func TestTheRecordSaysWhatSeveralConnectionsDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		for i := range 200 {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
		}
		w := &watching{kept: p.records}
		p.target.Step = func(op string) mailboxtest.Fate {
			w.mu.Lock()
			defer w.mu.Unlock()
			switch op {
			case "append":
				w.underWay++
				if !w.writing {
					w.wrong = append(w.wrong, "a window was sent, and the record did not say Writing")
				}
			case "answer":
				w.underWay--
			}
			return mailboxtest.Done
		}
		answers := p.target.Step
		p.target.Step = func(op string) mailboxtest.Fate {
			if op == "answer" {
				time.Sleep(time.Second) // in the bubble
			}
			return answers(op)
		}
		// The owner's last answer is there before those to the others.
		further := &gate{open: func(ctx context.Context) (mailbox.Session, error) {
			s, err := p.target.Open(ctx)
			return lateTarget{s}, err
		}}
		p.records, p.job.Window, p.job.FurtherTarget = w, 5, further.Open
		_, _, target := p.lanes(0)
		p.same()
		if target.used != 1 || further.used == 0 {
			t.Errorf("messages went over %d and %d connections", target.used, further.used)
		}
		if len(w.wrong) > 0 {
			t.Error(slices.Compact(w.wrong))
		}
	})
}

// lateTarget takes its time to answer.
type lateTarget struct{ mailbox.Session }

func (s lateTarget) Append(ctx context.Context, name string, mode mailbox.AppendMode) (mailbox.Appender, error) {
	a, err := s.Session.Append(ctx, name, mode)
	return lateAppender{a}, err
}

type lateAppender struct{ mailbox.Appender }

func (a lateAppender) Receive(ctx context.Context) (mailbox.Answer, error) {
	time.Sleep(3 * time.Second) // in the bubble
	return a.Appender.Receive(ctx)
}

// watching knows what the stored record says of INBOX.
type watching struct {
	kept     mailsync.Records
	mu       sync.Mutex
	writing  bool
	underWay int // windows without an answer
	wrong    []string
}

func (w *watching) Records(ctx context.Context) ([]migration.FolderRecord, error) {
	return w.kept.Records(ctx)
}

func (w *watching) Commit(ctx context.Context, win migration.Window) error {
	w.mu.Lock()
	first := !w.writing && writingIn(win.Head)
	w.mu.Unlock()
	if first {
		time.Sleep(100 * time.Millisecond) // in the bubble: who does not wait for this is first
	}
	err := w.kept.Commit(ctx, win)
	all, e := w.kept.Records(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range all {
		if r.Folder == "INBOX" {
			was := w.writing
			w.writing = writingIn(r.Head)
			if was && !w.writing && w.underWay > 0 {
				w.wrong = append(w.wrong, fmt.Sprintf("the record said no more Writing with %d windows under way", w.underWay))
			}
		}
	}
	return errors.Join(err, e)
}

func writingIn(head []byte) bool {
	return bytes.Contains(head, []byte(`"writing":true`))
}

// The record of a folder that several connections write has a run for each window, where
// one connection writes runs of any length.
func TestTheRecordOfSeveralConnectionsStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		const messages = 6000
		for i := range messages {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
		}
		slowly(p.target)
		_, _, target := p.lanes(0)
		p.same()
		records, err := p.records.Records(t.Context())
		if err != nil || target.used != 4 {
			t.Fatalf("%d connections, %v", target.used, err)
		}
		size := 0
		for _, r := range records {
			for _, entry := range r.Journal {
				size += len(entry)
			}
		}
		if per := float64(size) / messages; per > 0.5 {
			t.Errorf("%.2f bytes a message", per)
		}
	})
}
