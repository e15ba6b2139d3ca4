package mailboxtest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

type memoryAppender struct {
	s       *memorySession
	name    string
	mode    mailbox.AppendMode
	window  []memoryAppend
	answers chan mailbox.Answer
}

type memoryAppend struct {
	msg  mailbox.Message
	body []byte
}

func (a *memoryAppender) fail(err error) error {
	a.s.Kill(err)
	return err
}

func (a *memoryAppender) Add(ctx context.Context, m mailbox.NewMessage) error {
	if err := a.s.alive(ctx); err != nil {
		return a.fail(err)
	}
	body, err := io.ReadAll(m.Body)
	if err == nil && int64(len(body)) != m.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return a.fail(&mailbox.BodyError{Err: err})
	}
	if a.s.m.fate("add") != Done {
		return a.fail(a.s.m.cut("add")) // half a command: nothing is applied
	}
	m.Body = nil
	m.Flags = atoms(m.Flags)
	a.window = append(a.window, memoryAppend{m.Message, body})
	return nil
}

// atoms returns the system flags and the keywords that can stand in a command.
func atoms(flags mailbox.Flags) mailbox.Flags {
	system := mailbox.NewFlags(mailbox.Answered, mailbox.Deleted, mailbox.Draft, mailbox.Flagged, mailbox.Seen)
	return slices.DeleteFunc(slices.Clone(flags), func(f string) bool {
		return !system.Has(f) && strings.ContainsFunc(f, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("(){}%*\"\\[]", r) })
	})
}

func (a *memoryAppender) Store(ctx context.Context, changes []mailbox.FlagChange) error {
	err := a.s.Store(ctx, changes)
	var refused *migration.Fault
	if errors.As(err, &refused) && refused.Scope != migration.ScopeEndpoint {
		a.answers <- mailbox.Answer{Refused: err}
		return nil
	}
	if err != nil {
		return a.fail(err)
	}
	a.answers <- mailbox.Answer{}
	return nil
}

func (a *memoryAppender) Flush(ctx context.Context) error {
	if len(a.window) == 0 {
		return nil
	}
	if err := a.s.alive(ctx); err != nil {
		return a.fail(err)
	}
	window := a.window
	a.window = nil
	m := a.s.m
	switch m.fate("append") {
	case Undo:
		return a.fail(m.cut("append"))
	case Late:
		time.AfterFunc(LateAfter, func() { a.apply(window) })
		return a.fail(m.cut("append"))
	case Mute:
		a.apply(window)
		return a.fail(m.cut("append"))
	default:
		a.answers <- a.apply(window)
		return nil
	}
}

// apply stores a window as the server would.
func (a *memoryAppender) apply(window []memoryAppend) mailbox.Answer {
	m := a.s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.folders[a.name]
	if f == nil || f.Parent {
		return mailbox.Answer{Refused: migration.NewFault(migration.TargetNotFound, migration.ScopeFolder, m.Side, "[TRYCREATE] "+a.name, nil)}
	}
	refused := make([]error, len(window))
	whole := m.Caps.MultiAppend && !a.mode.Single
	for i, x := range window {
		if m.Refuse != nil {
			refused[i] = m.Refuse(x.msg, x.body)
		}
		if refused[i] != nil && whole {
			return mailbox.Answer{Refused: refused[i]}
		}
	}
	ans := mailbox.Answer{UIDs: make([]mailbox.UID, len(window))}
	if !whole {
		ans.Each = refused
	}
	for i, x := range window {
		if refused[i] == nil {
			ans.UIDs[i] = m.deliver(f, x.msg, x.body)
			m.Writes++
		}
	}
	ans.Validity = f.Validity
	if !m.Caps.UIDPlus {
		ans.Validity, ans.UIDs = 0, nil
	}
	return ans
}

func (a *memoryAppender) Receive(ctx context.Context) (mailbox.Answer, error) {
	select {
	case ans := <-a.answers:
		if a.s.m.fate("answer") != Done {
			return mailbox.Answer{}, a.fail(a.s.m.cut("answer"))
		}
		return ans, nil
	case <-a.s.killed:
		return mailbox.Answer{}, a.s.alive(context.Background())
	case <-ctx.Done():
		return mailbox.Answer{}, a.fail(context.Cause(ctx))
	}
}

func (a *memoryAppender) Close() error {
	if len(a.window) > 0 || len(a.answers) > 0 {
		return a.fail(a.s.m.cut("close"))
	}
	return nil
}
