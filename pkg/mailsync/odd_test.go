package mailsync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// odd is a server with habits that mailboxtest.Memory does not have.
type odd struct {
	*mailboxtest.Memory
	noUIDNext  bool         // in SELECT and STATUS
	noStatus   bool         // LIST tells no numbers
	fewUIDs    bool         // APPENDUID tells of one message too few, now and then
	tear       atomic.Int32 // the body of the how manieth message from now on tears once
	tearAlways func(mailbox.Message) bool
	// hangUp says at which message the server closes the connection.
	hangUp func(body []byte) bool
}

func (o *odd) Open(ctx context.Context) (mailbox.Session, error) {
	s, err := o.Memory.Open(ctx)
	if err != nil {
		return nil, err
	}
	return &oddSession{Session: s, o: o}, nil
}

type oddSession struct {
	mailbox.Session
	o *odd
}

func (s *oddSession) List(ctx context.Context) ([]mailbox.Folder, error) {
	out, err := s.Session.List(ctx)
	for i := range out {
		if out[i].Status != nil && s.o.noUIDNext {
			out[i].Status.UIDNext = 0
		}
		if s.o.noStatus {
			out[i].Status = nil
		}
	}
	return out, err
}

func (s *oddSession) Select(ctx context.Context, name string, readOnly bool) (mailbox.Selected, error) {
	sel, err := s.Session.Select(ctx, name, readOnly)
	if s.o.noUIDNext {
		sel.UIDNext = 0
	}
	return sel, err
}

var errTorn = errors.New("the stream tore")

// torn is a body that ends in an error.
type torn struct {
	body io.Reader
	o    *odd
	end  error
}

func (t *torn) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	if errors.Is(err, io.EOF) {
		t.end = migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, t.o.Side, "read", errTorn)
		return n, t.end
	}
	return n, err
}

func (s *oddSession) Messages(ctx context.Context, set mailbox.UIDSet, each func(mailbox.Message) error) error {
	return s.Session.Messages(ctx, set, func(m mailbox.Message) error {
		if !(s.o.tearAlways != nil && s.o.tearAlways(m)) && s.o.tear.Add(-1) != 0 {
			return each(m)
		}
		t := &torn{body: io.LimitReader(m.Body, m.Size/2), o: s.o}
		m.Body = t
		err := each(m)
		if t.end != nil && err == nil {
			err = t.end
		}
		if t.end != nil {
			s.Kill(t.end)
		}
		return err
	})
}

func (s *oddSession) Append(ctx context.Context, name string, mode mailbox.AppendMode) (mailbox.Appender, error) {
	a, err := s.Session.Append(ctx, name, mode)
	if err != nil {
		return nil, err
	}
	return &oddAppender{Appender: a, s: s}, nil
}

type oddAppender struct {
	mailbox.Appender
	s *oddSession
	n int
}

func (a *oddAppender) Add(ctx context.Context, m mailbox.NewMessage) error {
	if a.s.o.hangUp != nil {
		body, err := io.ReadAll(m.Body)
		if err != nil {
			err = &mailbox.BodyError{Err: err}
			a.s.Kill(err)
			return err
		}
		if a.s.o.hangUp(body) {
			err := migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, a.s.o.Side, "hung up", nil)
			a.s.Kill(err)
			return err
		}
		m.Body = bytes.NewReader(body)
	}
	return a.Appender.Add(ctx, m)
}

func (a *oddAppender) Receive(ctx context.Context) (mailbox.Answer, error) {
	ans, err := a.Appender.Receive(ctx)
	if a.n++; a.s.o.fewUIDs && err == nil && a.n%2 == 1 && len(ans.UIDs) > 0 {
		ans.UIDs = ans.UIDs[:len(ans.UIDs)-1]
	}
	return ans, err
}

// oddPair is a pair whose servers have odd habits.
func oddPair(t *testing.T) (p *pairOf, source, target *odd, run func() (mailsync.Outcome, error)) {
	p = newPair(t)
	source, target = &odd{Memory: p.source}, &odd{Memory: p.target}
	return p, source, target, func() (mailsync.Outcome, error) {
		job := p.job
		job.Source, job.Target, job.Records = source.Open, target.Open, p.records
		out, err := mailsync.Run(t.Context(), job)
		if e := balanced(out, err); e != nil {
			t.Error(e)
		}
		return out, err
	}
}

// balanced checks that every message seen is in one column.
func balanced(out mailsync.Outcome, err error) error {
	c := out.Tally
	if !out.Yielded && c.Seen != c.Unchanged+c.Copied+c.Adopted+c.Skipped+c.Failed {
		return fmt.Errorf("seen %d is not the sum of its parts: %+v (after %s)", c.Seen, c, fmt.Sprint(err))
	}
	return nil
}
