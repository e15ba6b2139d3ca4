package imapmail_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

const publicFolders = `
namespace public {
  type = public
  separator = /
  prefix = Public/
  location = maildir:%h/../public
  subscriptions = no
}
`

// TestPublicFoldersOfDovecot are out of reach until they are asked for.
func TestPublicFoldersOfDovecot(t *testing.T) {
	server := servers.Dovecot(t, servers.DovecotConfig{Extra: publicFolders})
	a := account(server)
	opened := func() mailbox.Session {
		s, err := imapmail.NewOpener(a, imapmail.Options{})(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	closed := opened()
	a.Namespaces = []string{migration.SharedFolders}
	open := opened()
	if err := open.Create(t.Context(), []mailbox.NewFolder{{Name: "Public/News"}})[0]; err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		s    mailbox.Session
		want bool
	}{{closed, false}, {open, true}} {
		folders, err := tt.s.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range folders {
			names = append(names, strings.Join(f.Path, "/"))
		}
		if got := slices.Contains(names, "Public/News"); got != tt.want {
			t.Errorf("public folders are listed: %v, want %v: %v", got, tt.want, names)
		}
		if name := tt.s.Naming().Join([]string{"Public", "News"}); (name == "Public/News") != tt.want || !strings.HasSuffix(name, "/News") {
			t.Errorf("Public/News would be made as %q", name)
		}
		appender, err := tt.s.Append(t.Context(), "Public/News", mailbox.AppendMode{})
		if !tt.want {
			if f := migration.AsFault(err); f == nil || f.Scope != migration.ScopeFolder || f.Code != migration.AuthorizationMissing {
				t.Errorf("append to a public folder: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		const news = "Subject: news\r\n\r\nnone\r\n"
		if err := appender.Add(t.Context(), mailbox.NewMessage{Message: mailbox.Message{Body: strings.NewReader(news), Size: int64(len(news))}}); err != nil {
			t.Fatal(err)
		}
		if err := appender.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if answer, err := appender.Receive(t.Context()); err != nil || answer.Refused != nil {
			t.Errorf("append: %+v, %v", answer, err)
		}
		if err := appender.Close(); err != nil {
			t.Error(err)
		}
	}
}
