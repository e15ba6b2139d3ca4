package imapmail

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// TestRootStandsForTheMailbox: a user's tree below a folder of whoever logs in, given as
// /users/alberta whatever the server puts between the parts of a name. Its neighbours, and
// the INBOX of the login, are as if they were not there.
func TestRootStandsForTheMailbox(t *testing.T) {
	for _, separator := range []string{"/", "."} {
		t.Run(separator, func(t *testing.T) {
			server := servers.Dovecot(t, servers.DovecotConfig{Separator: separator})
			a := dovecotAccount(server, "keeper")
			a.Side = migration.Target
			name := func(path string) string { return strings.ReplaceAll(path, "/", separator) }
			put := func(s mailbox.Session, folder, text string) {
				t.Helper()
				letter := "Subject: " + text + "\r\n\r\n" + text + "\r\n"
				w, err := s.Append(t.Context(), folder, mailbox.AppendMode{})
				if err != nil {
					t.Fatal(err)
				}
				err = w.Add(t.Context(), mailbox.NewMessage{Message: mailbox.Message{Date: time.Unix(1_600_000_000, 0), Size: int64(len(letter)), Body: strings.NewReader(letter)}})
				if err == nil {
					err = w.Flush(t.Context())
				}
				if err == nil {
					_, err = w.Receive(t.Context())
				}
				if err != nil || w.Close() != nil {
					t.Fatal(err)
				}
			}
			keeper := opened(t, a)
			for _, path := range []string{"users", "users/alberta", "users/alberta/Work", "users/albertax", "users/bert"} {
				if errs := keeper.Create(t.Context(), []mailbox.NewFolder{{Name: name(path)}}); errs[0] != nil {
					t.Fatal(errs[0])
				}
			}
			put(keeper, "INBOX", "the keeper's own")
			put(keeper, name("users/alberta"), "alberta's")

			a.Root = "/users/alberta"
			alberta := opened(t, a)
			folders, err := alberta.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range folders {
				got = append(got, strings.Join(f.Path, "/"))
			}
			if want := []string{"INBOX", "Work"}; !slices.Equal(got, want) {
				t.Errorf("folders %q, want %q", got, want)
			}
			if n := alberta.Naming(); n.Prefix != name("users/alberta/") {
				t.Errorf("new folders go below %q", n.Prefix)
			}
			put(alberta, "INBOX", "more of alberta's")
			if _, err := alberta.Select(t.Context(), "INBOX", true); err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			err = alberta.Messages(t.Context(), mailbox.Span(1, mailbox.MaxUID), func(m mailbox.Message) error {
				_, err := io.Copy(&text, m.Body)
				return err
			})
			if all := text.String(); err != nil || strings.Contains(all, "keeper") || strings.Count(all, "Subject: ") != 2 {
				t.Errorf("alberta's INBOX: %v\n%s", err, all)
			}
		})
	}
}

// TestARootThatIsNotThereIsNoEmptyMailbox: the source's would be called in step with
// nothing copied.
func TestARootThatIsNotThereIsNoEmptyMailbox(t *testing.T) {
	server := servers.Dovecot(t, servers.DovecotConfig{})
	a := dovecotAccount(server, "keeper")
	a.Root = "/users/nobody"
	_, err := opened(t, a).List(t.Context())
	f := migration.AsFault(err)
	if f == nil || f.Code != migration.AuthorizationMissing || f.Scope != migration.ScopeUser || f.Side != migration.Source || !strings.Contains(f.Reason, "users/nobody") {
		t.Errorf("got %v", err)
	}
	a.Side = migration.Target // there it is made
	if folders, err := opened(t, a).List(t.Context()); err != nil || len(folders) != 0 {
		t.Errorf("at the target: %v, %v", folders, err)
	}
}
