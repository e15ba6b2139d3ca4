package imapmail

import (
	"fmt"
	"sync/atomic"
	"time"
)

// A server may be slow, but not endless: while a reply is awaited it has to get on
// with it. Silence is not getting on, nor is a byte a second, nor are responses that
// nobody has asked for; and what it says before it answers has an end.
const (
	// progressTimeout is how long a server may keep a reply waiting without getting on
	// with it, and how long one chunk may take to be sent.
	progressTimeout = 60 * time.Second
	// minProgress bytes of a reply in that time are getting on.
	minProgress = 1 << 10

	maxIdle     = 4 << 20 // bytes that nobody asked for, before an answer
	maxRows     = 50_000  // folders in one listing, held in memory
	maxRowText  = 8 << 20 // bytes of it
	slackOfRows = 50_000  // FETCH responses beyond those asked for: flags that change meanwhile
)

// patience measures how long this side has waited for the server. It runs only while
// a read waits for bytes and a reply is due: neither a consumer's pause nor a sender's
// turn is the server's doing. conn.mu guards it.
type patience struct {
	left    time.Duration // until it is over
	since   time.Time     // when the wait under way began
	reading bool          // a read is under way
	credit  int           // bytes of the reply since left was last full
}

// schedule gives the server its full time from now, or all the time there is where
// nothing is awaited of it. mu is held.
func (c *conn) schedule() {
	c.wait.left, c.wait.credit, c.wait.since = c.timeout, 0, time.Now()
	c.deadline()
}

// deadline sets the wire's for what is left. mu is held.
func (c *conn) deadline() {
	if c.awaiting > 0 && c.held == 0 {
		_ = c.wire.SetReadDeadline(c.wait.since.Add(c.wait.left))
	} else {
		_ = c.wire.SetReadDeadline(time.Time{})
	}
}

// extend gives the server its full time again, if anything is awaited of it.
func (c *conn) extend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.awaiting > 0 {
		c.schedule()
	}
}

// beginWait and endWait enclose a read.
func (c *conn) beginWait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wait.reading, c.wait.since = true, time.Now()
	c.deadline()
}

func (c *conn) endWait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.awaiting > 0 && c.held == 0 {
		c.wait.left -= time.Since(c.wait.since)
	}
	c.wait.reading = false
}

// advance counts n bytes of a reply.
func (c *conn) advance(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wait.credit += n; c.wait.credit >= minProgress {
		c.wait.left, c.wait.credit = c.timeout, 0
	}
}

// await counts replies that are due: n more, or fewer where it is negative. All that
// was said before is settled with it.
func (c *conn) await(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awaiting += n
	c.in.said.forget()
	c.schedule()
}

// answered says that one of several replies that are due has come.
func (c *conn) answered() { c.await(0) }

// said counts what a server has said since this side last had an answer.
type said struct {
	idle, rows, text, fetches atomic.Int64
	asked                     atomic.Int64 // messages
}

func (s *said) forget() {
	for _, n := range []*atomic.Int64{&s.idle, &s.rows, &s.text, &s.fetches} {
		n.Store(0)
	}
}

// note counts the first line of a response, and tells progress from chatter.
func (s *said) note(line []byte, progress func(int)) error {
	switch kind, numbered := untagged(line); {
	case kind == "FETCH" && numbered:
		progress(len(line))
		if s.fetches.Add(1) > s.asked.Load()+slackOfRows {
			return fmt.Errorf("%w: it tells of more messages than were asked for", errTooMuch)
		}
	case kind == "LIST" || kind == "LSUB" || kind == "STATUS" || kind == "NAMESPACE":
		progress(len(line))
		if s.rows.Add(1) > 2*maxRows || s.text.Add(int64(len(line))) > maxRowText {
			return fmt.Errorf("%w: a listing of over %d folders or %d bytes", errTooMuch, maxRows, maxRowText)
		}
	default:
		if s.idle.Add(int64(len(line))) > maxIdle {
			return fmt.Errorf("%w: it talks and does not answer", errTooMuch)
		}
	}
	return nil
}
