package imapmail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	appendBuffer = 256 << 10
	// literalMinus is the largest literal that LITERAL- lets go without waiting (RFC
	// 7888 section 5).
	literalMinus = 4096
)

// appender sends; what the server answers is taken in by go-imap's reading goroutine
// (take), and told by Receive. mu guards what both touch.
type appender struct {
	session *session
	folder  string // quoted, as it goes over the wire
	name    string
	mode    mailbox.AppendMode
	multi   bool
	out     *bufio.Writer

	current *window // what Add fills
	open    *command

	mu      sync.Mutex
	changed *sync.Cond
	pending map[string]*command // sent, not answered
	flushed []*window           // in order, no Answer told
	more    bool                // the server asks for the literal
	err     error               // the connection's end
	closed  bool
}

// window is what lies between two calls of Flush.
type window struct {
	commands []*command
	messages int
	sent     time.Time // zero until Flush
	open     int       // commands without an answer
	took     time.Duration
}

// command is one APPEND; with MULTIAPPEND (RFC 3502) of several messages.
type command struct {
	tag      string
	window   *window
	messages int
	answer   *status
}

// Append lends the connection to an appender.
func (s *session) Append(ctx context.Context, name string, mode mailbox.AppendMode) (mailbox.Appender, error) {
	s.begin(ctx)() // the answer to NAMESPACE is read before the connection is lent
	folder, ok := quote(encodeName(s.onWire(name)))
	if !ok {
		return nil, migration.NewFault(migration.SourceChanged, migration.ScopeFolder, s.account.Side,
			fmt.Sprintf("append to %q: the name is too long", name), nil)
	}
	a := &appender{
		session: s, folder: folder, name: name, mode: mode, multi: s.caps.MultiAppend && !mode.Single,
		out: bufio.NewWriterSize(s.conn, appendBuffer), current: &window{}, pending: map[string]*command{},
	}
	a.changed = sync.NewCond(&a.mu)
	if err := s.conn.lend(a); err != nil {
		return nil, s.broken(a.what())
	}
	return a, nil
}

func (a *appender) what() string { return fmt.Sprintf("append to %q", a.name) }

// tie ends the connection with ctx.
func (a *appender) tie(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { a.session.conn.kill(context.Cause(ctx)) })
}

func (a *appender) Add(ctx context.Context, m mailbox.NewMessage) error {
	defer a.tie(ctx)()
	a.current.messages++
	c := a.open
	first := c == nil
	if first {
		c = a.command()
	} else if a.answered(c) {
		c.messages++ // the command was refused already: the rest of its window goes with it
		return a.alive()
	}
	c.messages++
	head := ""
	if first {
		head = c.tag + " APPEND " + a.folder
	}
	taken, err := a.literal(c, head+arguments(m), m.Size)
	if err != nil || !taken {
		a.open = a.next(c)
		return err
	}
	if err := a.body(m); err != nil {
		return err
	}
	if a.open = a.next(c); a.open != nil {
		return nil
	}
	return a.write("\r\n")
}

// next is the command that the next message goes into: nil for one of its own.
func (a *appender) next(c *command) *command {
	if a.multi {
		return c
	}
	return nil
}

// command begins a command; its answer may come from now on.
func (a *appender) command() *command {
	c := &command{tag: a.session.tag(), window: a.current}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current.commands = append(a.current.commands, c)
	a.current.open++
	a.pending[c.tag] = c
	return c
}

func (a *appender) answered(c *command) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return c.answer != nil
}

func (a *appender) alive() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.session.broken(a.what())
	}
	return nil
}

// literal announces a message; taken is false where the server refused the command
// instead of asking for it.
func (a *appender) literal(c *command, head string, size int64) (taken bool, err error) {
	caps := a.session.caps
	ahead := !a.mode.Synchronous && (caps.LiteralPlus || caps.LiteralMinus && size <= literalMinus)
	if ahead {
		return true, a.write(head + "{" + strconv.FormatInt(size, 10) + "+}\r\n")
	}
	if err := a.write(head + "{" + strconv.FormatInt(size, 10) + "}\r\n"); err != nil {
		return false, err
	}
	if err := a.out.Flush(); err != nil {
		return false, a.session.broken(a.what())
	}
	a.session.conn.await(1)
	defer a.session.conn.await(-1)
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.more && c.answer == nil && a.err == nil {
		a.changed.Wait()
	}
	taken, a.more = a.more, false
	if a.err != nil {
		return false, a.session.broken(a.what())
	}
	return taken, nil
}

// body sends the message. Half a literal cannot be taken back: if reading fails the
// connection ends.
func (a *appender) body(m mailbox.NewMessage) error {
	var n int64
	if m.Size > 0 {
		var err error
		n, err = io.CopyN(a.out, m.Body, m.Size)
		if n < m.Size {
			if end, _ := a.session.conn.failure(); end != nil {
				return a.session.broken(a.what())
			}
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%d bytes of %d: %w", n, m.Size, io.ErrUnexpectedEOF)
			}
			failed := &mailbox.BodyError{Err: err}
			a.session.conn.kill(failed)
			return failed
		}
	}
	return nil
}

