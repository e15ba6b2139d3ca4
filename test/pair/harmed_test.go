package pair_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/faultproxy"
)

// TestAHarmedSourceLosesNothing: in each pass messages are gone at the source, another one
// was moved to a folder of so few that all of them may go, and one answer of the source's, or all of a kind, is cut off, refused, garbled,
// or says that all is well and tells nothing. Whatever the pass makes of it, each message
// that the source holds is at the target right after; and once the source speaks plainly
// both are alike.
func TestAHarmedSourceLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var letters []string
	for i := range 130 {
		letters = append(letters, fmt.Sprintf("Message-ID: <%d@example.org>\r\nSubject: letter\r\n\r\ntext %[1]d\r\n", i))
	}
	put(t, w.source.Port, "INBOX", letters[2:]...)
	put(t, w.source.Port, "Small", letters[:2]...)
	proxy := faultproxy.New(t, addr(w.source.Port), faultproxy.Options{})
	source := accountOf(proxy.Port)
	source.Side = migration.Source
	job := mailsync.Job{
		Source: imapmail.NewOpener(source, imapmail.Options{}), Target: imapmail.NewOpener(accountOf(w.target.Port), imapmail.Options{}),
		Records: mailsync.NewMemoryRecords(), Mirror: true, Settle: settle,
	}
	deleted, passes := int64(0), 0
	pass := func() (migration.Tally, error) {
		out, err := mailsync.Run(t.Context(), job)
		deleted += out.Tally.Deleted
		passes++
		return out.Tally, err
	}
	if _, err := pass(); err != nil {
		t.Fatal(err)
	}
	for _, harm := range []faultproxy.Fault{
		{Kind: faultproxy.Cut},
		{Kind: faultproxy.Cut, Bytes: 90},
		{Kind: faultproxy.Bye, Words: "shutting down"},
		{Kind: faultproxy.Garbage, Words: "* 3 FETCH (((\r\n"},
		{Kind: faultproxy.Answer, Words: "OK Completed."},
		{Kind: faultproxy.Answer, Words: "NO [SERVERBUG] Internal error"},
		{Kind: faultproxy.Answer, Words: "NO No such mailbox"},
	} {
		for _, at := range []string{"LIST", "EXAMINE", "FETCH"} {
			for skip, times := range []int{0, 2, 1} { // all of them, the second and third, the third
				if at == "LIST" && skip != 1 {
					continue // there are two
				}
				does(t, w.source.Port, "SELECT INBOX", "STORE 2 +FLAGS (\\Deleted)", "EXPUNGE", "MOVE 1 Small",
					"SELECT Small", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE")
				harm.At, harm.Skip, harm.Times = at, skip, times
				proxy.Strike(harm)
				said, err := pass()
				there := idsOf(t, w.target.Port)
				for id := range idsOf(t, w.source.Port) {
					if !there[id] {
						t.Fatalf("%s %q at %s, %d passing first: %s is at the source and not at the target: %+v, %v", harm.Kind, harm.Words, at, skip, id, said, err)
					}
				}
				if passes%12 == 0 { // what was held up meanwhile is a good many
					proxy.Strike()
					if _, err := pass(); err != nil {
						t.Fatalf("when it is over: %v", err)
					}
					w.same()
				}
			}
		}
	}
	proxy.Strike()
	if _, err := pass(); err != nil {
		t.Fatal(err)
	}
	w.same()
	if proxy.Struck() < passes/2 {
		t.Errorf("only %d harms in %d passes", proxy.Struck(), passes)
	}
	t.Logf("%d passes, %d harms, %d deleted", passes, proxy.Struck(), deleted)
}

// idsOf are the headers of all messages that a server holds.
func idsOf(t *testing.T, port int) map[string]bool {
	t.Helper()
	s, err := imapmail.NewOpener(accountOf(port), imapmail.Options{})(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	folders, err := s.List(t.Context())
	out := map[string]bool{}
	for _, f := range folders {
		_, opened := s.Select(t.Context(), f.Name, true)
		err = errors.Join(err, opened, s.Metas(t.Context(), mailbox.Span(1, mailbox.MaxUID), func(m mailbox.Meta) error {
			out[string(m.Header)] = true
			return nil
		}))
	}
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return out
}
