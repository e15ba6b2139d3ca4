package imapmail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	// maxSetText bounds a sequence set on the wire: Courier cuts the connection over
	// an argument of 16 KB.
	maxSetText = 8 << 10
	// maxHeader is how much of the header fields of a message is looked at.
	maxHeader = 256 << 10
	// maxFlags and maxFlag bound what is remembered of a message's flags: how many, and
	// the bytes of one. No server known keeps as many, or such long ones.
	maxFlags, maxFlag = 200, 255
	// maxHeld is how much of a body is held in memory that came before its flags.
	maxHeld = 1 << 20
	// maxHeldFile is how much of it a file holds: the flags of so large a message have to
	// come first, as all servers known send them.
	maxHeldFile = 256 << 20
)

// headerFields are those that Meta.Header holds.
var headerFields = &imap.FetchItemBodySection{
	Specifier: imap.PartSpecifierHeader, Peek: true,
	HeaderFields: []string{"Message-ID", "From", "To", "Date", "Subject"},
}

func (s *session) Metas(ctx context.Context, set mailbox.UIDSet, each func(mailbox.Meta) error) error {
	options := &imap.FetchOptions{
		UID: true, Flags: true, InternalDate: true, RFC822Size: true,
		BodySection: []*imap.FetchItemBodySection{headerFields},
	}
	const what = "read the messages' headers"
	// A change of flags that the server tells in between takes the place of the reply
	// in go-imap. Where the reply itself does not come as one unasked for, the message
	// is asked for once more.
	var cutShort mailbox.UIDSet
	set = s.visible(set)
	first := firsts{of: set}
	err := s.fetch(ctx, set, options, what, func(data *imapclient.FetchMessageData) error {
		m, whole, err := s.meta(data, what)
		switch {
		case err != nil:
			return err
		case !whole:
			if set.Contains(m.UID) {
				cutShort.Append(m.UID)
			}
			return nil
		case !first.time(m.UID):
			return nil
		}
		return each(m)
	})
	if err != nil {
		return err
	}
	return s.fetch(ctx, cutShort.Minus(first.seen), options, what, func(data *imapclient.FetchMessageData) error {
		m, _, err := s.meta(data, what)
		if err != nil || !first.time(m.UID) {
			return err
		}
		return each(m)
	})
}

// firsts tells what was asked for and comes the first time from what a server tells
// besides.
type firsts struct{ of, seen mailbox.UIDSet }

func (f *firsts) time(u mailbox.UID) bool {
	if u == 0 || !f.of.Contains(u) || f.seen.Contains(u) {
		return false
	}
	f.seen.Append(u)
	return true
}

// meta reads one reply; it is whole if the header fields were in it.
func (s *session) meta(data *imapclient.FetchMessageData, what string) (m mailbox.Meta, whole bool, err error) {
	for item := data.Next(); item != nil; item = data.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			m.UID = mailbox.UID(item.UID)
		case imapclient.FetchItemDataFlags:
			m.Flags = flagsOf(item.Flags)
		case imapclient.FetchItemDataInternalDate:
			m.Date = item.Time
		case imapclient.FetchItemDataRFC822Size:
			m.Size = item.Size
		case imapclient.FetchItemDataBodySection:
			whole = true
			if item.Literal == nil {
				continue
			}
			m.Header, err = io.ReadAll(io.LimitReader(item.Literal, maxHeader))
			if _, end := s.conn.failure(); end != nil || err != nil {
				return m, false, s.broken(what)
			}
		}
	}
	return m, whole, nil
}

func (s *session) Flags(ctx context.Context, set mailbox.UIDSet, since mailbox.ModSeq, each func(mailbox.UID, mailbox.Flags) error) error {
	set = s.visible(set)
	first := firsts{of: set}
	return s.read(ctx, mailbox.Read{Set: set, Since: since}, "read the messages' flags", func(data *imapclient.FetchMessageData) error {
		var uid mailbox.UID
		var flags mailbox.Flags
		told := false
		for item := data.Next(); item != nil; item = data.Next() {
			switch item := item.(type) {
			case imapclient.FetchItemDataUID:
				uid = mailbox.UID(item.UID)
			case imapclient.FetchItemDataFlags:
				flags, told = flagsOf(item.Flags), true
			}
		}
		if !told || !first.time(uid) {
			return nil
		}
		return each(uid, flags)
	})
}

