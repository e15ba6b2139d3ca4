package mailsync_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// brittle are connections that end after so many messages, each.
type brittle struct {
	open   mailbox.Opener
	side   migration.Side
	life   int
	mu     sync.Mutex
	opened int
}

func (b *brittle) Open(ctx context.Context) (mailbox.Session, error) {
	s, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.opened++
	b.mu.Unlock()
	return &brittleSession{Session: s, b: b}, nil
}

// brittleSession counts the messages that go over it.
type brittleSession struct {
	mailbox.Session
	b  *brittle
	mu sync.Mutex
	n  int
}

// breaks ends the connection if its life is over.
func (s *brittleSession) breaks() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n++; s.n <= s.b.life {
		return nil
	}
	err := migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, s.b.side, "the connection was reset", nil)
	s.Kill(err)
	return err
}

func (s *brittleSession) Messages(ctx context.Context, set mailbox.UIDSet, each func(mailbox.Message) error) error {
	return s.Session.Messages(ctx, set, func(m mailbox.Message) error {
		if err := s.breaks(); err != nil {
			return err
		}
		return each(m)
	})
}

func (s *brittleSession) Append(ctx context.Context, name string, mode mailbox.AppendMode) (mailbox.Appender, error) {
	a, err := s.Session.Append(ctx, name, mode)
	return &brittleAppender{a, s}, err
}

type brittleAppender struct {
	mailbox.Appender
	s *brittleSession
}

func (a *brittleAppender) Add(ctx context.Context, m mailbox.NewMessage) error {
	if err := a.s.breaks(); err != nil {
		return err
	}
	return a.Appender.Add(ctx, m)
}

// Of a pass over four pairs of connections three lose theirs, one after the other, again and
// again, each after a few messages. Nothing is lost, nothing is there twice, no message is
// thought to be the cause, and the pass does not fail.
func TestLanesThatLoseTheirConnections(t *testing.T) {
	for _, side := range []migration.Side{migration.Source, migration.Target, "both"} {
		for _, life := range []int{0, 1, 12} {
			for _, spread := range []int{1, 4} {
				t.Run(fmt.Sprintf("%s, %d messages each, %d folders", side, life, spread), func(t *testing.T) {
					t.Parallel() // in real time: a bubble's stands still while a lock is waited for
					p := newPair(t)
					for i := range 300 {
						p.source.Deliver(fmt.Sprint("F", i%spread), letter(fmt.Sprint(i)), day)
					}
					slowly(p.target)
					source := &brittle{open: p.source.Open, side: migration.Source, life: life}
					target := &brittle{open: p.target.Open, side: migration.Target, life: life}
					job := p.job
					job.Source, job.Target, job.Records = p.source.Open, p.target.Open, p.records
					job.FurtherSource, job.FurtherTarget = p.source.Open, p.target.Open
					job.Connections, job.Window, job.Settle = 4, 10, 20*time.Millisecond
					if side != migration.Target {
						job.FurtherSource = source.Open
					}
					if side != migration.Source {
						job.FurtherTarget = target.Open
					}
					out, err := mailsync.Run(t.Context(), job)
					if err != nil {
						t.Fatal(err)
					}
					if c := out.Tally; c.Copied+c.Adopted != 300 || c.Seen != 300 || len(out.Items) != 0 {
						t.Errorf("%+v, items %+v", c, out.Items)
					}
					p.same()
					opened := max(source.opened, target.opened)
					if opened == 0 {
						t.Error("no further connection was opened")
					}
					tallyIs(t, p.mustRun(), migration.Tally{Seen: 300, Unchanged: 300})
				})
			}
		}
	}
}
