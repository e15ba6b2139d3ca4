package imapmail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// List takes one round trip with LIST-EXTENDED and LIST-STATUS (RFC 5258, RFC 5819),
// two without: LIST and LSUB together, then all STATUS together.
func (s *session) List(ctx context.Context) ([]mailbox.Folder, error) {
	defer s.begin(ctx)()
	const what = "list folders"
	pattern := "*"
	if s.account.Root != "" {
		s.settle()
		pattern = s.account.Root + "*"
	}
	var options *imap.ListOptions
	var subscriptions *lsub
	if s.caps.ListExtended {
		options = &imap.ListOptions{ReturnSubscribed: true, ReturnSpecialUse: s.caps.SpecialUse}
		if s.caps.ListStatus {
			options.ReturnStatus = s.statusOptions()
		}
	} else {
		var err error
		if subscriptions, err = s.lsub(pattern); err != nil {
			return nil, s.broken(what)
		}
	}
	rows, err := s.client.List("", pattern, options).Collect()
	if subscriptions != nil {
		<-subscriptions.done
		s.conn.reclaim()
	}
	if err != nil {
		return nil, s.answered(err, opList, what)
	}
	if rows, err = s.listOthers(ctx, rows, options); err != nil {
		return nil, err
	}
	s.settle()
	folders := s.folders(rows, subscriptions)
	if s.account.Root != "" && s.account.Side == migration.Source && len(folders) == 0 {
		// As an empty mailbox it would be called in step with nothing copied.
		return nil, migration.NewFault(migration.AuthorizationMissing, migration.ScopeUser, s.account.Side,
			fmt.Sprintf("%s: there is no folder %q (UserRoot), or %q may not see it", what, s.account.Root, s.account.User), nil)
	}
	if s.account.Root == "" && s.noneOwn(folders) {
		return nil, s.noMailbox()
	}
	if err := s.statuses(folders); err != nil {
		return nil, err
	}
	for i := range folders {
		if folders[i].Role == mailbox.RoleRest {
			folders[i].Status = nil // it is of all messages
		}
	}
	return folders, nil
}

// noMailbox is the fault of a login that has no folder at all. INBOX is there in every
// mailbox (RFC 9051 section 5.1); Cyrus lets its administrator act for users who do not
// exist, and shows nothing.
func (s *session) noMailbox() error {
	code, who := migration.AuthorizationMissing, s.account.User
	if s.account.Side == migration.Target {
		code = migration.TargetNotFound
	}
	if s.account.AuthorizationID != "" {
		who = s.account.AuthorizationID
	}
	return migration.NewFault(code, migration.ScopeUser, s.account.Side,
		fmt.Sprintf("%q has no mailbox at %s: the server lets the login in and shows no folder, not even INBOX", who, s.account.Host), nil)
}

// folders turns the rows of a listing into the folders of the mailbox, sorted.
func (s *session) folders(rows []*imap.ListData, subscriptions *lsub) []mailbox.Folder {
	var out []mailbox.Folder
	s.unsealRows(rows, subscriptions)
	s.labels.mu.Lock()
	defer s.labels.mu.Unlock()
	s.labels.all, s.labels.keys = "", nil
	for _, row := range rows {
		if !s.own(row.Mailbox) {
			continue
		}
		f := mailbox.Folder{Name: row.Mailbox, Selectable: true, Status: statusOf(row.Status)}
		if subscriptions != nil {
			f.Subscribed = subscriptions.names[row.Mailbox]
		}
		if s.account.Root != "" && row.Mailbox == s.account.Root {
			f.Name = "INBOX"
		}
		foreign := s.namespaceOf(f.Name) != nil
		f.Path = s.path(f.Name, delimiter(row.Delim))
		if foreign {
			f.Path = split(f.Name, delimiter(row.Delim))
		}
		for _, attribute := range row.Attrs {
			switch attribute {
			case imap.MailboxAttrNoSelect, imap.MailboxAttrNonExistent:
				f.Selectable = false
			case imap.MailboxAttrSubscribed:
				f.Subscribed = true
			default:
				if r, ok := roles[attribute]; ok && (!foreign || r == mailbox.RoleAll) {
					f.Role = r
				}
			}
		}
		if f.Name == "INBOX" {
			f.Role = mailbox.RoleInbox
		}
		if f.Role == mailbox.RoleAll && s.words["X-GM-EXT-1"] {
			f.Role = mailbox.RoleRest
		}
		if f.Selectable {
			s.labels.note(s, f, row.Attrs)
		}
		out = append(out, f)
	}
	s.tellApart(out)
	slices.SortStableFunc(out, func(a, b mailbox.Folder) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b mailbox.Folder) bool { return a.Name == b.Name })
}

// unsealRows puts readable names in the place of sealed ones.
func (s *session) unsealRows(rows []*imap.ListData, subscriptions *lsub) {
	names := make([]string, len(rows))
	for i, row := range rows {
		names[i] = row.Mailbox
		if s.naming.Delimiter == "" {
			s.naming.Delimiter = delimiter(row.Delim)
		}
	}
	shown := s.names.listed(names, s.naming.Delimiter)
	for _, row := range rows {
		as, ok := shown[row.Mailbox]
		if !ok {
			continue
		}
		if subscriptions != nil && subscriptions.names[row.Mailbox] {
			subscriptions.names[as] = true
		}
		row.Mailbox = as
	}
}

