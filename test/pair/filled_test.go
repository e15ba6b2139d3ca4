package pair_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/test/servers"
)

// mbsync pulls the source into the target as its users do: each copy gets a header
// X-TUID, and the directory keeps what it knows.
func (w *world) mbsync() {
	w.t.Helper()
	dir := w.t.TempDir()
	config := ""
	for name, port := range map[string]int{"src": w.source.Port, "dst": w.target.Port} {
		config += fmt.Sprintf("IMAPAccount %s\nHost 127.0.0.1\nPort %d\nUser %s\nPass %s\nSSLType None\nAuthMechs LOGIN\n\nIMAPStore %s\nAccount %s\n\n",
			name, port, user, servers.Password, name, name)
	}
	config += fmt.Sprintf("Channel c\nFar :src:\nNear :dst:\nPatterns *\nCreate Near\nSync Pull\nCopyArrivalDate yes\nSyncState %s/\n", dir)
	path := filepath.Join(dir, "mbsyncrc")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command("mbsync", "-q", "-c", path, "c")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("mbsync (Debian's package isync): %v\n%s", err, out)
	}
}

// put appends messages to a folder of a server.
func put(t *testing.T, port int, folder string, bodies ...string) {
	t.Helper()
	var messages []mailbox.Message
	for _, b := range bodies {
		messages = append(messages, mailbox.Message{Body: strings.NewReader(b), Size: int64(len(b)), Date: time.Unix(1_600_000_000, 0)})
	}
	putMessages(t, port, folder, messages...)
}

func putMessages(t *testing.T, port int, folder string, messages ...mailbox.Message) {
	t.Helper()
	putInto(t, accountOf(port), folder, messages...)
}

func putInto(t *testing.T, account imapmail.Account, folder string, messages ...mailbox.Message) {
	t.Helper()
	s, err := imapmail.NewOpener(account, imapmail.Options{})(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if folder != "INBOX" {
		if errs := s.Create(t.Context(), []mailbox.NewFolder{{Name: folder}}); errs[0] != nil {
			t.Fatal(errs[0])
		}
	}
	a, err := s.Append(t.Context(), folder, mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if err := a.Add(t.Context(), mailbox.NewMessage{Message: m}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ans, err := a.Receive(t.Context())
	if err := errors.Join(err, ans.Refused, a.Close()); err != nil {
		t.Fatal(err)
	}
}

// total counts the messages of a mailbox.
func total(t *testing.T, port int) int {
	t.Helper()
	s, err := imapmail.NewOpener(accountOf(port), imapmail.Options{})(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	folders, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range folders {
		if f.Status != nil {
			n += int(f.Status.Messages)
		}
	}
	return n
}

// templates are messages of a form letter: they have one header and no Message-ID, and
// each is another one by its body alone, some twice.
func templates(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("From: shop@example.org\r\nTo: anna@example.org\r\nDate: Thu, 2 Jan 2020 03:04:05 +0000\r\nSubject: Your order\r\n\r\nOrder %04d\r\n", i))
	}
	return append(out, out[0], out[0])
}

// TestFilledByAnotherTool: what mbsync or a plain copier has carried before, all of it
// or a part, is adopted, and nothing is doubled.
func TestFilledByAnotherTool(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		before func(w *world)
		copied int
	}{
		"all by mbsync": {func(w *world) { w.mbsync() }, 0},
		"a part by mbsync": {func(w *world) {
			w.mbsync()
			put(t, w.source.Port, "Letters", "Message-ID: <late@x>\r\nSubject: late\r\n\r\nlate\r\n", templates(1)[0])
		}, 2},
		"a part as imapsync does": {func(w *world) { put(t, w.target.Port, "Letters", templates(40)[10:30]...) }, 62 - 20},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			put(t, w.source.Port, "Letters", templates(40)...)
			var others []string
			for i := range 20 {
				others = append(others, fmt.Sprintf("Message-ID: <%d@x>\r\nSubject: %d\r\n\r\nbody %d\r\n", i, i, i))
			}
			put(t, w.source.Port, "INBOX", others...)
			x.before(w)
			all := 62 + x.copied
			if name == "a part as imapsync does" {
				all = 62
			}
			if r := w.run("sync"); r.Copied != x.copied || r.Adopted != all-x.copied || r.Skipped != 0 {
				t.Errorf("pass: %+v, want %d copied of %d", r, x.copied, all)
			}
			if r := w.run("sync"); r.Copied+r.Adopted != 0 || r.Unchanged != all {
				t.Errorf("second pass: %+v", r)
			}
			if r := w.run("verify"); r.Missing+r.Altered+r.FoldersMissing != 0 {
				t.Errorf("verify: %+v", r)
			}
			if n := total(t, w.target.Port); n != all {
				t.Errorf("%d messages at the target, want %d", n, all)
			}
		})
	}
}
