package pass

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// turns is Rates that writes down what it is asked, a message a second.
type turns struct {
	mu       sync.Mutex
	messages map[int64]int // by endpoint
	passes   map[int64]int // running
	updated  map[int64]migration.Endpoint
	refuse   error
}

func newTurns() *turns {
	return &turns{messages: map[int64]int{}, passes: map[int64]int{}, updated: map[int64]migration.Endpoint{}}
}

func (r *turns) Enter(e migration.Endpoint) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passes[e.ID]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.passes[e.ID]--
	}
}

func (r *turns) Update(e migration.Endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.updated[e.ID] = e
}

func (r *turns) Message(ctx context.Context, endpointID int64) error {
	r.mu.Lock()
	r.messages[endpointID]++
	refuse := r.refuse
	r.mu.Unlock()
	if refuse != nil {
		return refuse
	}
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *turns) asked(endpointID int64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.messages[endpointID]
}

// at opens m over sessions that wait for their turns.
func (r *turns) at(m *mailboxtest.Memory, endpointID int64) mailbox.Opener {
	return func(ctx context.Context) (mailbox.Session, error) {
		s, err := m.Open(ctx)
		return paced{s, r, endpointID}, err
	}
}

func TestEveryMessageWaitsForItsTurnAtBothEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, source, target := newTurns(), mailboxtest.NewMemory(), mailboxtest.NewMemory()
		for i := range 20 {
			source.Deliver("INBOX", fmt.Appendf(nil, "Message-ID: <%d@x>\r\n\r\nhello\r\n", i), time.Now())
		}
		job := mailsync.Job{Source: r.at(source, 1), Target: r.at(target, 2), Records: mailsync.NewMemoryRecords()}
		begun := time.Now()
		if _, err := mailsync.Run(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); len(target.Messages("INBOX")) != 20 || took < 20*time.Second {
			t.Errorf("%d messages in %s", len(target.Messages("INBOX")), took)
		}
		if r.asked(1) != 20 || r.asked(2) != 20 {
			t.Errorf("turns: %d at the source, %d at the target; want 20 and 20", r.asked(1), r.asked(2))
		}
		// A pass with nothing new takes nobody's turn.
		if _, err := mailsync.Run(t.Context(), job); err != nil || r.asked(1) != 20 || r.asked(2) != 20 {
			t.Errorf("turns: %d at the source, %d at the target, %v; want 20 and 20 as before", r.asked(1), r.asked(2), err)
		}
	})
}

// Nothing may be on its way over a connection whose message did not get its turn.
func TestAMessageWithoutATurnEndsTheConnection(t *testing.T) {
	r, m := newTurns(), mailboxtest.NewMemory()
	r.refuse = errors.New("stopped")
	s, err := r.at(m, 1)(t.Context())
	must(t, err)
	a, err := s.Append(t.Context(), "INBOX", mailbox.AppendMode{})
	must(t, err)
	if err := a.Add(t.Context(), mailbox.NewMessage{Message: mailbox.Message{Body: io.LimitReader(nil, 0)}}); !errors.Is(err, r.refuse) {
		t.Errorf("added with %v", err)
	}
	if _, err := s.List(t.Context()); err == nil {
		t.Error("the connection goes on")
	}
}

func TestAPassEntersItsEndpoints(t *testing.T) {
	r := newTurns()
	w := newWorld(t, nil, alice())
	w.Rates = r
	var entered []int
	w.engine(func(context.Context, mailsync.Job) (mailsync.Outcome, error) {
		entered = []int{r.passes[w.source.ID], r.passes[w.target.ID]}
		return mailsync.Outcome{}, nil
	})
	w.run()
	for _, a := range w.accounts {
		if a.EndpointID != w.source.ID && a.EndpointID != w.target.ID {
			t.Errorf("the %s account has endpoint %d", a.Side, a.EndpointID)
		}
	}
	if !slices.Equal(entered, []int{1, 1}) || r.passes[w.source.ID] != 0 || r.passes[w.target.ID] != 0 {
		t.Errorf("entered %v during the pass, %v after it", entered, r.passes)
	}
	// One endpoint for both sides is one pass.
	leave := w.enter(w.source, w.source)
	if r.passes[w.source.ID] != 1 {
		t.Errorf("entered %d times", r.passes[w.source.ID])
	}
	leave()
}

// changing is a store whose endpoints an operator has just changed.
type changing struct {
	beating
	host string
}

func (c changing) EndpointByID(_ context.Context, id int64) (migration.Endpoint, error) {
	if id == 3 {
		return migration.Endpoint{}, errors.New("the database is away")
	}
	return migration.Endpoint{ID: id, EndpointSpec: migration.EndpointSpec{Host: c.host}}, nil
}

func TestARunningPassHearsOfAChangedEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTurns()
		all := func(tokens []int64) ([]int64, error) { return tokens, nil }
		runner := NewRunner(Config{Log: zap.NewNop(), Rates: r, Store: changing{beating{beat: all}, "new"}})
		alive, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- runner.KeepAlive(alive) }()
		for token, target := range map[int64]int64{1: 3, 2: 2} {
			lease := migration.Lease{Token: token, SourceEndpointID: 1, TargetEndpointID: target}
			d := runner.heart.take(lease, time.Now(), func(error) {})
			defer runner.heart.drop(d)
		}
		time.Sleep(beatEvery + time.Millisecond) // in the bubble
		synctest.Wait()
		r.mu.Lock()
		if len(r.updated) != 2 || r.updated[1].Host != "new" || r.updated[2].Host != "new" {
			t.Errorf("told of %v", r.updated)
		}
		r.mu.Unlock()
		end()
		must(t, <-done)
	})
}
