package imapmail

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// gmail plays Gmail: All Mail holds UIDs 1 to 9, and answer is what a search for those
// without a label of a folder finds; asked hears the search.
func gmail(t *testing.T, answer func(s *script, tag string), asked chan<- string) Account {
	return scripted(t, func(s *script) {
		s.welcome("X-GM-EXT-1 SPECIAL-USE LIST-EXTENDED LIST-STATUS ESEARCH CONDSTORE")
		tag := s.hear("LIST")
		for _, f := range []string{
			`(\HasNoChildren) "/" "INBOX"`, `(\Noselect \HasChildren) "/" "[Gmail]"`, `(\All) "/" "[Gmail]/All Mail"`,
			`(\Drafts) "/" "[Gmail]/Entw&APw-rfe"`, `(\Flagged) "/" "[Gmail]/Markiert"`, `() "/" "a \"b\" &APw-"`,
		} {
			s.say("* LIST %s", f)
			if _, name, _ := strings.Cut(f, `"/" `); !strings.Contains(f, "Noselect") {
				s.say("* STATUS %s (MESSAGES 9 UIDNEXT 10 UIDVALIDITY 1 HIGHESTMODSEQ 7)", name)
			}
		}
		s.say("%s OK", tag)
		tag = s.hear(`EXAMINE "[Gmail]/All Mail"`)
		s.say("* 9 EXISTS\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT 10] .\r\n* OK [HIGHESTMODSEQ 7] .\r\n%s OK [READ-ONLY] in", tag)
		line := s.line()
		tag, line, _ = strings.Cut(line, " ")
		asked <- line
		answer(s, tag)
		tag = s.hear("UID FETCH 2:3,7 (")
		for _, u := range []int{2, 3, 7} {
			s.say("* %d FETCH (UID %d FLAGS ())", u, u)
		}
		s.say("* 9 FETCH (UID 9 FLAGS (\\Seen))\r\n%s OK", tag) // changed meanwhile, and unasked for
	})
}

// Of Gmail's All Mail only what has no folder of a label is shown: the rest comes from
// those folders.
func TestGmailsAllMailShowsOnlyWhatHasNoLabel(t *testing.T) {
	for name, answer := range map[string]string{
		"as ranges": `* ESEARCH (TAG "%s") UID ALL 2:3,7`,
		"one each":  "* SEARCH 7 2 3%.0s",
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan string, 1)
			s := opened(t, gmail(t, func(s *script, tag string) { s.say(answer+"\r\n%s OK done", tag, tag) }, asked))
			folders, err := s.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(folders, func(f mailbox.Folder) bool { return f.Role == mailbox.RoleRest })
			if i < 0 || folders[i].Name != "[Gmail]/All Mail" || folders[i].Status != nil {
				t.Fatalf("All Mail is not listed as what the other folders leave: %+v", folders)
			}
			sel, err := s.Select(t.Context(), folders[i].Name, true)
			if err != nil {
				t.Fatal(err)
			}
			want := `UID SEARCH RETURN (ALL) UID 1:9 NOT X-GM-LABELS "\\Inbox" NOT X-GM-LABELS "\\Draft" NOT X-GM-LABELS "\\Drafts"` +
				` NOT X-GM-LABELS "\\Starred" NOT X-GM-LABELS "a \"b\" &APw-"`
			if got := <-asked; got != want {
				t.Errorf("asked %s\nwant  %s", got, want)
			}
			if sel.Messages != 3 || sel.UIDNext != 10 || sel.HighestModSeq != 0 {
				t.Errorf("opened: %+v, want 3 messages without a modification sequence", sel)
			}
			var got []mailbox.UID
			err = s.Flags(t.Context(), mailbox.Span(1, 9), 0, func(u mailbox.UID, _ mailbox.Flags) error {
				got = append(got, u)
				return nil
			})
			if err != nil || fmt.Sprint(got) != "[2 3 7]" {
				t.Errorf("read %v, %v; want 2, 3, 7", got, err)
			}
		})
	}
}

// A search that is refused, or cannot be read, is told: nothing is taken for empty.
func TestASearchForLabelsThatFailsIsTold(t *testing.T) {
	for answer, want := range map[string]migration.Scope{
		"%s NO [CANNOT] no such label": migration.ScopeFolder,
		"* ESEARCH UID ALL 0:x%.0s":    migration.ScopeEndpoint,
	} {
		asked := make(chan string, 1)
		s := opened(t, gmail(t, func(s *script, tag string) {
			s.say(answer, tag)
			panic(errHeard)
		}, asked))
		if _, err := s.List(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := s.Select(t.Context(), "[Gmail]/All Mail", true)
		if f := migration.AsFault(err); err == nil || f.Scope != want {
			t.Errorf("%s: %v, want a fault of the %s", answer, err, want)
		}
	}
}
