package mailboxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Run holds an implementation of mailbox.Session to the port's contract. open is
// called once a subtest and returns an Opener of a mailbox of its own, in which there
// is nothing but an empty INBOX.
func Run(t *testing.T, open func(t *testing.T) mailbox.Opener) {
	for _, part := range [][]test{folderTests, appendTests, readTests, expungeTests, aheadTests, endTests} {
		for _, x := range part {
			t.Run(x.name, func(t *testing.T) { x.run(t, open(t)) })
		}
	}
}

type test struct {
	name string
	run  func(t *testing.T, open mailbox.Opener)
}

// limit is how long one subtest may take before its context ends it.
const limit = 30 * time.Second

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// session opens a session that is closed with the test.
func session(t *testing.T, open mailbox.Opener) mailbox.Session {
	t.Helper()
	s, err := open(testContext(t))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// folder makes a folder, and opens it for writing.
func folder(t *testing.T, s mailbox.Session, name string) mailbox.Selected {
	t.Helper()
	if err := errors.Join(s.Create(testContext(t), []mailbox.NewFolder{{Name: name}})...); err != nil {
		t.Fatalf("create %q: %v", name, err)
	}
	return selected(t, s, name, false)
}

func selected(t *testing.T, s mailbox.Session, name string, readOnly bool) mailbox.Selected {
	t.Helper()
	sel, err := s.Select(testContext(t), name, readOnly)
	if err != nil {
		t.Fatalf("select %q: %v", name, err)
	}
	return sel
}

// mail is a message as the suite writes and compares it.
type mail struct {
	text  string
	flags mailbox.Flags
	date  time.Time
}

// letter makes the nth message: each has a text of its own.
func letter(n int, flags ...string) mail {
	return mail{
		text: fmt.Sprintf("From: a@example.org\r\nTo: b@example.org\r\nSubject: letter %d\r\n"+
			"Message-ID: <%d@suite.example>\r\nDate: Mon, 02 Jan 2023 10:00:00 +0000\r\n\r\nbody %d\r\n%s",
			n, n, n, strings.Repeat("a line of text\r\n", n%50)),
		flags: mailbox.NewFlags(flags...),
		date:  time.Date(2023, 1, 2, 3, 4, 5+n%50, 0, time.FixedZone("", 3600)),
	}
}

func (m mail) message() mailbox.NewMessage {
	return mailbox.NewMessage{Message: mailbox.Message{
		Flags: m.flags, Date: m.date, Size: int64(len(m.text)), Body: strings.NewReader(m.text),
	}}
}

// write appends mails as one window and returns its Answer.
func write(t *testing.T, s mailbox.Session, name string, mode mailbox.AppendMode, mails ...mail) mailbox.Answer {
	t.Helper()
	ctx := testContext(t)
	a, err := s.Append(ctx, name, mode)
	if err != nil {
		t.Fatalf("append to %q: %v", name, err)
	}
	for _, m := range mails {
		if err := a.Add(ctx, m.message()); err != nil {
			t.Fatalf("add: %v", err)
		}
	}
	if err := a.Flush(ctx); err != nil {
		t.Fatalf("flush: %v", err)
	}
	answer, err := a.Receive(ctx)
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatalf("close the appender: %v", err)
	}
	return answer
}

// stored fails the test unless all of a window was stored.
func stored(t *testing.T, a mailbox.Answer) {
	t.Helper()
	if err := errors.Join(append(slices.Clone(a.Each), a.Refused)...); err != nil {
		t.Fatalf("refused: %v", err)
	}
}

// read returns the open folder's messages by UID.
func read(t *testing.T, s mailbox.Session, set mailbox.UIDSet) map[mailbox.UID]mail {
	t.Helper()
	out := map[mailbox.UID]mail{}
	err := s.Messages(testContext(t), set, func(m mailbox.Message) error {
		body, err := io.ReadAll(m.Body)
		if err != nil {
			return err
		}
		if int64(len(body)) != m.Size {
			t.Errorf("uid %d: size %d, body of %d bytes", m.UID, m.Size, len(body))
		}
		if _, twice := out[m.UID]; twice {
			t.Errorf("uid %d comes twice", m.UID)
		}
		out[m.UID] = mail{text: string(body), flags: m.Flags, date: m.Date}
		return nil
	})
	if err != nil {
		t.Fatalf("read messages: %v", err)
	}
	return out
}

func all() mailbox.UIDSet { return mailbox.Span(1, mailbox.MaxUID) }

// holds fails the test unless the open folder holds exactly mails, in this order.
func holds(t *testing.T, s mailbox.Session, mails ...mail) []mailbox.UID {
	t.Helper()
	got := read(t, s, all())
	uids := make([]mailbox.UID, 0, len(got))
	for uid := range got {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	if len(uids) != len(mails) {
		t.Fatalf("%d messages, want %d", len(uids), len(mails))
	}
	for i, uid := range uids {
		same(t, got[uid], mails[i])
	}
	return uids
}

func same(t *testing.T, got, want mail) {
	t.Helper()
	if !bytes.Equal([]byte(got.text), []byte(want.text)) {
		t.Errorf("text: got %d bytes %.60q, want %d bytes %.60q", len(got.text), got.text, len(want.text), want.text)
	}
	if !got.flags.Equal(want.flags) {
		t.Errorf("flags: got %q, want %q", got.flags, want.flags)
	}
	if !got.date.Equal(want.date) {
		t.Errorf("date: got %v, want %v", got.date, want.date)
	}
}

// isFault fails the test unless err is a Fault of this code and scope.
func isFault(t *testing.T, err error, code migration.Code, scope migration.Scope) {
	t.Helper()
	var f *migration.Fault
	if !errors.As(err, &f) || f.Code != code || f.Scope != scope {
		t.Errorf("got %v, want a fault %s of scope %s", err, code, scope)
	}
}

// dead fails the test unless the session is of no more use.
func dead(t *testing.T, s mailbox.Session) {
	t.Helper()
	if _, err := s.Select(testContext(t), "INBOX", true); err == nil {
		t.Errorf("the session still works")
	}
}
