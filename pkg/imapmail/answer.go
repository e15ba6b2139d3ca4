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