var roles = map[imap.MailboxAttr]mailbox.Role{
	imap.MailboxAttrSent:    mailbox.RoleSent,
	imap.MailboxAttrDrafts:  mailbox.RoleDrafts,
	imap.MailboxAttrJunk:    mailbox.RoleJunk,
	imap.MailboxAttrTrash:   mailbox.RoleTrash,
	imap.MailboxAttrArchive: mailbox.RoleArchive,
	imap.MailboxAttrAll:     mailbox.RoleAll,
}

// own reports whether a name is of the personal namespace, of another that is asked for,
// or below the root.
func (s *session) own(name string) bool {
	if name == "" || name == s.naming.Prefix {
		return false
	}
	if s.account.Root != "" {
		return name == s.account.Root || strings.HasPrefix(name, s.naming.Prefix)
	}
	n := s.namespaceOf(name)
	return n == nil || n.allowed
}

// path splits a name into its parts, without the namespace's prefix.
func (s *session) path(name, delimiter string) []string {
	if name == "INBOX" {
		return []string{"INBOX"}
	}
	prefix := s.naming.Prefix
	if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
		name = name[len(prefix):]
	}
	if delimiter == "" {
		return []string{name}
	}
	path := strings.Split(name, delimiter)
	if len(path) == 1 && strings.EqualFold(name, "INBOX") {
		return []string{"INBOX", name} // "INBOX.INBOX" is not INBOX
	}
	return path
}

func (s *session) statusOptions() *imap.StatusOptions {
	return &imap.StatusOptions{
		NumMessages: true, UIDNext: true, UIDValidity: true,
		HighestModSeq: s.caps.CondStore,
		Size:          s.words["STATUS=SIZE"] || s.words["IMAP4REV2"],
	}
}

func statusOf(data *imap.StatusData) *mailbox.Status {
	if data == nil || data.NumMessages == nil {
		return nil
	}
	st := &mailbox.Status{
		Messages: *data.NumMessages, UIDNext: mailbox.UID(data.UIDNext),
		UIDValidity:   mailbox.UIDValidity(data.UIDValidity),
		HighestModSeq: mailbox.ModSeq(data.HighestModSeq), Size: -1,
	}
	if data.Size != nil {
		st.Size = *data.Size
	}
	return st
}

// statuses asks for the numbers that did not come with the listing, all at once. A
// folder whose numbers are refused keeps none.
func (s *session) statuses(folders []mailbox.Folder) error {
	asked := map[int]*imapclient.StatusCommand{}
	for i, f := range folders {
		if f.Selectable && f.Status == nil {
			asked[i] = s.client.Status(s.onWire(f.Name), s.statusOptions())
		}
	}
	var failed error
	for i, command := range asked {
		data, err := command.Wait()
		s.conn.answered()
		if err == nil {
			folders[i].Status = statusOf(data)
		} else if !errors.As(err, new(*imap.Error)) && failed == nil {
			failed = s.answered(err, opList, fmt.Sprintf("status of %q", folders[i].Name))
		}
	}
	return failed
}

// lsub reads subscriptions (RFC 3501 section 6.3.9), which go-imap cannot, beside
// go-imap's own commands.
type lsub struct {
	tag   string
	names map[string]bool // no more is added once it is over
	done  chan struct{}   // closed when the answer has come, or never will
	over  sync.Once       // closes it
	ended bool            // the answer has come
}

func (s *session) lsub(pattern string) (*lsub, error) {
	l := &lsub{tag: s.tag(), names: map[string]bool{}, done: make(chan struct{})}
	if err := s.conn.lend(l); err != nil {
		return nil, err
	}
	quoted, ok := quote(encodeName(pattern))
	if !ok {
		quoted = `"*"`
	}
	if _, err := s.conn.Write([]byte(l.tag + ` LSUB "" ` + quoted + "\r\n")); err != nil {
		s.conn.reclaim()
		return nil, err
	}
	return l, nil
}

// tag makes a tag that go-imap does not use.
func (s *session) tag() string {
	s.tags++
	return "M" + strconv.Itoa(s.tags)
}

func (l *lsub) claims(line []byte) bool {
	kind, _ := untagged(line)
	return kind == "LSUB" || strings.HasPrefix(string(line), l.tag+" ")
}

func (l *lsub) take(response []byte) error {
	if l.ended {
		return nil // what comes after the answer is no part of it
	}
	if response[0] != '*' {
		l.ended = true
		l.gone(nil)
		return nil
	}
	toks := tokens(response)
	if i := valueEnd(toks, 2) + 1; i < len(toks) {
		name := understood(toks[i].value)
		if strings.EqualFold(name, "INBOX") {
			name = "INBOX"
		}
		l.names[name] = true
	}
	return nil
}

func (l *lsub) gone(error) { l.over.Do(func() { close(l.done) }) }
