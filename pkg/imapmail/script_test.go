package imapmail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// script is a server that says what a test wants.
type script struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

// errHeard ends a script early: the client is gone.
var errHeard = errors.New("the client is gone")

// scripted starts a server that plays part to one connection, and returns the account
// that opens it. The part is over when the test is.
func scripted(t *testing.T, part func(s *script)) Account {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		defer func() {
			if r := recover(); r != nil && r != any(errHeard) {
				panic(r)
			}
		}()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		part(&script{t: t, c: c, r: bufio.NewReader(c)})
		_, _ = io.Copy(io.Discard, c)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	a := l.Addr().(*net.TCPAddr)
	return Account{
		Host: "127.0.0.1", Port: a.Port, Security: migration.Plain, Side: migration.Source,
		User: "anna", Password: migration.NewSecret("hush"),
	}
}

func (s *script) say(format string, args ...any) {
	if _, err := fmt.Fprintf(s.c, format+"\r\n", args...); err != nil {
		panic(errHeard)
	}
}

// line reads the client's next line.
func (s *script) line() string {
	line, err := s.r.ReadString('\n')
	if err != nil {
		panic(errHeard)
	}
	return strings.TrimRight(line, "\r\n")
}

// hear reads a command that must begin with want, and returns its tag.
func (s *script) hear(want string) string {
	line := s.line()
	tag, rest, _ := strings.Cut(line, " ")
	if !strings.HasPrefix(rest, want) {
		s.t.Errorf("heard %q, want %q", line, want)
		panic(errHeard)
	}
	return tag
}

// welcome plays the opening, up to the answer to NAMESPACE.
func (s *script) welcome(capability string) {
	s.say("* OK ready")
	s.say("%s OK [CAPABILITY IMAP4rev1 NAMESPACE %s] logged in", s.hear("LOGIN"), capability)
	tag := s.hear("NAMESPACE")
	s.say(`* NAMESPACE (("" "/")) NIL NIL`)
	s.say("%s OK done", tag)
}

func open(ctx context.Context, a Account, o Options, timeout time.Duration) (*session, error) {
	b := &opening{account: a, options: o, timeout: timeout, names: &nameBook{}, labels: &labels{}}
	return b.open(ctx)
}

func opened(t *testing.T, a Account) *session {
	t.Helper()
	s, err := open(t.Context(), a, Options{}, time.Minute)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func failsToOpen(t *testing.T, a Account, o Options, code migration.Code, scope migration.Scope) *migration.Fault {
	t.Helper()
	s, err := open(context.Background(), a, o, time.Minute)
	if err == nil {
		_ = s.Close()
		t.Fatalf("opened, want %s", code)
	}
	var f *migration.Fault
	if !errors.As(err, &f) || f.Code != code || f.Scope != scope {
		t.Fatalf("got %v, want %s of scope %s", err, code, scope)
	}
	return f
}
