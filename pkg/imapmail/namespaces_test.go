package imapmail

import (
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// pathsOf are a listing's mailboxes, as name=path, with their roles.
func pathsOf(folders []mailbox.Folder) string {
	var out []string
	for _, f := range folders {
		line := f.Name + "=" + strings.Join(f.Path, "/")
		if f.Role != "" {
			line += " " + string(f.Role)
		}
		if f.Selectable {
			out = append(out, line)
		}
	}
	return strings.Join(out, "; ")
}

// TestNamespacesThatAreAskedFor are listed too, also what "*" does not show; their folders
// have no role and no path that one of the user's own has.
func TestNamespacesThatAreAskedFor(t *testing.T) {
	list := func(s *script, tag string, rows ...string) {
		for _, row := range rows {
			attributes, name, _ := strings.Cut(row, " ")
			s.say(`* LIST (%s) "." "%s"`, attributes, name)
			s.say(`* STATUS "%s" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)`, name)
		}
		s.say("%s OK", tag)
	}
	for _, tt := range []struct {
		ask  []string
		want string
	}{
		{nil, "INBOX=INBOX Inbox; INBOX.Sent=Sent Sent; INBOX.shared.mine=shared/mine"},
		{[]string{migration.OtherUsers}, "INBOX=INBOX Inbox; INBOX.Sent=Sent Sent; INBOX.shared.mine=shared/mine; user.bert=user/bert; user.bert.Sent=user/bert/Sent"},
		{
			[]string{migration.OtherUsers, migration.SharedFolders},
			"#news.comp=#news/comp; INBOX=INBOX Inbox; INBOX.Sent=Sent Sent; INBOX.shared.mine=shared/mine; " +
				"shared.all=shared (shared)/all; shared.view=shared (shared)/view All; user.bert=user/bert; user.bert.Sent=user/bert/Sent",
		},
	} {
		a := scripted(t, func(s *script) {
			s.say("* OK ready")
			s.say("%s OK [CAPABILITY IMAP4rev1 NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE] in", s.hear("LOGIN"))
			tag := s.hear("NAMESPACE")
			s.say(`* NAMESPACE (("INBOX." ".")) (("user." ".")) (("shared." ".")("#news." "."))`)
			s.say("%s OK", tag)
			list(s, s.hear("LIST"), `\HasNoChildren INBOX`, `\Sent INBOX.Sent`, `\HasNoChildren INBOX.shared.mine`, `\HasNoChildren user.bert`,
				`\Sent user.bert.Sent`, `\Noselect shared`, `\HasNoChildren shared.all`)
			if slices.Contains(tt.ask, migration.SharedFolders) {
				list(s, s.hear(`LIST "" "shared.*"`), `\HasNoChildren shared.all`, `\All shared.view`)
				list(s, s.hear(`LIST "" "#news.*"`), `\HasNoChildren #news.comp`)
			}
			if slices.Contains(tt.ask, migration.OtherUsers) {
				list(s, s.hear(`LIST "" "user.*"`), `\HasNoChildren user.bert`)
			}
		})
		a.Namespaces = tt.ask
		s := opened(t, a)
		folders, err := s.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := pathsOf(folders); got != tt.want {
			t.Errorf("%v:\ngot  %s\nwant %s", tt.ask, got, tt.want)
		}
		for prefix, kind := range map[string]string{"user.": migration.OtherUsers, "shared.": migration.SharedFolders, "#news.": migration.SharedFolders} {
			if slices.Contains(s.Naming().Others, prefix) == slices.Contains(tt.ask, kind) {
				t.Errorf("%v: nothing may be made below %v", tt.ask, s.Naming().Others)
			}
		}
	}
}
