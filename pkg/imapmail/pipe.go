package imapmail

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// pipe holds what was sent to a server and is not answered, of all appenders of a
// connection: one folder's answers may come while another's mail is sent. What the
// server says belongs to it as long as anything is unanswered; whoever sends a command
// through go-imap meanwhile sends it after those, and is answered after them.
type pipe struct {
	session *session

	mu        sync.Mutex
	changed   *sync.Cond
	pending   map[string]*command // sent, not answered
	selecting []*command          // the SELECTs among them, in order
	more      bool                // the server asks for the literal
	stray     int                 // empty messages sent: see take
	err       error               // the connection's end
}

func newPipe(s *session) *pipe {
	p := &pipe{session: s, pending: map[string]*command{}}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// begin notes a command that is about to be sent, and returns its tag.
func (p *pipe) begin(c *command) string {
	c.tag = p.session.tag()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending[c.tag] = c
	c.by.pending++
	if c.window == nil {
		p.selecting = append(p.selecting, c)
	} else {
		c.window.commands = append(c.window.commands, c)
		c.window.open++
	}
	return c.tag
}

// claims: everything is the pipe's while it has anything unanswered, and a BAD to
// nothing always: it may be the answer to a line of mail.
func (p *pipe) claims(line []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pending) > 0 || bytes.HasPrefix(bytes.ToUpper(line[:min(len(line), 6)]), []byte("* BAD "))
}

// take notes an answer. After a BAD to an APPEND the server may read what follows as
// commands, so the connection ends at once, and what was sent stays unsure.
func (p *pipe) take(response []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if response[0] == '+' {
		p.more = true
		p.changed.Broadcast()
		return nil
	}
	s, ok := p.session.conn.status(response)
	if !ok {
		return nil
	}
	if s.tag == "*" {
		return p.untagged(s)
	}
	c := p.pending[s.tag]
	if c == nil {
		return fmt.Errorf("%w: an answer to nothing", errUnreadable)
	}
	if s.kind == "BAD" && c.window != nil && !c.window.store {
		return p.bad(s, c.by.what())
	}
	delete(p.pending, s.tag)
	c.by.pending--
	c.answer = &s
	p.session.conn.answered()
	if w := c.window; w == nil {
		p.selecting = p.selecting[1:]
		if err := c.opened(); err != nil {
			return err
		}
	} else if w.open--; w.open == 0 && !w.sent.IsZero() {
		w.took = time.Since(w.sent)
		p.session.conn.await(-1)
	}
	p.changed.Broadcast()
	return nil
}

func (p *pipe) untagged(s status) error {
	if s.kind == "BAD" {
		if p.stray > 0 {
			p.stray-- // the line's end after an empty message, which was refused before it came
			return nil
		}
		return p.bad(s, "append")
	}
	if s.code == "UIDVALIDITY" && len(p.selecting) > 0 {
		v, _ := number(s.args)
		p.selecting[0].validity = mailbox.UIDValidity(v)
	}
	return nil
}

func (p *pipe) bad(s status, what string) error {
	if f := refusal(opAppend, s, p.session.account.Side, what); f.Code == migration.Throttled {
		return f // Microsoft 365 says it so
	}
	return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, p.session.account.Side,
		what+": "+s.words(), mailbox.ErrBad)
}

// opened judges the answer to a SELECT after which more was sent already: where the
// folder is not the one that was meant the connection ends, before the server's answer
// to any of that is believed.
func (c *command) opened() error {
	if c.answer.kind == "OK" && c.validity == c.by.mode.Open {
		return nil
	}
	return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, c.by.session.account.Side,
		fmt.Sprintf("folder %q is not the one that was looked at: %s", c.by.name, c.answer.words()), nil)
}

func (p *pipe) gone(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	p.changed.Broadcast()
}
