package imapmail

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// piped opens a session over a pipe to a server that plays part, in the bubble's time.
func piped(t *testing.T, part func(c net.Conn)) (mailbox.Session, error) {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }()
		part(server)
		_, _ = io.Copy(io.Discard, server)
	}()
	return NewOpener(Account{Security: migration.Plain, User: "a", Password: migration.NewSecret("b")}, Options{
		Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil },
	})(t.Context())
}

// answers reads one command for each line, and says it: with the command's tag, if it
// is not untagged.
func answers(c net.Conn, lines ...string) {
	p := make([]byte, 4096)
	for _, line := range lines {
		n, err := c.Read(p)
		if err != nil {
			return
		}
		if tag, _, _ := strings.Cut(string(p[:n]), " "); line[0] != '*' {
			line = tag + line
		}
		_, _ = io.WriteString(c, line+"\r\n")
	}
}

func TestSilenceEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := piped(t, func(c net.Conn) {})
		var f *migration.Fault
		if !errors.As(err, &f) || f.Code != migration.ConnectionFailed || time.Since(began) != progressTimeout {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// A server that is silent where TLS begins is slow or gone: nothing is wrong with TLS.
func TestSilenceInTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, server) }()
		_, err := NewOpener(Account{Host: "old.example.org", Security: migration.TLS, User: "a", Password: migration.NewSecret("b")}, Options{
			Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil },
		})(t.Context())
		var f *migration.Fault
		if !errors.As(err, &f) || f.Code != migration.ConnectionFailed {
			t.Errorf("%v", err)
		}
	})
}

func TestSilenceIsNoFailureWhileNothingIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := piped(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "* OK ready\r\n")
			answers(c, " OK [CAPABILITY IMAP4rev1] in", " OK listed", " OK open", " OK numbers")
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // of the bubble's time
		if _, err := s.Select(t.Context(), "INBOX", true); err != nil {
			t.Error(err)
		}
		_ = s.Close()
	})
}

func TestAReadersPauseIsNotTheServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := piped(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "* OK ready\r\n")
			answers(c, " OK [CAPABILITY IMAP4rev1] in", " OK listed",
				"* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {2}\r\nab)")
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err = s.Messages(t.Context(), mailbox.Span(1, 1), func(m mailbox.Message) error {
			time.Sleep(10 * time.Minute) // in the bubble
			body, err := io.ReadAll(m.Body)
			if string(body) != "ab" {
				t.Errorf("%q", body)
			}
			return err
		})
		// The answer to the command never comes: now the server is silent.
		var f *migration.Fault
		if !errors.As(err, &f) || time.Since(began) != 10*time.Minute+progressTimeout {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		_ = s.Close()
	})
}

// leaving is a borrower that gives the connection back in the middle of a response.
type leaving struct {
	c     *conn
	taken []string
	ended error
}

func (l *leaving) claims([]byte) bool { l.c.reclaim(); return true }

func (l *leaving) take(response []byte) error {
	l.taken = append(l.taken, string(response))
	return nil
}

func (l *leaving) gone(err error) { l.ended = err }

func TestBorrowerThatLeavesInMidResponse(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		_, _ = io.WriteString(server, "* 5 EXISTS\r\n")
		_ = server.Close()
	}()
	c := newConn(client, time.Minute, nil)
	b := &leaving{c: c}
	if err := c.lend(b); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 100)); !errors.Is(err, io.EOF) || len(b.taken) != 1 {
		t.Errorf("taken %q, %v", b.taken, err)
	}
}

// go-imap may give up while the connection is lent: whoever waits for an answer hears it.
func TestBorrowerHearsThatTheReaderGaveUp(t *testing.T) {
	client, server := net.Pipe()
	defer func() { _ = server.Close() }()
	c := newConn(client, time.Minute, nil)
	b := &leaving{c: c}
	if err := c.lend(b); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if !errors.Is(b.ended, errUnreadable) {
		t.Errorf("the borrower heard %v", b.ended)
	}
}
