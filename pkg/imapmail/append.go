package imapmail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
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

// appender sends; what the server answers is taken in by the pipe, and told by Receive.
// pipe.mu guards what both touch.
type appender struct {
	session *session
	pipe    *pipe
	folder  string // quoted, as it goes over the wire
	name    string
	mode    mailbox.AppendMode
	multi   bool
	out     *bufio.Writer
	scratch []byte // of mark

	current *window // what Add fills
	open    *command

	flushed []*window // in order, no Answer told
	pending int       // commands sent, not answered
	closed  bool
}

// window is what lies between two Flushes, or the commands of one Store.
type window struct {
	commands []*command
	messages int
	store    bool
	sent     time.Time // zero until Flush
	open     int       // commands without an answer
	took     time.Duration
}

// command is one APPEND, with MULTIAPPEND (RFC 3502) of several messages; or a STORE,
// or a SELECT.
type command struct {
	tag      string
	by       *appender
	window   *window // nil for a SELECT
	messages int
	answer   *status
	validity mailbox.UIDValidity // what a SELECT told
}

// Append lends the connection to an appender.
func (s *session) Append(ctx context.Context, name string, mode mailbox.AppendMode) (mailbox.Appender, error) {
	s.begin(ctx)() // the answer to NAMESPACE is read before the connection is lent
	folder, ok := s.quoted(name)
	if !ok {
		return nil, migration.NewFault(migration.SourceChanged, migration.ScopeFolder, s.account.Side,
			fmt.Sprintf("append to %q: the name is too long", name), nil)
	}
	if n := s.namespaceOf(name); n != nil && !n.allowed {
		return nil, migration.NewFault(migration.AuthorizationMissing, migration.ScopeFolder, s.account.Side,
			fmt.Sprintf("append to %q: it lies in namespace %q, which the endpoint does not allow (namespaces %s)", name, n.prefix, n.kind), nil)
	}
	a := &appender{
		session: s, pipe: s.pipe, folder: folder, name: name, mode: mode,
		// Only where every literal goes ahead: else a NO could be the answer to the
		// message before or to the literal that waits, and nobody knows what comes next.
		multi: s.caps.MultiAppend && s.caps.LiteralPlus && !mode.Single && !mode.Synchronous,
		out:   s.buffered(), current: &window{},
	}
	if err := s.conn.lend(s.pipe); err != nil {
		return nil, s.broken(a.what())
	}
	if mode.Open == 0 {
		return a, nil
	}
	line := " SELECT " + folder
	if s.caps.CondStore {
		line += " (CONDSTORE)"
	}
	return a, a.write(a.pipe.begin(&command{by: a}) + line + "\r\n")
}

var appendBuffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, appendBuffer) }}

// buffered returns a writer to the connection; Close gives it back.
func (s *session) buffered() *bufio.Writer {
	out, _ := appendBuffers.Get().(*bufio.Writer)
	out.Reset(s.conn)
	return out
}

func (a *appender) what() string { return fmt.Sprintf("append to %q", a.name) }

// tie ends the connection with ctx.
func (a *appender) tie(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { a.session.conn.kill(context.Cause(ctx)) })
}

func (a *appender) Add(ctx context.Context, m mailbox.NewMessage) error {
	defer a.tie(ctx)()
	if m.Size == 0 {
		if err := a.end(); err != nil {
			return err
		}
		a.pipe.mu.Lock()
		a.pipe.stray++
		a.pipe.mu.Unlock()
	}
	a.current.messages++
	c := a.open
	first := c == nil
	if first {
		c = a.command()
	} else if a.answered(c) {
		c.messages++ // refused already: the rest of its window need not be sent
		return a.alive()
	}
	c.messages++
	head := ""
	if first {
		head = c.tag + " APPEND " + a.folder
	}
	mark, err := a.mark(m)
	if err != nil {
		return err
	}
	taken, err := a.literal(c, head+arguments(m)+mark, m.Size)
	if err != nil || !taken {
		return err
	}
	if err := a.body(m); err != nil {
		return err
	}
	if a.multi && m.Size > 0 {
		a.open = c
		return nil
	}
	return a.write("\r\n")
}

// end ends the command that further messages of the window would go into. A server
// that refuses an empty literal may do so at once and read the rest of its line as
// commands (Cyrus 3.6), so an empty message has a command of its own.
func (a *appender) end() error {
	if a.open == nil {
		return nil
	}
	a.open = nil
	return a.write("\r\n")
}

