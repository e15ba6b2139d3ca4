package imapmail

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// Receive tells windows that are answered also after the connection has ended.
func (a *appender) Receive(ctx context.Context) (mailbox.Answer, error) {
	defer a.tie(ctx)()
	a.pipe.mu.Lock()
	defer a.pipe.mu.Unlock()
	for {
		if len(a.flushed) > 0 && a.flushed[0].open == 0 {
			w := a.flushed[0]
			a.flushed = a.flushed[1:]
			return a.answer(w), nil
		}
		if a.pipe.err != nil {
			return mailbox.Answer{}, a.session.broken(a.what())
		}
		if a.closed {
			return mailbox.Answer{}, errors.New("receive from an appender that is closed")
		}
		a.pipe.changed.Wait()
	}
}

// answer makes the Answer of a window whose commands are all answered.
func (a *appender) answer(w *window) mailbox.Answer {
	out := mailbox.Answer{Took: w.took}
	if w.store {
		out.Refused = a.stored(w)
		return out
	}
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

// stored is the first refusal of a window of flag changes. Messages that are gone are
// none.
func (a *appender) stored(w *window) error {
	for _, c := range w.commands {
		if s := *c.answer; s.kind != "OK" && !saysExpunged(s.code, s.text) {
			return refusal(opStore, s, a.session.account.Side, fmt.Sprintf("change flags in %q", a.name))
		}
	}
	return nil
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
