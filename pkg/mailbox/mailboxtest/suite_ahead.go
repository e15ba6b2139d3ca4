package mailboxtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// aheadTests are of what is sent before the answers to what went before are there.
var aheadTests = []test{
	{"foreseen reads answer as others", foresees},
	{"what was foreseen and is not asked for is no matter", foreseesInVain},
	{"several folders are looked at at once", peeks},
	{"a folder is written while another's answers are due", writesOnward},
	{"a folder that is another one ends the connection", opensNoOther},
}

// threeFolders makes folders with 2, 3 and 4 letters, those of equal UIDs unlike.
func threeFolders(t *testing.T, s mailbox.Session) (names []string, mails map[string][]mail) {
	t.Helper()
	mails = map[string][]mail{}
	for _, name := range []string{"One", "Two", "Three"} {
		names = append(names, s.Naming().Join([]string{name}))
	}
	for i, name := range names {
		folder(t, s, name)
		for n := range i + 2 {
			mails[name] = append(mails[name], letter(10*i+n))
		}
		stored(t, write(t, s, name, mailbox.AppendMode{}, mails[name]...))
	}
	return names, mails
}

func foresight(names []string) (out []mailbox.Foreseen) {
	for _, name := range names {
		out = append(out, mailbox.Foreseen{Folder: name, Reads: []mailbox.Read{{Set: all()}, {Set: all(), Whole: true}}})
	}
	return out
}

// opens opens a folder read-only and checks that it is the one.
func opens(t *testing.T, s mailbox.Session, name string, mails []mail) {
	t.Helper()
	if sel := selected(t, s, name, true); int(sel.Messages) != len(mails) {
		t.Errorf("%q has %d messages, want %d", name, sel.Messages, len(mails))
	}
	if got := flags(t, s, all(), 0); len(got) != len(mails) {
		t.Errorf("%q: flags of %d messages, want %d", name, len(got), len(mails))
	}
	holds(t, s, mails...)
}

func foresees(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	names, mails := threeFolders(t, s)
	s.Foresee(foresight(names[:2]))
	opens(t, s, names[0], mails[names[0]])
	s.Foresee(foresight(names[1:]))
	opens(t, s, names[1], mails[names[1]])
	// More than was foreseen, and only a part of it.
	sel := selected(t, s, names[2], true)
	s.Foresee([]mailbox.Foreseen{{Folder: names[0], Reads: []mailbox.Read{{Set: mailbox.Span(1, 1), Whole: true}}}})
	selected(t, s, names[0], true)
	holds(t, s, mails[names[0]]...)
	s.Foresee(foresight(names[2:]))
	selected(t, s, names[2], true)
	if got := read(t, s, mailbox.Span(2, sel.UIDNext-2)); len(got) != 2 {
		t.Errorf("%d messages, want 2", len(got))
	}
}

func foreseesInVain(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	names, mails := threeFolders(t, s)
	for _, ahead := range [][]string{names, names[1:], {"Nowhere", names[2], names[0]}} {
		selected(t, s, names[0], true)
		s.Foresee(foresight(ahead))
		holds(t, s, mails[names[0]]...) // the open one, which is not the server's by now
		opens(t, s, names[2], mails[names[2]])
		s.Foresee(foresight(ahead))
		opens(t, s, names[2], mails[names[2]])
		if len(metas(t, s, all())) != len(mails[names[2]]) {
			t.Error("headers of another folder")
		}
		s.Foresee(foresight(ahead))
		if _, err := s.List(testContext(t)); err != nil {
			t.Fatal(err)
		}
		s.Foresee(foresight(ahead))
		stored(t, write(t, s, names[1], mailbox.AppendMode{}, letter(99)))
		mails[names[1]] = append(mails[names[1]], letter(99))
		opens(t, s, names[1], mails[names[1]])
	}
	s.Foresee(foresight([]string{"Nowhere", names[0]}))
	_, err := s.Select(testContext(t), "Nowhere", true)
	isFault(t, err, migration.SourceChanged, migration.ScopeFolder)
	opens(t, s, names[0], mails[names[0]])
	s.Foresee(foresight(names)) // and the session ends
}

func peeks(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	names, _ := threeFolders(t, s)
	got, errs := s.Peek(testContext(t), append(slices.Clone(names), "Nowhere"))
	for i, name := range names {
		want := selected(t, s, name, false)
		if errs[i] != nil || got[i].UIDValidity != want.UIDValidity || got[i].UIDNext != want.UIDNext || fmt.Sprint(got[i].Permanent) != fmt.Sprint(want.Permanent) {
			t.Errorf("%q: %+v, %v, want %+v", name, got[i], errs[i], want)
		}
	}
	isFault(t, errs[len(names)], migration.SourceChanged, migration.ScopeFolder)
}

// opened returns an Appender that opens its folder itself.
func opened(t *testing.T, s mailbox.Session, name string, validity mailbox.UIDValidity) (mailbox.Appender, error) {
	t.Helper()
	a, err := s.Append(testContext(t), name, mailbox.AppendMode{Open: validity})
	if err == nil {
		err = errors.Join(a.Add(testContext(t), letter(50).message()), a.Flush(testContext(t)))
	}
	return a, err
}

func writesOnward(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	names, mails := threeFolders(t, s)
	peeked, errs := s.Peek(testContext(t), names)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	var writers []mailbox.Appender
	for i, name := range names {
		a, err := opened(t, s, name, peeked[i].UIDValidity)
		if err == nil {
			err = a.Store(testContext(t), []mailbox.FlagChange{{Set: mailbox.Span(1, 1), Add: mailbox.NewFlags(mailbox.Flagged)}})
		}
		if err != nil {
			t.Fatal(err)
		}
		writers = append(writers, a)
		mails[name][0].flags = mailbox.NewFlags(append(mails[name][0].flags, mailbox.Flagged)...)
		mails[name] = append(mails[name], letter(50))
	}
	selected(t, s, "INBOX", false) // answered after them
	for _, a := range writers {
		for range 2 {
			answer, err := a.Receive(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			stored(t, answer)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		selected(t, s, name, true)
		holds(t, s, mails[name]...)
	}
}

func opensNoOther(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	names, _ := threeFolders(t, s)
	peeked, _ := s.Peek(testContext(t), names)
	a, err := opened(t, s, names[0], peeked[0].UIDValidity+1)
	if err == nil {
		_, err = a.Receive(testContext(t))
	}
	isFault(t, err, migration.ConnectionFailed, migration.ScopeEndpoint)
	dead(t, s)
}
