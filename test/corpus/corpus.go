// Package corpus gives tests awkward mail and puts it into a mailbox: real messages
// that other programs stumbled over (MAILHAUL_SHARED names where they are kept; they
// are never copied into this repository), or generated ones where those are absent.
package corpus

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// Awkward returns messages by name. top is the repository's directory as the test
// sees it; where MAILHAUL_SHARED is not set the shared files are looked for beside it.
func Awkward(t testing.TB, top string) map[string][]byte {
	t.Helper()
	shared := os.Getenv("MAILHAUL_SHARED")
	if shared == "" {
		shared = filepath.Join(top, "..", "shared")
	}
	out := map[string][]byte{}
	files := os.DirFS(filepath.Join(shared, "corpus", "messages"))
	names, err := fs.Glob(files, "*.eml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	}
	if len(out) == 0 {
		t.Log("skipped: the shared corpus is absent (MAILHAUL_SHARED); generated mail instead")
		for i, body := range generated {
			out[fmt.Sprintf("generated %02d", i)] = []byte(body)
		}
	}
	return out
}

var generated = []string{
	"", "\r\n", "no header, no line end", "Subject: only a header\r\n", "Subject: \xff\xfe\r\n\r\n\xe4\xf6\r\n",
	"a1 LOGOUT\r\na2 DELETE INBOX\r\n", "Subject: x\r\n\r\n" + strings.Repeat("y", 100_000), "Subject: {5}\r\n\r\n{99999+}\r\n",
	"From nobody\r\n\r\n>From x\r\n.\r\n..\r\n", "Message-ID: <a@b>\r\nMessage-ID: <c@d>\r\n\r\ntwo ids\r\n",
}

// Put appends messages to the account's INBOX, in the order of their names. What the
// server refuses is left out and its name told: then it cannot be there to be copied.
func Put(t testing.TB, account imapmail.Account, messages map[string][]byte) (refused []string) {
	t.Helper()
	ctx := t.Context()
	s, err := imapmail.NewOpener(account, imapmail.Options{})(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Append(ctx, "INBOX", mailbox.AppendMode{Single: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(messages)) {
		body := messages[name]
		m := mailbox.NewMessage{Message: mailbox.Message{
			Flags: mailbox.Flags{mailbox.Seen}, Date: time.Unix(1_600_000_000, 0), Size: int64(len(body)), Body: bytes.NewReader(body),
		}}
		if err := a.Add(ctx, m); err != nil {
			t.Fatal(err)
		}
		if err := a.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		answer, err := a.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, refusal := range append(answer.Each, answer.Refused) {
			if refusal != nil {
				t.Logf("the source itself refuses %s: %v", name, refusal)
				refused = append(refused, name)
			}
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return refused
}
