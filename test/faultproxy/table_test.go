package faultproxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/faultproxy"
	"github.com/mailhaul/mailhaul/test/servers"
)

const (
	user = "anna"
	// patience stands for the minute that a server has in earnest where it falls silent.
	// The others have their minute: how soon a busy machine answers says nothing.
	patience = 400 * time.Millisecond
	// bound is when every case has to be over: of the minute, a half.
	bound = 30 * time.Second
)

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func account(port int, side migration.Side) imapmail.Account {
	return imapmail.Account{
		Host: "127.0.0.1", Port: port, Security: migration.Plain, Side: side,
		User: user, Password: migration.NewSecret(servers.Password),
	}
}

// stage is one thing that is asked of a server, at the command that does it.
type stage struct {
	at   string
	side migration.Side
	do   func(ctx context.Context, s mailbox.Session) error
}

// stages are what a pass does at each side; the opening comes before each.
func stages() []stage {
	var out []stage
	for _, side := range []migration.Side{migration.Source, migration.Target} {
		out = append(out, stage{faultproxy.Greeting, side, nil}, stage{"LOGIN", side, nil},
			stage{"LIST", side, func(ctx context.Context, s mailbox.Session) error {
				_, err := s.List(ctx)
				return err
			}},
			stage{"SELECT", side, func(ctx context.Context, s mailbox.Session) error {
				_, err := s.Select(ctx, "INBOX", side == migration.Source)
				return err
			}},
			stage{"FETCH", side, readAll})
	}
	return append(out, stage{"APPEND", migration.Target, func(ctx context.Context, s mailbox.Session) error {
		return write(ctx, s, 1)
	}})
}

func readAll(ctx context.Context, s mailbox.Session) error {
	if _, err := s.Select(ctx, "INBOX", true); err != nil {
		return err
	}
	return s.Messages(ctx, mailbox.Span(1, mailbox.MaxUID), func(m mailbox.Message) error {
		_, err := io.Copy(io.Discard, m.Body)
		return err
	})
}

func write(ctx context.Context, s mailbox.Session, messages int) error {
	return writeTo(ctx, s, "INBOX", messages)
}

func writeTo(ctx context.Context, s mailbox.Session, folder string, messages int) error {
	a, err := s.Append(ctx, folder, mailbox.AppendMode{Single: true})
	if err != nil {
		return err
	}
	for i := range messages {
		body := fmt.Sprintf("Message-ID: <%s-%d@example.org>\r\nSubject: %d\r\n\r\n%s\r\n", folder, i, i, strings.Repeat("text ", 300))
		m := mailbox.NewMessage{Message: mailbox.Message{Date: time.Unix(1_600_000_000, 0), Size: int64(len(body)), Body: strings.NewReader(body)}}
		if err := a.Add(ctx, m); err != nil {
			return errors.Join(err, a.Close())
		}
	}
	if err := a.Flush(ctx); err != nil {
		return err
	}
	answer, err := a.Receive(ctx)
	return errors.Join(append(answer.Each, answer.Refused, err, a.Close())...)
}

// expected is how a stage ends.
type expected struct {
	code  migration.Code
	scope migration.Scope
	retry time.Duration
}

var (
	down      = expected{migration.ConnectionFailed, migration.ScopeEndpoint, 0}
	throttled = expected{migration.Throttled, migration.ScopeUser, 0}
)

func later(e expected, d time.Duration) expected { e.retry = d; return e }

// harm is a row of the table: what is done, and how each stage ends.
type harm struct {
	name  string
	fault faultproxy.Fault
	ends  func(at string) expected
}

func always(e expected) func(string) expected { return func(string) expected { return e } }

// inFolder is e of one folder, where a folder is what was asked for.
func inFolder(e expected) func(string) expected {
	return func(at string) expected {
		one := e
		if at == "SELECT" || at == "FETCH" || at == "APPEND" {
			one.scope = migration.ScopeFolder
		}
		return one
	}
}

func atAppend(e expected, otherwise func(string) expected) func(string) expected {
	return func(at string) expected {
		if at == "APPEND" {
			return e
		}
		return otherwise(at)
	}
}

// silent tells whether what is done is that no answer comes, or none that gets on.
func silent(f faultproxy.Fault) bool {
	switch f.Kind {
	case faultproxy.Stall, faultproxy.Drip, faultproxy.HalfOpen, faultproxy.LostReply, faultproxy.Garbage:
		return true
	}
	return false
}

