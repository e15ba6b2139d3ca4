package mailboxtest

import (
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

var readTests = []test{
	{"headers, sizes and dates are told without bodies", readsMetas},
	{"sizes and dates are told alone", readsSizes},
	{"what there is room for is told", readsRoom},
	{"only what is asked for is read", readsSubset},
	{"reading marks nothing as read", marksNothing},
	{"a body may be left unread", skipsBodies},
	{"flags change one by one", changesFlags},
	{"flags of messages that are gone change in silence", changesGone},
	{"changes since a point in time are told", tellsChanges},
}

// filled returns a session with n letters in INBOX, opened for writing, and their UIDs.
func filled(t *testing.T, open mailbox.Opener, n int) (mailbox.Session, []mailbox.UID) {
	t.Helper()
	s := session(t, open)
	var mails []mail
	for i := range n {
		mails = append(mails, letter(i))
	}
	stored(t, write(t, s, "INBOX", mailbox.AppendMode{}, mails...))
	selected(t, s, "INBOX", false)
	return s, holds(t, s, mails...)
}

func metas(t *testing.T, s mailbox.Session, set mailbox.UIDSet) map[mailbox.UID]mailbox.Meta {
	t.Helper()
	out := map[mailbox.UID]mailbox.Meta{}
	err := s.Metas(testContext(t), set, func(m mailbox.Meta) error {
		if _, twice := out[m.UID]; twice {
			t.Errorf("uid %d comes twice", m.UID)
		}
		out[m.UID] = m
		return nil
	})
	if err != nil {
		t.Fatalf("read headers: %v", err)
	}
	return out
}

func flags(t *testing.T, s mailbox.Session, set mailbox.UIDSet, since mailbox.ModSeq) map[mailbox.UID]mailbox.Flags {
	t.Helper()
	out := map[mailbox.UID]mailbox.Flags{}
	err := s.Flags(testContext(t), set, since, func(uid mailbox.UID, f mailbox.Flags) error {
		out[uid] = f
		return nil
	})
	if err != nil {
		t.Fatalf("read flags: %v", err)
	}
	return out
}

func readsMetas(t *testing.T, open mailbox.Opener) {
	s, uids := filled(t, open, 3)
	got := metas(t, s, all())
	if len(got) != 3 {
		t.Fatalf("%d headers, want 3", len(got))
	}
	for i, uid := range uids {
		m, want := got[uid], letter(i)
		if m.UID != uid || m.Size != int64(len(want.text)) || !m.Date.Equal(want.date) || len(m.Flags) != 0 {
			t.Errorf("uid %d: %+v", uid, m)
		}
		header := strings.ToLower(string(m.Header))
		for _, field := range []string{"message-id: <", "from: a@", "to: b@", "subject: letter", "date: mon"} {
			if !strings.Contains(header, field) {
				t.Errorf("uid %d: no %q in %q", uid, field, m.Header)
			}
		}
		if strings.Contains(header, "body") {
			t.Errorf("uid %d: the header holds the body", uid)
		}
	}
	if n := len(metas(t, s, nil)); n != 0 {
		t.Errorf("%d headers of no messages", n)
	}
}

func readsSizes(t *testing.T, open mailbox.Opener) {
	s, uids := filled(t, open, 4)
	got := map[mailbox.UID]int64{}
	set := mailbox.NewUIDSet(uids[0], uids[2], uids[3], uids[3]+1000)
	err := s.Sizes(testContext(t), set, func(uid mailbox.UID, size int64, received time.Time) error {
		if _, twice := got[uid]; twice || received.IsZero() {
			t.Errorf("uid %d: comes twice: %v, date %v", uid, twice, received)
		}
		got[uid] = size
		return nil
	})
	if err != nil || len(got) != 3 {
		t.Fatalf("sizes %v, %v", got, err)
	}
	for _, i := range []int{0, 2, 3} {
		if want := int64(len(letter(i).text)); got[uids[i]] != want {
			t.Errorf("uid %d: %d bytes, want %d", uids[i], got[uids[i]], want)
		}
	}
}

func readsRoom(t *testing.T, open mailbox.Opener) {
	s, _ := filled(t, open, 1)
	room, err := s.Room(testContext(t))
	if err != nil || room.Used < 0 || room.Limit < 0 || room.AppendLimit < 0 {
		t.Errorf("room %+v, %v", room, err)
	}
	if n := len(metas(t, s, all())); n != 1 {
		t.Errorf("%d messages in the open folder afterwards, want 1", n)
	}
}

func readsSubset(t *testing.T, open mailbox.Opener) {
	s, uids := filled(t, open, 5)
	set := mailbox.NewUIDSet(uids[1], uids[3], uids[4]+1000)
	for name, n := range map[string]int{
		"headers": len(metas(t, s, set)), "flags": len(flags(t, s, set, 0)), "messages": len(read(t, s, set)),
	} {
		if n != 2 {
			t.Errorf("%d %s, want 2", n, name)
		}
	}
	same(t, read(t, s, set)[uids[3]], letter(3))
}

func marksNothing(t *testing.T, open mailbox.Opener) {
	s, _ := filled(t, open, 2)
	read(t, s, all())
	metas(t, s, all())
	there := flags(t, s, all(), 0)
	if len(there) != 2 {
		t.Errorf("flags of %d messages, want 2", len(there))
	}
	for uid, f := range there {
		if len(f) != 0 {
			t.Errorf("uid %d is %q after it was read", uid, f)
		}
	}
}

func skipsBodies(t *testing.T, open mailbox.Opener) {
	s, _ := filled(t, open, 4)
	n := 0
	err := s.Messages(testContext(t), all(), func(m mailbox.Message) error {
		n++
		if n%2 == 0 {
			return nil
		}
		_, err := m.Body.Read(make([]byte, 5))
		return err
	})
	if err != nil || n != 4 {
		t.Fatalf("%d messages, %v", n, err)
	}
	holds(t, s, letter(0), letter(1), letter(2), letter(3))
}

func changesFlags(t *testing.T, open mailbox.Opener) {
	s, uids := filled(t, open, 3)
	ctx := testContext(t)
	first, second := mailbox.NewUIDSet(uids[0]), mailbox.NewUIDSet(uids[0], uids[1])
	for range 2 {
		err := s.Store(ctx, []mailbox.FlagChange{
			{Set: first, Add: mailbox.NewFlags(mailbox.Seen, mailbox.Flagged)},
			{Set: second, Add: mailbox.NewFlags(mailbox.Answered), Remove: mailbox.NewFlags(mailbox.Flagged)},
			{Set: first, Remove: mailbox.NewFlags(mailbox.Draft)},
		})
		if err != nil {
			t.Fatalf("store: %v", err)
		}
		got := flags(t, s, all(), 0)
		want := []mailbox.Flags{mailbox.NewFlags(mailbox.Answered, mailbox.Seen), mailbox.NewFlags(mailbox.Answered), nil}
		for i, uid := range uids {
			if !got[uid].Equal(want[i]) {
				t.Errorf("uid %d: %q, want %q", uid, got[uid], want[i])
			}
		}
	}
}

func changesGone(t *testing.T, open mailbox.Opener) {
	s, uids := filled(t, open, 1)
	gone := mailbox.NewUIDSet(uids[0] + 500)
	err := s.Store(testContext(t), []mailbox.FlagChange{{Set: gone, Add: mailbox.NewFlags(mailbox.Seen)}})
	if err != nil {
		t.Errorf("store: %v", err)
	}
}

func tellsChanges(t *testing.T, open mailbox.Opener) {
	s, uids := filled(t, open, 3)
	if !s.Caps().CondStore {
		return // then nobody asks
	}
	// What was there before the first such question may be told with the answer.
	since := selected(t, s, "INBOX", false).HighestModSeq
	flags(t, s, all(), since)
	change := mailbox.FlagChange{Set: mailbox.NewUIDSet(uids[1]), Add: mailbox.NewFlags(mailbox.Seen)}
	if err := s.Store(testContext(t), []mailbox.FlagChange{change}); err != nil {
		t.Fatal(err)
	}
	got := flags(t, s, all(), since)
	if f, told := got[uids[1]]; !told || !f.Has(mailbox.Seen) {
		t.Errorf("told %v, want uid %d among it", got, uids[1])
	}
	if now := selected(t, s, "INBOX", false).HighestModSeq; now <= since {
		t.Errorf("HIGHESTMODSEQ %d after %d and a change", now, since)
	}
}
