package store

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// lossy stands before a PostgreSQL. Armed, it cuts the next connection whose commit
// is answered, without passing the answer on.
type lossy struct {
	armed atomic.Bool
	url   string
}

func newLossy(t *testing.T, server *servers.PostgresServer) *lossy {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	behind := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	u.Host = l.Addr().String()
	p := &lossy{url: u.String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c, behind)
		}
	}()
	return p
}

func (p *lossy) serve(client net.Conn, behind string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		// CommandComplete (PostgreSQL's protocol, "Message Formats") names the command.
		if bytes.Contains(buf[:n], []byte("COMMIT\x00")) && p.armed.CompareAndSwap(true, false) {
			return
		}
		if _, werr := client.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}

// TestPostgresClaimAnswered: a claim whose commit was not answered is the caller's; a
// doubled task of the same worker still finds nothing.
func TestPostgresClaimAnswered(t *testing.T) {
	server := servers.Postgres(t)
	proxy := newLossy(t, server)
	s := openerOf(proxy.url)(t)
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"))
	queued := w.admit(1)[0]
	proxy.armed.Store(true)
	l, err := s.Claim(t.Context(), queued.Token, "worker")
	w.ok(err)
	if proxy.armed.Load() {
		t.Fatal("no answer was lost")
	}
	equal(t, "state", l.State, migration.LeaseRunning)
	_, err = s.Claim(t.Context(), queued.Token, "worker")
	lost(t, "the doubled task", err)
	alive, err := s.Beat(t.Context(), "worker", []int64{l.Token})
	w.ok(err)
	equal(t, "leases alive", len(alive), 1)
	w.inStep(l)
	equal(t, "status", w.user(b, "ann@example.org").Status, migration.UserSynced)
}
