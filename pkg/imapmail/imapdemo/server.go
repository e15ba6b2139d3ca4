// Package imapdemo is a mail server in this process for `mailhaul demo` and for
// tests that want one without installing anything: mailboxes in memory behind a real
// IMAP connection on loopback. It is go-imap's own test server, so it can do what
// that can: UIDPLUS, LIST-STATUS and LITERAL+, neither CONDSTORE nor MULTIAPPEND.
package imapdemo

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"sync/atomic"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// Server is one mail system.
type Server struct {
	mem      *imapmemserver.Server
	imap     *imapserver.Server
	listener *cutter
	served   chan error
}

// Start listens on a free loopback port, without TLS. Users log in with password.
func Start(users []string, password string) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a mail server: %w", err)
	}
	s := &Server{mem: imapmemserver.New(), listener: &cutter{Listener: ln}, served: make(chan error, 1)}
	for _, name := range users {
		u := imapmemserver.NewUser(name, password)
		if err := u.Create("INBOX", nil); err != nil {
			return nil, errors.Join(err, ln.Close())
		}
		s.mem.AddUser(u)
	}
	s.imap = imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return s.mem.NewSession(), nil, nil
		},
		Caps: imap.CapSet{
			imap.CapIMAP4rev1: {}, imap.CapNamespace: {}, imap.CapUIDPlus: {}, imap.CapESearch: {},
			imap.CapListExtended: {}, imap.CapListStatus: {}, imap.CapStatusSize: {}, imap.CapLiteralPlus: {},
		},
		Logger:       log.New(io.Discard, "", 0),
		InsecureAuth: true,
	})
	go func() { s.served <- s.imap.Serve(s.listener) }()
	return s, nil
}

// Port is where it listens, on 127.0.0.1.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// CutOnce makes the server drop one connection without a word after it has received
// so many bytes from it, whichever comes there first.
func (s *Server) CutOnce(bytes int64) { s.listener.after.Store(bytes) }

// Cut reports whether a connection has been dropped on purpose.
func (s *Server) Cut() bool { return s.listener.done.Load() }

// Close ends all connections.
func (s *Server) Close() error {
	err := s.imap.Close()
	if served := <-s.served; served != nil && !errors.Is(served, net.ErrClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// cutter is a listener whose connections end in mid-sentence, once.
type cutter struct {
	net.Listener
	after atomic.Int64 // 0: never
	done  atomic.Bool
}

func (c *cutter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: conn, by: c}, nil
}

type cutConn struct {
	net.Conn
	by   *cutter
	mu   sync.Mutex
	read int64
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.read += int64(n)
	total := c.read
	c.mu.Unlock()
	if after := c.by.after.Load(); after > 0 && total > after && c.by.done.CompareAndSwap(false, true) {
		return 0, errors.Join(io.ErrUnexpectedEOF, c.Conn.Close())
	}
	return n, err
}