// mark is "~" for a message with NULs, which may go as literal8 alone (RFC 3516
// section 4.4). It looks at bodies that can be read twice; what streams through is
// known only once it is refused, and then comes again in memory.
func (a *appender) mark(m mailbox.NewMessage) (string, error) {
	body, ok := m.Body.(io.ReadSeeker)
	if !ok || !a.session.caps.Binary {
		return "", nil
	}
	start, err := body.Seek(0, io.SeekCurrent)
	if err != nil {
		return "", fmt.Errorf("%s: %w", a.what(), err)
	}
	found := false
	if a.scratch == nil {
		a.scratch = make([]byte, 32<<10)
	}
	for !found {
		n, err := body.Read(a.scratch)
		found = bytes.IndexByte(a.scratch[:n], 0) >= 0
		if err != nil {
			break // what is wrong with the body shows when it is sent
		}
	}
	if _, err := body.Seek(start, io.SeekStart); err != nil {
		return "", fmt.Errorf("%s: %w", a.what(), err)
	}
	if found {
		return "~", nil
	}
	return "", nil
}

// command begins a command of the current window; its answer may come from now on.
func (a *appender) command() *command {
	c := &command{by: a, window: a.current}
	a.pipe.begin(c)
	return c
}

func (a *appender) answered(c *command) bool {
	a.pipe.mu.Lock()
	defer a.pipe.mu.Unlock()
	return c.answer != nil
}

func (a *appender) alive() error {
	a.pipe.mu.Lock()
	defer a.pipe.mu.Unlock()
	if a.pipe.err != nil {
		return a.session.broken(a.what())
	}
	return nil
}

// literal announces a message; taken is false where the server refused the command
// instead of asking for it. The first one of a connection waits to be asked for, also
// where it need not: a server that answers BAD to a line of ours would read the
// message as commands, and shows it here while there is none.
func (a *appender) literal(c *command, head string, size int64) (taken bool, err error) {
	caps := a.session.caps
	ahead := !a.mode.Synchronous && a.session.asked && (caps.LiteralPlus || caps.LiteralMinus && size <= literalMinus)
	if ahead {
		return true, a.write(head + "{" + strconv.FormatInt(size, 10) + "+}\r\n")
	}
	if err := a.write(head + "{" + strconv.FormatInt(size, 10) + "}\r\n"); err != nil {
		return false, err
	}
	if err := a.out.Flush(); err != nil {
		return false, a.session.broken(a.what())
	}
	acknowledgeAtOnce(a.session.conn.raw)
	a.session.conn.await(1)
	defer a.session.conn.await(-1)
	a.pipe.mu.Lock()
	defer a.pipe.mu.Unlock()
	for !a.pipe.more && c.answer == nil && a.pipe.err == nil {
		a.pipe.changed.Wait()
	}
	taken, a.pipe.more = a.pipe.more, false
	a.session.asked = a.session.asked || taken
	if a.pipe.err != nil {
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
			if _, end := a.session.conn.failure(); end != nil {
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
	// Also after a refusal: Dovecot tells it early and reads on to the end of the line.
	if err := a.end(); err != nil {
		return err
	}
	// The server's time begins now, and ends with the last answer.
	w := a.current
	a.current = &window{}
	return a.send(w)
}

// send sends what is left of a window, and has its answers told from now on.
func (a *appender) send(w *window) error {
	a.session.conn.await(1)
	a.pipe.mu.Lock()
	w.sent = time.Now()
	a.flushed = append(a.flushed, w)
	if w.open == 0 {
		a.session.conn.await(-1)
		a.pipe.changed.Broadcast()
	}
	a.pipe.mu.Unlock()
	if err := a.out.Flush(); err != nil {
		return a.session.broken(a.what())
	}
	a.pipe.mu.Lock()
	w.sent = time.Now()
	a.pipe.mu.Unlock()
	return nil // an end that came meanwhile is Receive's to tell, after the answers before it
}

// Store sends flag changes, a window of their own.
func (a *appender) Store(ctx context.Context, changes []mailbox.FlagChange) error {
	defer a.tie(ctx)()
	w := &window{store: true}
	for _, c := range storeCommands(changes) {
		tag := a.pipe.begin(&command{by: a, window: w})
		if err := a.write(tag + " " + c + "\r\n"); err != nil {
			return err
		}
	}
	return a.send(w)
}

func (a *appender) Close() error {
	a.pipe.mu.Lock()
	unanswered := a.pending > 0 || a.current.messages > 0
	a.closed = true
	a.pipe.changed.Broadcast()
	a.pipe.mu.Unlock()
	if unanswered {
		a.session.conn.kill(errUnanswered)
		return a.session.broken(a.what())
	}
	a.out.Reset(nil)
	appendBuffers.Put(a.out)
	a.out = nil
	return nil
}

var errUnanswered = errors.New("closed with messages on their way")
