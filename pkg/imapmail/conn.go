package imapmail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	writeChunk = 64 << 10
	// commandLength is more than any command has without a literal.
	commandLength = 16 << 10
)

// conn is the net.Conn below go-imap. It ignores go-imap's deadlines, which are
// absolute and count a consumer's stall as the server's, and keeps its own: standing
// still is a failure only while a reply is awaited and nothing is being sent.
type conn struct {
	raw     net.Conn // closed by kill
	wire    net.Conn // raw, or TLS and compression above it
	in      *guard
	onBytes func(in, out int)
	timeout time.Duration
	pace    Pacer            // nil: none
	owed    int              // bytes read and not paid for; the reading goroutine's
	hush    migration.Secret // see status.hush
	life    context.Context
	die     context.CancelFunc

	sending sync.Mutex // one Write at a time: commands of two senders never mix

	mu       sync.Mutex
	err      error  // the first failure, or the cause it was killed with
	bye      status // the server's last word
	awaiting int    // replies
	held     int    // senders whose turn has not come
	wait     patience
	borrower borrower
	ahead    gate
	greeting []byte // made by us, read by go-imap before all else
}

// borrower takes responses off the connection before go-imap sees them. Its methods
// are called by go-imap's reading goroutine, which is the only one that reads.
type borrower interface {
	// claims reports whether the response that begins with line is the borrower's.
	claims(line []byte) bool
	// take is given a claimed response, literals included.
	take(response []byte) error
	// gone is called once, when the connection has failed.
	gone(err error)
}

func newConn(raw net.Conn, timeout time.Duration, onBytes func(in, out int)) *conn {
	if onBytes == nil {
		onBytes = func(int, int) {}
	}
	c := &conn{raw: raw, timeout: timeout, onBytes: onBytes}
	c.life, c.die = context.WithCancel(context.Background())
	c.goOver(raw)
	return c
}

// admit holds a response back until go-imap knows what it answers.
func (c *conn) admit(line []byte) []byte { return c.ahead.pass(line, c.life.Done()) }

// goOver has all that follows read and written over wire: TLS or compression above what
// was there. What has been read and not looked at is dropped: before TLS it came
// unprotected, and compression takes it first.
func (c *conn) goOver(wire net.Conn) {
	c.wire = wire
	c.in = newGuard(socket{c})
	c.in.progress, c.in.admit = c.advance, c.admit
}

// socket is the reading side of the wire with the progress timeout.
type socket struct{ c *conn }

func (s socket) Read(p []byte) (int, error) {
	p, err := s.c.receivable(p)
	if err != nil {
		s.c.fail(err)
		_, err = s.c.failure()
		return 0, err
	}
	s.c.beginWait()
	n, err := s.c.wire.Read(p)
	s.c.endWait()
	if n > 0 {
		s.c.owed = n
		s.c.onBytes(n, 0)
	}
	if n > 0 {
		return n, nil // an error will come again; the server's last words go first
	}
	if err != nil {
		s.c.fail(describe(err, "read"))
	}
	return n, err
}

func describe(err error, verb string) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the server closed the connection")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the server made no progress (%s): %w", verb, err)
	}
	return fmt.Errorf("%s: %w", verb, err)
}

// fail keeps the first failure and closes.
func (c *conn) fail(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
	}
	c.mu.Unlock()
	if first {
		c.die()
		_ = c.raw.Close()
	}
}

// kill closes at once; whatever waits on the connection ends with cause.
func (c *conn) kill(cause error) {
	if cause == nil {
		cause = net.ErrClosed
	}
	c.fail(killed{cause})
}

// killed marks a failure that this side wanted.
type killed struct{ error }

func (k killed) Unwrap() error { return k.error }

// failure returns what ended the connection, or nil, and the server's BYE before it.
func (c *conn) failure() (status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bye, c.err
}

// Read gives go-imap the cleaned bytes of the responses that nobody claims. Every
// failure reads as the end of input, which go-imap passes on to its own readers; the
// true cause is kept.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.greeting) > 0 {
		n := copy(p, c.greeting)
		c.greeting = c.greeting[n:]
		return n, nil
	}
	for {
		if _, err := c.failure(); err != nil {
			return c.ended(p, err)
		}
		var by borrower // it may give the connection back while its response is read
		n, claimed, err := c.in.read(p, c.claimant(&by))
		if err == nil && claimed != nil {
			err = by.take(claimed)
		}
		if err != nil {
			c.fail(err)
			_, err = c.failure()
			return c.ended(p, err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

// ended tells of the failure. The rest of a literal reads as zeros: at its early end
// go-imap would read on in two goroutines at once. Who uses the bytes asks failure
// first (body.Read).
func (c *conn) ended(p []byte, err error) (int, error) {
	if n := c.in.pad(p); n > 0 {
		return n, nil
	}
	c.dismiss(err)
	return 0, io.EOF
}

// dismiss tells the borrower, if there is one, that nothing more will come.
func (c *conn) dismiss(err error) {
	c.mu.Lock()
	b := c.borrower
	c.borrower = nil
	c.mu.Unlock()
	if b != nil {
		b.gone(err)
	}
}

// claimant asks the borrower whether a response is its own, and notes it as by.
func (c *conn) claimant(by *borrower) func([]byte) bool {
	return func(line []byte) bool {
		if st, ok := c.status(line); ok && st.kind == "BYE" {
			c.mu.Lock()
			c.bye = st
			c.mu.Unlock()
		}
		*by = c.lent()
		return *by != nil && (*by).claims(line)
	}
}

func (c *conn) lent() borrower {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.borrower
}

// lend gives the responses that b claims to b, until reclaim. Where the connection
// has already failed it says so.
func (c *conn) lend(b borrower) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.borrower = b
	return nil
}

func (c *conn) reclaim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.borrower = nil
}

// Write sends p in chunks, each with the full time, and lets no other Write between.
func (c *conn) Write(p []byte) (int, error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if _, err := c.failure(); err != nil {
		return 0, err
	}
	if len(p) > commandLength && failpoint.Due(failpoint.MidLiteral) {
		_, _ = c.wire.Write(p[:len(p)/2])
		failpoint.Die()
	}
	sent := 0
	for sent < len(p) {
		chunk, err := c.sendable(p[sent:])
		if err != nil {
			c.fail(err)
			_, err = c.failure()
			return sent, err
		}
		_ = c.wire.SetWriteDeadline(time.Now().Add(c.timeout))
		n, err := c.wire.Write(chunk)
		sent += n
		c.onBytes(0, n)
		if err != nil {
			c.fail(describe(err, "write"))
			return sent, err
		}
		c.extend()
	}
	return sent, nil
}

// Close is go-imap's: it gives up after a response that it cannot read.
func (c *conn) Close() error {
	c.fail(errUnreadable)
	c.dismiss(errUnreadable) // go-imap reads no more
	return nil
}

var errUnreadable = errors.New("the server's reply cannot be understood")

// hangUp says farewell without waiting for the answer, and closes.
func (c *conn) hangUp() {
	c.mu.Lock()
	open := c.err == nil
	if open {
		c.err = killed{net.ErrClosed}
	}
	c.mu.Unlock()
	if open {
		c.die()
		_ = c.wire.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(c.wire, "Z LOGOUT\r\n")
		_ = c.wire.Close()
	}
}

func (c *conn) LocalAddr() net.Addr              { return c.raw.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr             { return c.raw.RemoteAddr() }
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