var table = []harm{
	{"cut at once", faultproxy.Fault{Kind: faultproxy.Cut}, always(down)},
	{"cut after 5 bytes", faultproxy.Fault{Kind: faultproxy.Cut, Bytes: 5}, always(down)},
	{"stall", faultproxy.Fault{Kind: faultproxy.Stall}, always(down)},
	{"stall after 5 bytes", faultproxy.Fault{Kind: faultproxy.Stall, Bytes: 5}, always(down)},
	{"drip", faultproxy.Fault{Kind: faultproxy.Drip, Pause: patience / 10}, always(down)}, // 10 bytes in the time for 1,024
	{"garbage", faultproxy.Fault{Kind: faultproxy.Garbage, Words: "\x00\xff\x16garbage (((\r\n\r\n* \r\n"}, always(down)},
	{"farewell", faultproxy.Fault{Kind: faultproxy.Bye, Words: "server shutting down"}, always(down)},
	{"farewell with a time", faultproxy.Fault{Kind: faultproxy.Bye, Words: "Session invalidated. Suggested Backoff Time: 7000 milliseconds"}, always(later(throttled, 7*time.Second))},
	{"half-open", faultproxy.Fault{Kind: faultproxy.HalfOpen}, always(down)},
	{"lost reply", faultproxy.Fault{Kind: faultproxy.LostReply}, always(down)},
	{"THROTTLED", answer("NO [THROTTLED] slow down"), always(throttled)},
	{"LIMIT", answer("NO [LIMIT] too much"), atAppend(expected{migration.MessageRejected, migration.ScopeMessage, 0}, always(throttled))},
	{"UNAVAILABLE", answer("NO [UNAVAILABLE] Temporary failure"), inFolder(expected{migration.ConnectionFailed, migration.ScopeUser, 0})},
	{"OVERQUOTA", answer("NO [OVERQUOTA] no"), atAppend(expected{migration.QuotaExceeded, migration.ScopeUser, 0}, always(throttled))},
	{"INUSE", answer("NO [INUSE] Mailbox is locked"), inFolder(throttled)},
	{"NO with a time", answer("NO Request is throttled. Suggested Backoff Time: 1500 milliseconds"), always(later(throttled, 1500*time.Millisecond))},
	{"BAD with a time", answer("BAD Request is throttled. Suggested Backoff Time: 90 seconds"), always(later(throttled, 90*time.Second))},
}

func answer(words string) faultproxy.Fault {
	return faultproxy.Fault{Kind: faultproxy.Answer, Words: words}
}

// All of them wait, most of the time, for a patience to end or a folder to settle.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// TestEveryHarmEndsInItsCode does every harm at every stage of either side, through
// TLS and plain, and holds what comes of it to the catalogue of failures, to the time
// that the server asked for, and to the bound.
func TestEveryHarmEndsInItsCode(t *testing.T) {
	t.Parallel()
	server := servers.Dovecot(t, servers.DovecotConfig{})
	fill(t, server, 3)
	cert, pool, err := faultproxy.Certificate("127.0.0.1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		options  faultproxy.Options
		security migration.Security
	}{
		"plain":    {faultproxy.Options{}, migration.Plain},
		"TLS":      {faultproxy.Options{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, migration.TLS},
		"STARTTLS": {faultproxy.Options{StartTLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, migration.StartTLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := faultproxy.New(t, address(server.Port), x.options)
			options := imapmail.Options{TLS: &tls.Config{RootCAs: pool}}
			for _, st := range stages() {
				for _, h := range table {
					if st.at == faultproxy.Greeting && h.fault.Kind == faultproxy.Answer {
						continue // nothing was asked
					}
					fault := h.fault
					fault.At = st.at
					if options.Patience = 0; silent(fault) {
						options.Patience = patience
					}
					proxy.Strike(fault)
					a := account(proxy.Port, st.side)
					a.Security = x.security
					begun := time.Now()
					err := run(t.Context(), a, options, st)
					what := fmt.Sprintf("%s at %s's %s", h.name, st.side, st.at)
					judge(t, what, err, h.ends(st.at), st.side, time.Since(begun))
				}
			}
			if x.security != migration.Plain && strings.Contains(proxy.Heard(), servers.Password) {
				t.Error("the password was sent in the clear")
			}
		})
	}
}

func run(ctx context.Context, a imapmail.Account, o imapmail.Options, st stage) error {
	s, err := imapmail.NewOpener(a, o)(ctx)
	if err != nil || st.do == nil {
		return err
	}
	err = st.do(ctx, s)
	_ = s.Close() // it may have ended already
	return err
}

func judge(t *testing.T, what string, err error, want expected, side migration.Side, took time.Duration) {
	t.Helper()
	var f *migration.Fault
	switch {
	case !errors.As(err, &f):
		t.Errorf("%s: %v, want %s", what, err, want.code)
	case f.Code != want.code || f.Scope != want.scope || f.RetryAfter != want.retry || f.Side != side:
		t.Errorf("%s: %v of scope %s, again after %s; want %s (%s) of scope %s after %s", what, f, f.Scope, f.RetryAfter, want.code, side, want.scope, want.retry)
	case took > bound:
		t.Errorf("%s: over after %s", what, took)
	}
}

// fill puts messages into the server's INBOX.
func fill(t *testing.T, server *servers.IMAP, messages int) {
	t.Helper()
	err := run(t.Context(), account(server.Port, migration.Target), imapmail.Options{}, stage{do: func(ctx context.Context, s mailbox.Session) error {
		return write(ctx, s, messages)
	}})
	if err != nil {
		t.Fatal(err)
	}
}
