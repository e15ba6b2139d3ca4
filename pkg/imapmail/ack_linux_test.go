package imapmail

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// TestEachMessageIsAskedForAtOnce: a server without LITERAL+ that answers one message
// and asks for the next in two small writes, as Courier does, is not kept waiting for
// our acknowledgement, which the system delays by 40 ms. Where it is, every message
// waits; on a machine that is busy some do, so the quickest quarter is judged.
func TestEachMessageIsAskedForAtOnce(t *testing.T) {
	const messages = 200
	a := scripted(t, func(s *script) {
		s.welcome("UIDPLUS")
		if err := s.c.(*net.TCPConn).SetNoDelay(false); err != nil {
			t.Error(err)
		}
		for range messages {
			tag := s.hear("APPEND")
			s.say("+ go on")
			if _, err := io.ReadFull(s.r, make([]byte, len("x\r\n\r\n"))); err != nil {
				panic(errHeard)
			}
			s.say("%s OK stored", tag)
		}
	})
	s := opened(t, a)
	ctx := t.Context()
	ap, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	var each []time.Duration
	for range messages {
		begun := time.Now()
		if err := ap.Add(ctx, note("x\r\n")); err != nil {
			t.Fatal(err)
		}
		each = append(each, time.Since(begun))
	}
	if err := ap.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if answer, err := ap.Receive(ctx); err != nil || len(answer.Each) != messages {
		t.Errorf("%d answers, %v", len(answer.Each), err)
	}
	slices.Sort(each)
	if quick := each[messages/4]; quick > 25*time.Millisecond {
		t.Errorf("a message takes %s, the slowest %s", quick, each[messages-1])
	}
	if err := ap.Close(); err != nil {
		t.Error(err)
	}
}
