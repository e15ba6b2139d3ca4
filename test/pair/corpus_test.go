package pair_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// awkward returns the real messages of the shared corpus (MAILHAUL_SHARED, or
// "shared" beside the repository), or generated ones where it is absent.
func awkward(t *testing.T) map[string][]byte {
	t.Helper()
	shared := os.Getenv("MAILHAUL_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	files, err := filepath.Glob(filepath.Join(shared, "corpus", "messages", "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		out[filepath.Base(f)] = b
	}
	if len(out) == 0 {
		t.Log("the shared corpus is absent (MAILHAUL_SHARED): generated mail instead")
		for i, body := range []string{
			"", "\r\n", "no header, no line end", "Subject: only a header\r\n", "Subject: \xff\xfe\r\n\r\n\xe4\xf6\r\n",
			"a1 LOGOUT\r\na2 DELETE INBOX\r\n", "Subject: x\r\n\r\n" + strings.Repeat("y", 100_000), "Subject: {5}\r\n\r\n{99999+}\r\n",
			"From nobody\r\n\r\n>From x\r\n.\r\n..\r\n", "Message-ID: <a@b>\r\nMessage-ID: <c@d>\r\n\r\ntwo ids\r\n",
		} {
			out[fmt.Sprint("generated", i)] = []byte(body)
		}
	}
	return out
}

// TestCorpus carries messages that other programs stumbled over, byte for byte.
func TestCorpus(t *testing.T) {
	w := newWorld(t)
	put(t, w.source, awkward(t))
	r := w.run("sync")
	if r.Skipped+r.Failed != 0 || r.Copied == 0 {
		t.Fatalf("pass: %+v", r)
	}
	w.same()
}

// put appends messages to the source's INBOX; what the server refuses is named and
// left out, for then it cannot be there to be copied.
func put(t *testing.T, to *servers.IMAP, messages map[string][]byte) {
	t.Helper()
	ctx := t.Context()
	s, err := imapmail.NewOpener(imapmail.Account{
		Host: to.Host, Port: to.Port, Security: migration.Plain, User: user, Password: migration.NewSecret(servers.Password), Side: migration.Source,
	}, imapmail.Options{})(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Append(ctx, "INBOX", mailbox.AppendMode{Single: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range messages {
		m := mailbox.NewMessage{Message: mailbox.Message{Flags: mailbox.Flags{mailbox.Seen}, Date: time.Unix(1_600_000_000, 0), Size: int64(len(body)), Body: bytes.NewReader(body)}}
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
			}
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
