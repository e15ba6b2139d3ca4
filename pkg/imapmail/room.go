package imapmail

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// Sizes asks for no header: a message costs some forty bytes on the wire. Servers that
// keep sizes with their index answer at once; others look into each message once.
func (s *session) Sizes(ctx context.Context, set mailbox.UIDSet, each func(mailbox.UID, int64, time.Time) error) error {
	const what = "read the messages' sizes"
	set = s.visible(set)
	first := firsts{of: set}
	options := &imap.FetchOptions{UID: true, InternalDate: true, RFC822Size: true}
	return s.fetch(ctx, set, options, what, func(data *imapclient.FetchMessageData) error {
		var m mailbox.Meta
		told := false
		for item := data.Next(); item != nil; item = data.Next() {
			switch item := item.(type) {
			case imapclient.FetchItemDataUID:
				m.UID = mailbox.UID(item.UID)
			case imapclient.FetchItemDataInternalDate:
				m.Date = item.Time
			case imapclient.FetchItemDataRFC822Size:
				m.Size, told = item.Size, true
			}
		}
		if !told || !first.time(m.UID) {
			return nil
		}
		return each(m.UID, m.Size, m.Date)
	})
}

// Room asks for the quota of INBOX (RFC 9208) and, where the server tells that it has a
// limit of each folder's own, for that of INBOX (RFC 7889 section 3). A server that
// refuses to tell has told nothing.
func (s *session) Room(ctx context.Context) (mailbox.Room, error) {
	defer s.begin(ctx)()
	room := mailbox.Room{AppendLimit: s.caps.AppendLimit}
	if s.words["APPENDLIMIT"] {
		st, err := s.client.Status(s.onWire("INBOX"), &imap.StatusOptions{AppendLimit: true}).Wait()
		switch {
		case err == nil && st.AppendLimit != nil && *st.AppendLimit != math.MaxUint32: // NIL: none
			room.AppendLimit = int64(*st.AppendLimit)
		case err != nil && !errors.As(err, new(*imap.Error)):
			return room, s.answered(err, opList, "read the size limit of INBOX")
		}
	}
	if !s.words["QUOTA"] {
		return room, nil
	}
	const what = "read the quota"
	q := &quota{tag: s.tag(), done: make(chan struct{})}
	if err := s.conn.lend(q); err != nil {
		return room, s.broken(what)
	}
	defer s.conn.reclaim()
	name, ok := s.quoted("INBOX")
	if !ok {
		return room, nil
	}
	if _, err := s.conn.Write([]byte(q.tag + " GETQUOTAROOT " + name + "\r\n")); err != nil {
		return room, s.broken(what)
	}
	<-q.done
	if !q.ended {
		return room, s.broken(what)
	}
	room.Used, room.Limit = q.used, q.limit
	return room, nil
}

// quota reads the answer to GETQUOTAROOT, which go-imap would hang up over where a
// server writes it a little differently.
type quota struct {
	tag         string
	used, limit int64
	done        chan struct{} // closed when the answer has come, or never will
	over        sync.Once     // closes it
	ended       bool          // the answer has come
}

func (q *quota) claims(line []byte) bool {
	kind, _ := untagged(line)
	return kind == "QUOTA" || kind == "QUOTAROOT" || strings.HasPrefix(string(line), q.tag+" ")
}

// take keeps the quota that has the least room: each of a folder's roots holds.
func (q *quota) take(response []byte) error {
	switch kind, _ := untagged(response); {
	case q.ended:
	case response[0] != '*':
		q.ended = true
		q.gone(nil)
	case kind == "QUOTA":
		used, limit, ok := storage(tokens(response))
		if ok && (q.limit == 0 || limit-used < q.limit-q.used) {
			q.used, q.limit = used, limit
		}
	}
	return nil
}

func (q *quota) gone(error) { q.over.Do(func() { close(q.done) }) }

// storage finds the resource STORAGE, in units of 1,024 bytes (RFC 9208 section 5.1), in
// * QUOTA root (NAME used limit ...).
func storage(toks []token) (used, limit int64, ok bool) {
	for i := 3; i+2 < len(toks); i++ {
		if !strings.EqualFold(toks[i].value, "STORAGE") || toks[i-1].paren == ')' {
			continue
		}
		const most = math.MaxInt64 / 1024
		u, err1 := strconv.ParseInt(toks[i+1].value, 10, 64)
		l, err2 := strconv.ParseInt(toks[i+2].value, 10, 64)
		if err1 != nil || err2 != nil || u < 0 || l <= 0 || u > most || l > most {
			return 0, 0, false
		}
		return u * 1024, l * 1024, true
	}
	return 0, 0, false
}
