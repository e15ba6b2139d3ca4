package pair_test

import (
	"path/filepath"
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

// TestPublicFoldersComeOnRequest: left where they are, then carried, compared, known
// again, and not forgotten nor copied anew when they are no longer asked for.
func TestPublicFoldersComeOnRequest(t *testing.T) {
	w := &world{t: t, source: servers.Dovecot(t, servers.DovecotConfig{Extra: publicFolders}), target: servers.Dovecot(t, servers.DovecotConfig{})}
	w.sourcePort, w.targetPort, w.state = w.source.Port, w.target.Port, filepath.Join(t.TempDir(), "state")
	w.fill(20)
	a := accountOf(w.sourcePort)
	a.Namespaces = []string{migration.SharedFolders}
	news := "Subject: news\r\n\r\n1\r\n"
	putInto(t, a, "Public/News", mailbox.Message{Body: strings.NewReader(news), Size: int64(len(news))})
	all := w.run("sync").Copied
	if r := w.run("sync", "--namespaces", "shared"); r.Copied != 1 || r.Unchanged != all {
		t.Errorf("with public folders: %+v after %d messages without", r, all)
	}
	got := folderNames(t, imapmail.NewOpener(accountOf(w.targetPort), imapmail.Options{}))
	if n := strings.Count(strings.Join(got, "\n"), "News"); n != 1 || !strings.Contains(strings.Join(got, "\n"), "Public/News") {
		t.Errorf("at the target: %q", got)
	}
	if r := w.run("verify", "--namespaces", "shared"); r.Missing+r.Altered+r.FoldersMissing != 0 {
		t.Errorf("verify: %+v", r)
	}
	if r := w.run("sync"); r.Copied+r.Adopted != 0 || r.Unchanged != all {
		t.Errorf("no longer asked for: %+v", r)
	}
	if r := w.run("sync", "--namespaces", "shared,shared"); r.Copied+r.Adopted != 0 || r.Unchanged != all+1 {
		t.Errorf("asked for again: %+v", r)
	}
}