func (a *appender) write(s string) error {
	if _, err := a.out.WriteString(s); err != nil {
		return a.session.broken(a.what())
	}
	return nil
}

func (a *appender) Flush(ctx context.Context) error {
	if a.current.messages == 0 {
		return nil
	}
	defer a.tie(ctx)()
	if a.open != nil && !a.answered(a.open) {
		if err := a.write("\r\n"); err != nil {
			return err
		}
	}
	a.open = nil
	// The server's time begins now, and ends with the last answer.
	a.session.conn.await(1)
	a.mu.Lock()
	w := a.current
	w.sent = time.Now()
	a.current = &window{}
	a.flushed = append(a.flushed, w)
	if w.open == 0 {
		a.session.conn.await(-1)
		a.changed.Broadcast()
	}
	a.mu.Unlock()
	if err := a.out.Flush(); err != nil {
		return a.session.broken(a.what())
	}
	a.mu.Lock()
	w.sent = time.Now()
	a.mu.Unlock()
	return a.alive()
}

// Receive tells windows that are answered also after the connection has ended.
func (a *appender) Receive(ctx context.Context) (mailbox.Answer, error) {
	defer a.tie(ctx)()
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		if len(a.flushed) > 0 && a.flushed[0].open == 0 {
			w := a.flushed[0]
			a.flushed = a.flushed[1:]
			return a.answer(w), nil
		}
		if a.err != nil {
			return mailbox.Answer{}, a.session.broken(a.what())
		}
		if a.closed {
			return mailbox.Answer{}, errors.New("receive from an appender that is closed")
		}
		a.changed.Wait()
	}
}

// answer makes the Answer of a window whose commands are all answered.
func (a *appender) answer(w *window) mailbox.Answer {
	out := mailbox.Answer{Took: w.took}
	if a.multi {
		c := w.commands[0]
		if c.answer.kind != "OK" {
			out.Refused = refusal(opAppend, *c.answer, a.session.account.Side, a.what())
			return out
		}
		out.Validity, out.UIDs = appendUID(*c.answer, c.messages)
		return out
	}
	out.Each = make([]error, len(w.commands))
	uids := make([]mailbox.UID, len(w.commands))
	for i, c := range w.commands {
		if c.answer.kind != "OK" {
			out.Each[i] = refusal(opAppend, *c.answer, a.session.account.Side, a.what())
			continue
		}
		if validity, got := appendUID(*c.answer, 1); got != nil {
			out.Validity, out.UIDs, uids[i] = validity, uids, got[0]
		}
	}
	return out
}

// appendUID reads APPENDUID (RFC 4315 section 3) for n messages; nothing where it is
// not there or does not fit.
func appendUID(s status, n int) (mailbox.UIDValidity, []mailbox.UID) {
	if s.code != "APPENDUID" {
		return 0, nil
	}
	validity, set, _ := strings.Cut(s.args, " ")
	v, ok := number(validity)
	if !ok || v == 0 {
		return 0, nil
	}
	var uids []mailbox.UID
	for part := range strings.SplitSeq(strings.TrimSpace(set), ",") {
		from, to, isRange := strings.Cut(part, ":")
		first, ok1 := number(from)
		last, ok2 := first, true
		if isRange {
			last, ok2 = number(to)
		}
		if !ok1 || !ok2 || first == 0 || last < first || int64(last)-int64(first) >= int64(n-len(uids)) {
			return 0, nil
		}
		for u := int64(first); u <= int64(last); u++ {
			uids = append(uids, mailbox.UID(u))
		}
	}
	if len(uids) != n {
		return 0, nil
	}
	return mailbox.UIDValidity(v), uids
}

func (a *appender) Close() error {
	a.mu.Lock()
	unanswered := len(a.pending) > 0 || a.current.messages > 0
	a.closed = true
	a.changed.Broadcast()
	a.mu.Unlock()
	if unanswered {
		a.session.conn.kill(errUnanswered)
		return a.session.broken(a.what())
	}
	a.session.conn.reclaim()
	return nil
}

var errUnanswered = errors.New("closed with messages on their way")

// claims: everything is the appender's while it has the connection.
func (a *appender) claims([]byte) bool { return true }

// take notes an answer. After a BAD the server may read what follows as commands, so
// the connection ends at once, and what was sent stays unsure.
func (a *appender) take(response []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if response[0] == '+' {
		a.more = true
		a.changed.Broadcast()
		return nil
	}
	s, ok := parseStatus(response)
	if !ok {
		return nil
	}
	if s.kind == "BAD" {
		return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, a.session.account.Side,
			a.what()+": "+s.words(), mailbox.ErrBad)
	}
	c := a.pending[s.tag]
	if c == nil {
		return nil
	}
	delete(a.pending, s.tag)
	c.answer = &s
	w := c.window
	if w.open--; w.open == 0 && !w.sent.IsZero() {
		w.took = time.Since(w.sent)
		a.session.conn.await(-1)
	}
	a.changed.Broadcast()
	return nil
}

func (a *appender) gone(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
	a.changed.Broadcast()
}
