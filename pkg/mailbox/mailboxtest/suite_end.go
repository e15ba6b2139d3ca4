package mailboxtest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

var endTests = []test{
	{"an error of the reader's ends the reading and the connection", endsByReader},
	{"a context that ends, ends the call with its cause", endsByContext},
	{"kill ends what is under way with its cause", endsByKill},
	{"sessions of one mailbox are independent", opensTwice},
}

var errEnough = errors.New("enough")

func endsByReader(t *testing.T, open mailbox.Opener) {
	s, _ := filled(t, open, 5)
	err := s.Messages(testContext(t), all(), func(mailbox.Message) error { return errEnough })
	if !errors.Is(err, errEnough) {
		t.Errorf("got %v, want %v", err, errEnough)
	}
	dead(t, s)
}

func endsByContext(t *testing.T, open mailbox.Opener) {
	s, _ := filled(t, open, 3)
	a, err := s.Append(testContext(t), "INBOX", mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	limited := testContext(t)
	ctx, cancel := context.WithCancelCause(limited)
	watched := heeded{ctx, make(chan struct{}), new(sync.Once)}
	received := make(chan error, 1)
	go func() {
		_, err := a.Receive(watched) // nothing was sent: it would wait for ever
		received <- err
	}()
	select {
	case <-watched.asked: // it is under way
	case err := <-received:
		t.Fatalf("it did not wait: %v", err)
	case <-limited.Done():
		t.Fatal("it waits, whatever becomes of its context")
	}
	cancel(errEnough)
	select {
	case err := <-received:
		if !errors.Is(err, errEnough) {
			t.Errorf("got %v, want %v", err, errEnough)
		}
	case <-limited.Done():
		t.Fatal("it waits on")
	}
	_ = a.Close()
	dead(t, s)
}

// heeded tells when somebody begins to look whether the context has ended.
type heeded struct {
	context.Context
	asked chan struct{}
	once  *sync.Once
}

func (h heeded) Done() <-chan struct{} {
	h.once.Do(func() { close(h.asked) })
	return h.Context.Done()
}

func endsByKill(t *testing.T, open mailbox.Opener) {
	s, _ := filled(t, open, 3)
	err := s.Messages(testContext(t), all(), func(mailbox.Message) error {
		s.Kill(errEnough)
		return nil
	})
	// What had come in before may still be told; the next call ends with the cause.
	if err == nil {
		_, err = s.List(testContext(t))
	}
	if !errors.Is(err, errEnough) {
		t.Errorf("got %v, want %v", err, errEnough)
	}
	dead(t, s)
}

func opensTwice(t *testing.T, open mailbox.Opener) {
	one, two := session(t, open), session(t, open)
	stored(t, write(t, one, "INBOX", mailbox.AppendMode{}, letter(1)))
	if err := one.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	selected(t, two, "INBOX", true)
	holds(t, two, letter(1))
}