func (s *session) Messages(ctx context.Context, set mailbox.UIDSet, each func(mailbox.Message) error) error {
	s.conn.in.bodies.Add(1)
	defer s.conn.in.bodies.Add(-1)
	set = s.visible(set)
	first := firsts{of: set}
	return s.read(ctx, mailbox.Read{Set: set, Whole: true}, "read messages", func(data *imapclient.FetchMessageData) error {
		return s.message(data, func(m mailbox.Message) error {
			if !first.time(m.UID) {
				return nil
			}
			return each(m)
		})
	})
}

// message passes one message on as soon as all of it but the body is known: at once
// where the body comes last, as servers send it; else the body is held meanwhile.
func (s *session) message(data *imapclient.FetchMessageData, each func(mailbox.Message) error) error {
	var m mailbox.Message
	var flags, date, given bool
	var held *heldBody
	defer func() { held.close() }()
	for item := data.Next(); item != nil; item = data.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			m.UID = mailbox.UID(item.UID)
		case imapclient.FetchItemDataFlags:
			m.Flags, flags = flagsOf(item.Flags), true
		case imapclient.FetchItemDataInternalDate:
			m.Date, date = item.Time, true
		case imapclient.FetchItemDataBodySection:
			if item.Literal == nil || given || held != nil {
				continue // BODY[] NIL: the server does not deliver it
			}
			body := &body{session: s, uid: m.UID, literal: item.Literal, left: item.Literal.Size()}
			m.Size = body.left
			if flags && date && m.UID != 0 {
				m.Body, given = body, true
				if err := each(m); err != nil {
					return err
				}
				continue
			}
			var err error
			if held, err = hold(body); err != nil {
				return err
			}
		}
	}
	if held == nil || m.UID == 0 {
		return nil
	}
	m.Body = held.reader
	return each(m)
}

// body is a message's literal. Where the connection ended inside it that is an error,
// which go-imap does not say.
type body struct {
	session *session
	uid     mailbox.UID
	literal io.Reader
	left    int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.literal.Read(p)
	b.left -= int64(n)
	if _, end := b.session.conn.failure(); end != nil {
		return 0, b.session.broken(fmt.Sprintf("read message uid %d", b.uid))
	}
	return n, err
}

// heldBody is a body kept until the rest of its message is known.
type heldBody struct {
	reader io.Reader
	file   *os.File // nil where memory holds it
}

func hold(body *body) (*heldBody, error) {
	var memory bytes.Buffer
	if _, err := io.Copy(&memory, io.LimitReader(body, maxHeld)); err != nil {
		return nil, err
	}
	if body.left == 0 {
		return &heldBody{reader: &memory}, nil
	}
	if body.left > maxHeldFile {
		err := migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, body.session.account.Side,
			fmt.Sprintf("read message uid %d: %v: %d bytes before its flags", body.uid, errTooMuch, body.left), errTooMuch)
		body.session.conn.kill(err)
		return nil, err
	}
	file, err := os.CreateTemp("", "mailhaul-")
	if err != nil {
		return nil, fmt.Errorf("make a file for a large message: %w", err)
	}
	h := &heldBody{reader: file, file: file}
	// Without a name it goes away with the process, whatever happens.
	err = os.Remove(file.Name())
	if err == nil {
		_, err = io.Copy(file, io.MultiReader(&memory, body))
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		h.close()
		return nil, fmt.Errorf("hold a large message: %w", err)
	}
	return h, nil
}

func (h *heldBody) close() {
	if h != nil && h.file != nil {
		_ = h.file.Close()
	}
}

