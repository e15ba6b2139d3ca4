package mailboxtest

import (
	"context"
	"errors"
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
	ctx, cancel := context.WithCancelCause(testContext(t))
	a, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	received := make(chan error, 1)
	go func() {
		_, err := a.Receive(ctx) // nothing was sent: it would wait for ever
		received <- err
	}()
	cancel(errEnough)
	if err := <-received; !errors.Is(err, errEnough) {
		t.Errorf("got %v, want %v", err, errEnough)
	}
	_ = a.Close()
	dead(t, s)
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
