package imapmail

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// crawl lets a piece go at a time, each after a pause.
type crawl struct {
	piece int
	pause time.Duration

	mu   sync.Mutex
	paid int
	most int // at a time
}

func (c *crawl) Piece() int { return c.piece }

func (c *crawl) Wait(ctx context.Context, n int) error {
	c.mu.Lock()
	c.paid, c.most = c.paid+n, max(c.most, n)
	c.mu.Unlock()
	if n == 0 {
		return nil
	}
	select {
	case <-time.After(c.pause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *crawl) total() (paid, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paid, c.most
}

// paced opens a session over a pipe to a server that plays part, in the bubble's time.
func paced(t *testing.T, p Pacer, count func(in, out int), part func(c net.Conn)) mailbox.Session {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }()
		part(server)
		_, _ = io.Copy(io.Discard, server)
	}()
	s, err := NewOpener(Account{Security: migration.Plain, User: "a", Password: migration.NewSecret("b")}, Options{
		Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil },
		Pace: p, OnBytes: count,
	})(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// takes an APPEND with its literal, slow or fast as it comes, and says yes.
func stores(c net.Conn) {
	var got strings.Builder
	p := make([]byte, 4096)
	for !strings.Contains(got.String(), "end of mail\r\n\r\n") {
		n, err := c.Read(p)
		if err != nil {
			return
		}
		if got.Write(p[:n]); strings.HasSuffix(got.String(), "}\r\n") {
			_, _ = io.WriteString(c, "+ go on\r\n")
		}
	}
	line := got.String()[strings.LastIndex(got.String(), " APPEND ")-2:]
	tag, _, _ := strings.Cut(strings.TrimLeft(line, "\n"), " ")
	_, _ = io.WriteString(c, tag+" OK stored\r\n")
}

// A turn that comes late is not the server's stall, in neither direction: each piece
// waits longer here than a server may be silent.
func TestWaitingForATurnIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &crawl{piece: 1000, pause: 2 * progressTimeout}
		var mu sync.Mutex
		wire := 0
		s := paced(t, p, func(in, out int) { mu.Lock(); wire += in + out; mu.Unlock() }, func(c net.Conn) {
			_, _ = io.WriteString(c, "* OK ready\r\n")
			answers(c, " OK [CAPABILITY IMAP4rev1 LITERAL+] in", " OK listed")
			stores(c)
		})
		a, err := s.Append(t.Context(), "INBOX", mailbox.AppendMode{})
		if err != nil {
			t.Fatal(err)
		}
		mail := strings.Repeat("x", 5000) + "end of mail\r\n"
		began := time.Now()
		err = a.Add(t.Context(), mailbox.NewMessage{Message: mailbox.Message{Size: int64(len(mail)), Body: strings.NewReader(mail)}})
		if err == nil {
			err = a.Flush(t.Context())
		}
		if took := time.Since(began); err != nil || took < 5*p.pause {
			t.Fatalf("sent after %s, %v", took, err)
		}
		if answer, err := a.Receive(t.Context()); err != nil || answer.Refused != nil {
			t.Errorf("%+v, %v", answer, err)
		}
		_ = a.Close()
		_ = s.Close()
		mu.Lock()
		defer mu.Unlock()
		paid, most := p.total()
		// The farewell goes unpaid: nobody waits for it.
		if unpaid := wire - paid; most > p.piece || unpaid < 0 || unpaid > p.piece {
			t.Errorf("%d bytes on the wire, %d paid for, up to %d at a time; a piece is %d", wire, paid, most, p.piece)
		}
	})
}

func TestASilentServerStillFailsWhereThereIsAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := paced(t, &crawl{piece: 1000, pause: time.Second}, nil, func(c net.Conn) {
			_, _ = io.WriteString(c, "* OK ready\r\n")
			answers(c, " OK [CAPABILITY IMAP4rev1] in", " OK listed")
		})
		began := time.Now()
		_, err := s.Select(t.Context(), "INBOX", true)
		var f *migration.Fault
		if took := time.Since(began); !errors.As(err, &f) || f.Code != migration.ConnectionFailed || took < progressTimeout || took > progressTimeout+10*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		_ = s.Close()
	})
}

func TestACancelledPassWaitsForNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &crawl{piece: 1000}
		s := paced(t, p, nil, func(c net.Conn) {
			_, _ = io.WriteString(c, "* OK ready\r\n")
			answers(c, " OK [CAPABILITY IMAP4rev1] in", " OK listed")
		})
		synctest.Wait()
		p.pause = time.Hour
		stop := errors.New("an operator stopped it")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute/2, func() { cancel(stop) })
		began := time.Now()
		_, err := s.Select(ctx, "INBOX", true)
		if took := time.Since(began); !errors.Is(err, stop) || took != time.Minute/2 {
			t.Errorf("%v after %s", err, took)
		}
		_ = s.Close()
	})
}