// fetch sends one FETCH at a time: replies to several would interleave their bodies,
// and go-imap would wait for ever. An error of each ends the connection, which is in
// the middle of a reply.
func (s *session) fetch(ctx context.Context, set mailbox.UIDSet, options *imap.FetchOptions, what string,
	each func(*imapclient.FetchMessageData) error,
) error {
	if len(set) == 0 {
		return nil
	}
	defer s.begin(ctx)()
	if err := s.goBack(); err != nil {
		return err
	}
	for _, part := range wireSets(set) {
		if err := s.collect(func() *imapclient.FetchCommand { return s.client.Fetch(part, options) }, what, each); err != nil {
			return err
		}
	}
	return nil
}

// collect hands on the replies to one command.
func (s *session) collect(send func() *imapclient.FetchCommand, what string, each func(*imapclient.FetchMessageData) error) error {
	turn := s.unasked.collect(each)
	defer s.unasked.end()
	command := send()
	for data := command.Next(); data != nil; data = command.Next() {
		if err := turn(data); err != nil {
			s.conn.kill(err)
			_ = command.Close()
			return err
		}
	}
	err := command.Close()
	if late := s.unasked.failed(); late != nil {
		return late
	}
	if err != nil && !expunged(err) {
		return s.answered(err, opFetch, what)
	}
	s.conn.answered()
	return nil
}

// unasked takes the replies that go-imap cannot match with a command: it has to know
// the UID before the first literal, and some servers tell it after. They are handed on
// as the others are, one at a time.
type unasked struct {
	session *session
	mu      sync.Mutex
	each    func(*imapclient.FetchMessageData) error // nil: nobody waits for any
	err     error
}

// collect hands replies to each, and returns a function that hands it one that was
// matched.
func (u *unasked) collect(each func(*imapclient.FetchMessageData) error) func(*imapclient.FetchMessageData) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.each, u.err = each, nil
	return func(data *imapclient.FetchMessageData) error {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.err != nil {
			return u.err
		}
		return each(data)
	}
}

// take is called by go-imap, in a goroutine of its own.
func (u *unasked) take(data *imapclient.FetchMessageData) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.each != nil && u.err == nil {
		if u.err = u.each(data); u.err != nil {
			u.session.conn.kill(u.err)
		}
	}
	for item := data.Next(); item != nil; item = data.Next() {
		if body, ok := item.(imapclient.FetchItemDataBodySection); ok && body.Literal != nil {
			_, _ = io.Copy(io.Discard, body.Literal)
		}
	}
}

// end waits for what is being handed on.
func (u *unasked) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.each = nil
}

func (u *unasked) failed() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// expunged reports whether a refusal only says that some messages are gone (RFC 5530
// section 3; Dovecot "Some messages were already expunged").
func expunged(err error) bool {
	var refused *imap.Error
	return errors.As(err, &refused) && saysExpunged(string(refused.Code), refused.Text)
}

func saysExpunged(code, text string) bool {
	return code == "EXPUNGEISSUED" || strings.Contains(strings.ToLower(text), "expunged")
}

// wireSets cuts a set into such as fit into a command.
func wireSets(set mailbox.UIDSet) []imap.UIDSet {
	var out []imap.UIDSet
	var part imap.UIDSet
	length := 0
	for _, r := range set {
		n := digits(uint32(r.First)) + 1
		if r.Last != r.First {
			n += digits(uint32(r.Last)) + 1
		}
		if length+n > maxSetText {
			out, part, length = append(out, part), nil, 0
		}
		part = append(part, imap.UIDRange{Start: imap.UID(r.First), Stop: imap.UID(r.Last)})
		length += n
	}
	if len(part) > 0 {
		out = append(out, part)
	}
	return out
}

func digits(n uint32) int {
	d := 1
	for ; n > 9; n /= 10 {
		d++
	}
	return d
}

func flagsOf(flags []imap.Flag) mailbox.Flags {
	names := make([]string, 0, min(len(flags), maxFlags))
	for _, f := range flags {
		if len(f) <= maxFlag && len(names) < maxFlags {
			names = append(names, string(f))
		}
	}
	return mailbox.NewFlags(names...)
}
