package imapmail

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// inFlight bounds how many small commands are sent ahead of their answers.
const inFlight = 100

var useAttributes = map[mailbox.Role]imap.MailboxAttr{
	mailbox.RoleSent:    imap.MailboxAttrSent,
	mailbox.RoleDrafts:  imap.MailboxAttrDrafts,
	mailbox.RoleJunk:    imap.MailboxAttrJunk,
	mailbox.RoleTrash:   imap.MailboxAttrTrash,
	mailbox.RoleArchive: imap.MailboxAttrArchive,
}

// Create asks for the roles first; what is refused with one is asked for without,
// and what is still refused is looked for: servers say "exists" in many ways, Courier
// "Cannot create this folder".
func (s *session) Create(ctx context.Context, folders []mailbox.NewFolder) []error {
	defer s.begin(ctx)()
	errs := s.pipeline(len(folders), func(i int) waiter {
		return s.create(folders[i], s.caps.CreateSpecialUse)
	})
	s.again(errs, func(i int) bool { return useAttributes[folders[i].Role] != "" && !exists(errs[i]) }, func(i int) waiter {
		return s.create(folders[i], false)
	})
	said := make([]error, len(errs))
	copy(said, errs)
	s.again(errs, func(i int) bool { return !exists(errs[i]) }, func(i int) waiter {
		return statusWaiter{s.client.Status(s.onWire(folders[i].Name), &imap.StatusOptions{UIDValidity: true})}
	})
	for i := range errs {
		if errs[i] == nil || exists(errs[i]) {
			errs[i] = nil
			continue
		}
		errs[i] = s.answered(said[i], opCreate, fmt.Sprintf("create folder %q", folders[i].Name))
	}
	return errs
}

func (s *session) create(f mailbox.NewFolder, withRole bool) waiter {
	var options *imap.CreateOptions
	if use := useAttributes[f.Role]; withRole && use != "" {
		options = &imap.CreateOptions{SpecialUse: []imap.MailboxAttr{use}}
	}
	return s.client.Create(s.onWire(f.Name), options)
}

// exists reports whether a refusal says that the folder is there (RFC 5530 section 3).
func exists(err error) bool {
	var refused *imap.Error
	return errors.As(err, &refused) && (refused.Code == imap.ResponseCodeAlreadyExists ||
		strings.Contains(strings.ToLower(refused.Text), "already exists"))
}

// Rename gives a folder another name.
func (s *session) Rename(ctx context.Context, from, to string) error {
	defer s.begin(ctx)()
	err := s.client.Rename(s.onWire(from), s.onWire(to), nil).Wait()
	return s.answered(err, opRename, fmt.Sprintf("rename folder %q to %q", from, to))
}

// Subscribe changes subscriptions.
func (s *session) Subscribe(ctx context.Context, names []string, subscribed bool) []error {
	defer s.begin(ctx)()
	errs := s.pipeline(len(names), func(i int) waiter {
		if subscribed {
			return s.client.Subscribe(s.onWire(names[i]))
		}
		return s.client.Unsubscribe(s.onWire(names[i]))
	})
	for i, err := range errs {
		errs[i] = s.answered(err, opSubscribe, fmt.Sprintf("change the subscription of %q", names[i]))
	}
	return errs
}

// waiter is a command whose answer can be waited for.
type waiter interface{ Wait() error }

type statusWaiter struct{ *imapclient.StatusCommand }

func (w statusWaiter) Wait() error {
	_, err := w.StatusCommand.Wait()
	return err
}

// pipeline sends n commands, up to inFlight ahead of their answers.
func (s *session) pipeline(n int, send func(int) waiter) []error {
	errs := make([]error, n)
	for first := 0; first < n; first += inFlight {
		var sent []waiter
		for i := first; i < min(n, first+inFlight); i++ {
			sent = append(sent, send(i))
		}
		for i, w := range sent {
			errs[first+i] = w.Wait()
			s.conn.answered()
		}
	}
	return errs
}

// again sends a command for each refused request that wants one, and keeps its
// error in the place of the first.
func (s *session) again(errs []error, want func(int) bool, send func(int) waiter) {
	var indexes []int
	for i, err := range errs {
		var refused *imap.Error
		if errors.As(err, &refused) && want(i) {
			indexes = append(indexes, i)
		}
	}
	for k, err := range s.pipeline(len(indexes), func(k int) waiter { return send(indexes[k]) }) {
		errs[indexes[k]] = err
	}
}

// Select opens a folder.
func (s *session) Select(ctx context.Context, name string, readOnly bool) (mailbox.Selected, error) {
	defer s.tie(ctx)()
	s.open, s.rest = openFolder{name: name, readOnly: readOnly}, nil
	command := s.openForeseen(name, readOnly)
	if command == nil {
		s.discard()
		s.foresee.astray = false
		command = s.sendSelect(s.open)
	}
	sel, err := s.selected(command)
	s.open.validity = sel.UIDValidity
	if err != nil {
		return sel, err
	}
	return s.unlabelled(sel)
}

// Peek opens folders for writing, one after the other, all sent at once.
func (s *session) Peek(ctx context.Context, names []string) ([]mailbox.Selected, []error) {
	defer s.begin(ctx)()
	s.rest = nil
	out, errs := make([]mailbox.Selected, len(names)), make([]error, len(names))
	for first := 0; first < len(names); first += inFlight {
		part := names[first:min(len(names), first+inFlight)]
		commands := make([]*imapclient.SelectCommand, len(part))
		for i, name := range part {
			commands[i] = s.sendSelect(openFolder{name: name})
		}
		for i, name := range part {
			s.open = openFolder{name: name}
			out[first+i], errs[first+i] = s.selected(commands[i])
			s.conn.answered()
		}
	}
	return out, errs
}

func (s *session) sendSelect(f openFolder) *imapclient.SelectCommand {
	// RFC 7162 section 3.1.8: the parameter makes the server tell HIGHESTMODSEQ.
	return s.client.Select(s.onWire(f.name), &imap.SelectOptions{ReadOnly: f.readOnly, CondStore: s.caps.CondStore})
}

// selected waits for the answer to a SELECT of the open folder.
func (s *session) selected(command *imapclient.SelectCommand) (mailbox.Selected, error) {
	what := fmt.Sprintf("open %q", s.open.name)
	data, err := command.Wait()
	if err != nil {
		return mailbox.Selected{}, s.answered(err, opSelect, what)
	}
	sel := mailbox.Selected{Status: mailbox.Status{
		Messages: data.NumMessages, UIDNext: mailbox.UID(data.UIDNext),
		UIDValidity: mailbox.UIDValidity(data.UIDValidity), HighestModSeq: mailbox.ModSeq(data.HighestModSeq), Size: -1,
	}}
	s.conn.in.said.asked.Store(int64(sel.Messages))
	if sel.UIDNext == 0 { // Courier does not tell it here
		s.discard()
		st, err := s.client.Status(s.onWire(s.open.name), &imap.StatusOptions{UIDNext: true, UIDValidity: true}).Wait()
		if err != nil {
			return mailbox.Selected{}, s.answered(err, opSelect, what)
		}
		sel.UIDNext = mailbox.UID(st.UIDNext)
	}
	if s.open.readOnly {
		return sel, nil
	}
	permanent := data.PermanentFlags
	if permanent == nil { // RFC 9051 section 7.1: then all of them are
		permanent = data.Flags
	}
	var names []string
	for _, f := range permanent {
		if f == imap.FlagWildcard {
			sel.AnyKeyword = true
			continue
		}
		names = append(names, string(f))
	}
	sel.Permanent = mailbox.NewFlags(names...)
	return sel, nil
}
