package mailboxtest

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

var appendTests = []test{
	{"a window is stored as it is", func(t *testing.T, open mailbox.Opener) { storesWindow(t, open, mailbox.AppendMode{}) }},
	{"a window of single messages is stored as it is", func(t *testing.T, open mailbox.Opener) {
		storesWindow(t, open, mailbox.AppendMode{Single: true})
	}},
	{"a window sent with care is stored as it is", func(t *testing.T, open mailbox.Opener) {
		storesWindow(t, open, mailbox.AppendMode{Single: true, Synchronous: true})
	}},
	{"a large window sent with care is stored as it is", func(t *testing.T, open mailbox.Opener) {
		storesWindow(t, open, mailbox.AppendMode{Synchronous: true})
	}},
	{"windows overlap and are answered in order", overlaps},
	{"true duplicates stay as many", keepsDuplicates},
	{"a message without a date gets the server's", datesByServer},
	{"keywords are kept where the folder keeps them", keepsKeywords},
	{"a flag that is no atom is left out", leavesOutFlags},
	{"large messages go through", storesLarge},
	{"an empty window is nothing", flushesNothing},
	{"a body that fails ends the connection and stores nothing", failsBody},
	{"closing with messages under way ends the connection", closesEarly},
}

func storesWindow(t *testing.T, open mailbox.Opener, mode mailbox.AppendMode) {
	s := session(t, open)
	sel := selected(t, s, "INBOX", false)
	mails := []mail{letter(1), letter(2, mailbox.Seen, mailbox.Answered), letter(3, mailbox.Deleted), letter(4, mailbox.Draft, mailbox.Flagged)}
	answer := write(t, s, "INBOX", mode, mails...)
	stored(t, answer)
	if mode.Single && len(answer.Each) != len(mails) {
		t.Errorf("%d answers to %d single messages", len(answer.Each), len(mails))
	}
	selected(t, s, "INBOX", true)
	uids := holds(t, s, mails...)
	if !s.Caps().UIDPlus {
		return
	}
	if answer.Validity != sel.UIDValidity || len(answer.UIDs) != len(uids) {
		t.Fatalf("told %d %v, want %d %v", answer.Validity, answer.UIDs, sel.UIDValidity, uids)
	}
	for i := range uids {
		if answer.UIDs[i] != uids[i] {
			t.Errorf("told %v, want %v", answer.UIDs, uids)
		}
	}
}

func overlaps(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	ctx := testContext(t)
	a, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	const windows, size = 6, 25
	var mails []mail
	for i := range windows * size {
		mails = append(mails, letter(i))
	}
	sent := make(chan error, 1)
	go func() {
		for i, m := range mails {
			err := a.Add(ctx, m.message())
			if err == nil && (i+1)%size == 0 {
				err = a.Flush(ctx)
			}
			if err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	var last mailbox.UID
	for range windows {
		answer, err := a.Receive(ctx)
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		stored(t, answer)
		if s.Caps().UIDPlus && (len(answer.UIDs) != size || answer.UIDs[0] <= last) {
			t.Errorf("told %v after %d", answer.UIDs, last)
		}
		if len(answer.UIDs) > 0 {
			last = answer.UIDs[len(answer.UIDs)-1]
		}
	}
	if err := errors.Join(<-sent, a.Close()); err != nil {
		t.Fatal(err)
	}
	selected(t, s, "INBOX", true)
	holds(t, s, mails...)
}

func keepsDuplicates(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	stored(t, write(t, s, "INBOX", mailbox.AppendMode{}, letter(1), letter(1), letter(1)))
	selected(t, s, "INBOX", true)
	holds(t, s, letter(1), letter(1), letter(1))
}

func datesByServer(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	m := letter(1)
	m.date = time.Time{}
	stored(t, write(t, s, "INBOX", mailbox.AppendMode{}, m))
	selected(t, s, "INBOX", true)
	there := read(t, s, all())
	if len(there) != 1 {
		t.Errorf("%d messages, want 1", len(there))
	}
	for _, got := range there {
		if age := time.Since(got.date); age < -time.Hour || age > time.Hour {
			t.Errorf("date %v, want about now", got.date)
		}
	}
}

func keepsKeywords(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	sel := selected(t, s, "INBOX", false)
	m := letter(1)
	m.flags = sel.Keeps(mailbox.NewFlags("$Forwarded", "project-x", mailbox.Seen))
	stored(t, write(t, s, "INBOX", mailbox.AppendMode{}, m))
	selected(t, s, "INBOX", true)
	holds(t, s, m)
}

func leavesOutFlags(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	m := letter(1, mailbox.Seen, `\Foo`, "a b", "x(y", "ü", `\Recent`, "line\r\nbreak", "bracket]")
	stored(t, write(t, s, "INBOX", mailbox.AppendMode{}, m))
	selected(t, s, "INBOX", true)
	m.flags = mailbox.NewFlags(mailbox.Seen)
	holds(t, s, m)
}

func storesLarge(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	m := letter(1)
	m.text += strings.Repeat("a line of a large message, with a number of words in it\r\n", 60_000)
	stored(t, write(t, s, "INBOX", mailbox.AppendMode{}, letter(2), m, letter(3)))
	selected(t, s, "INBOX", true)
	holds(t, s, letter(2), m, letter(3))
}

func flushesNothing(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	ctx := testContext(t)
	a, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Flush(ctx), a.Close()); err != nil {
		t.Fatalf("an empty window: %v", err)
	}
	selected(t, s, "INBOX", true)
	holds(t, s)
}

func failsBody(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	ctx := testContext(t)
	a, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the source broke off")
	m := letter(1).message()
	m.Size += 1000
	m.Body = io.MultiReader(m.Body, failing{broken})
	err = a.Add(ctx, m)
	var failed *mailbox.BodyError
	if !errors.As(err, &failed) || !errors.Is(err, broken) {
		t.Errorf("add: %v, want a BodyError around %v", err, broken)
	}
	_ = a.Close()
	dead(t, s)
	again := session(t, open)
	selected(t, again, "INBOX", true)
	holds(t, again)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func closesEarly(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	ctx := testContext(t)
	a, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add(ctx, letter(1).message()); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err == nil {
		t.Errorf("closed, and the message is forgotten in silence")
	}
	dead(t, s)
}
