package imapmail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

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
	if c := w.commands[0]; a.multi && len(w.commands) == 1 {
		if c.answer.kind != "OK" {
			out.Refused = refusal(opAppend, *c.answer, a.session.account.Side, a.what())
			return out
		}
		out.Validity, out.UIDs = appendUID(*c.answer, c.messages)
		return out
	}
	uids, told := make([]mailbox.UID, 0, w.messages), false
	for _, c := range w.commands {
		var refused error
		if c.answer.kind != "OK" {
			refused = refusal(opAppend, *c.answer, a.session.account.Side, a.what())
		}
		for range c.messages {
			out.Each = append(out.Each, refused)
		}
		validity, got := appendUID(*c.answer, c.messages)
		if got == nil {
			got = make([]mailbox.UID, c.messages)
		} else {
			out.Validity, told = validity, true
		}
		uids = append(uids, got...)
	}
	if told {
		out.UIDs = uids
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
	if s.kind == "BAD" && s.tag == "*" && a.stray > 0 {
		a.stray-- // the line's end after an empty message, which was refused before it came
		return nil
	}
	if s.kind == "BAD" {
		if f := refusal(opAppend, s, a.session.account.Side, a.what()); f.Code == migration.Throttled {
			return f // Microsoft 365 says it so
		}
		return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, a.session.account.Side,
			a.what()+": "+s.words(), mailbox.ErrBad)
	}
	c := a.pending[s.tag]
	if c == nil {
		if s.tag != "*" {
			return fmt.Errorf("%w: an answer to nothing", errUnreadable)
		}
		return nil
	}
	delete(a.pending, s.tag)
	c.answer = &s
	a.session.conn.answered()
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
