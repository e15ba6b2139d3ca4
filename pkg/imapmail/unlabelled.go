package imapmail

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// Gmail shows a message in the folder of each of its labels, and every message in All
// Mail. What was archived and has no label is in All Mail alone. So All Mail is shown
// as a folder of those (mailbox.RoleRest): its listing has no numbers, opening it looks
// for the messages that have none of the labels that are folders, and what is read of
// it is cut down to them. A label that is hidden from IMAP has no folder and does not
// count.
//
// https://developers.google.com/workspace/gmail/imap/imap-extensions, "Access to Gmail
// labels: X-GM-LABELS".

// labels is what the last listing of a mailbox told, for all its connections.
type labels struct {
	mu   sync.Mutex
	all  string   // the name of All Mail; "" where the server has no labels
	keys []string // of SEARCH: a message that fits them all has no folder
}

// labelOf are the labels of the folders that Gmail itself makes; a user's own are named
// as their folders are. Of those whose spelling is doubtful both are asked for: what no
// message has leaves none out.
var labelOf = map[imap.MailboxAttr][]string{
	imap.MailboxAttrSent:      {`\Sent`},
	imap.MailboxAttrDrafts:    {`\Draft`, `\Drafts`},
	imap.MailboxAttrFlagged:   {`\Starred`},
	imap.MailboxAttrImportant: {`\Important`},
	imap.MailboxAttrJunk:      {`\Spam`},
	imap.MailboxAttrTrash:     {`\Trash`},
}

// note remembers one folder of a listing.
func (l *labels) note(s *session, f mailbox.Folder, attributes []imap.MailboxAttr) {
	if f.Role == mailbox.RoleRest {
		l.all = f.Name
		return
	}
	var names []string
	for _, a := range attributes {
		names = append(names, labelOf[a]...)
	}
	if f.Name == "INBOX" {
		names = []string{`\Inbox`}
	}
	var quoted []string
	for _, name := range names {
		q, _ := quote(name)
		quoted = append(quoted, q)
	}
	if q, ok := s.quoted(f.Name); ok && len(names) == 0 {
		quoted = []string{q}
	}
	for _, q := range quoted {
		l.keys = append(l.keys, " NOT X-GM-LABELS "+q)
	}
}

// unlabelled narrows a folder that was opened to the messages that no other shows, if
// it is All Mail.
func (s *session) unlabelled(sel mailbox.Selected) (mailbox.Selected, error) {
	s.labels.mu.Lock()
	all, keys := s.labels.all, slices.Clone(s.labels.keys)
	s.labels.mu.Unlock()
	if all == "" || s.open.name != all {
		return sel, nil
	}
	rest := mailbox.UIDSet{}
	// An answer has to stay within what is read in one piece, also where no two UIDs
	// are neighbours.
	step := max(20_000, sel.UIDNext/1000)
	for first := mailbox.UID(1); first < sel.UIDNext && sel.Messages > 0; first += min(step, sel.UIDNext-first) {
		found := mailbox.Span(first, first+min(step, sel.UIDNext-first)-1)
		for _, part := range joined(keys, maxSetText) {
			var err error
			if found, err = s.search(found, part); err != nil {
				return mailbox.Selected{}, err
			}
		}
		for _, r := range found {
			rest.AppendRange(r)
		}
	}
	s.rest = &rest
	sel.Messages = uint32(rest.Len())
	sel.HighestModSeq = 0 // it tells of all messages; a label need not raise it
	return sel, nil
}

// visible cuts a set down to what is shown of the open folder.
func (s *session) visible(set mailbox.UIDSet) mailbox.UIDSet {
	if s.rest == nil {
		return set
	}
	return set.Intersect(*s.rest)
}

// joined puts texts together to such of at most limit bytes.
func joined(texts []string, limit int) []string {
	out := []string{""}
	for _, t := range texts {
		if last := len(out) - 1; len(out[last])+len(t) <= limit {
			out[last] += t
		} else {
			out = append(out, t)
		}
	}
	return out
}

// search asks which of the messages between the ends of within fit the keys.
func (s *session) search(within mailbox.UIDSet, keys string) (mailbox.UIDSet, error) {
	if len(within) == 0 {
		return nil, nil
	}
	what := fmt.Sprintf("look for messages without a label in %q", s.open.name)
	x := &search{tag: s.tag(), done: make(chan struct{})}
	if err := s.conn.lend(x); err != nil {
		return nil, s.broken(what)
	}
	returns := ""
	if s.caps.ESearch {
		returns = " RETURN (ALL)" // as ranges (RFC 4731)
	}
	_, err := fmt.Fprintf(s.conn, "%s UID SEARCH%s UID %d:%d%s\r\n", x.tag, returns, within[0].First, within[len(within)-1].Last, keys)
	if err == nil {
		<-x.done
	}
	s.conn.reclaim()
	switch {
	case err != nil || !x.ended:
		return nil, s.broken(what)
	case x.said.kind != "OK":
		return nil, refusal(opSelect, x.said, s.account.Side, what)
	}
	s.conn.answered()
	return x.found.Intersect(within), nil
}

// search reads the answer to a SEARCH beside go-imap, which knows neither the keys nor
// to leave ranges what they are.
type search struct {
	tag   string
	found mailbox.UIDSet
	said  status
	done  chan struct{}
	over  sync.Once
	ended bool
}

func (x *search) claims(line []byte) bool {
	kind, numbered := untagged(line)
	return (kind == "SEARCH" || kind == "ESEARCH") && !numbered || strings.HasPrefix(string(line), x.tag+" ")
}

func (x *search) take(response []byte) error {
	if x.ended {
		return nil
	}
	if response[0] != '*' {
		x.said, _ = parseStatus(response)
		x.ended = true
		x.gone(nil)
		return nil
	}
	toks := tokens(response)
	kind, _ := untagged(response)
	for i, t := range toks {
		isSet := kind == "SEARCH" && i > 1 || kind == "ESEARCH" && i > 1 && strings.EqualFold(toks[i-1].value, "ALL")
		if isSet && t.paren == 0 {
			if err := x.add(t.value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *search) add(set string) error {
	for part := range strings.SplitSeq(set, ",") {
		from, to, isRange := strings.Cut(part, ":")
		if !isRange {
			to = from
		}
		first, ok := number(from)
		last, fits := number(to)
		if !ok || !fits || first == 0 || last == 0 {
			return fmt.Errorf("%w: %q among what a search found", errUnreadable, part)
		}
		x.found.AppendRange(mailbox.Range{First: mailbox.UID(min(first, last)), Last: mailbox.UID(max(first, last))})
	}
	return nil
}

func (x *search) gone(error) { x.over.Do(func() { close(x.done) }) }
