package pair_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// TestRefusedNames: folders whose names a target refuses as too long, or for a character
// of which it does not tell, arrive under others, two that begin alike or are spelled alike
// do not become one, and a second pass finds them again, also without its records.
func TestRefusedNames(t *testing.T) {
	for _, format := range []string{"maildir", "mdbox"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			target := servers.Dovecot(t, servers.DovecotConfig{Format: format})
			open := imapmail.NewOpener(accountOf(target.Port), imapmail.Options{})
			source := mailboxtest.NewMemory()
			source.Side = migration.Source
			beginning := strings.Repeat("a long beginning ", 15) + strings.Repeat("ü", 60)
			names := []string{
				"INBOX", beginning + "one", beginning + "two", "Short/" + beginning, beginning + "one/Below", strings.Repeat("日本", 40),
				"Dr. Müller", "Dr. Müller/v1.0 = new", "Dr=2E Müller", "v1.0", "~home", "&", "a*b%c", "#news", "..", strings.Repeat("v1.0 ", 30),
			}
			for i, name := range names {
				source.Deliver(name, []byte("Subject: "+string(rune('A'+i))+"\r\n\r\ntext\r\n"), time.Unix(1_600_000_000, 0))
			}
			records := mailsync.NewMemoryRecords()
			pass := func() mailsync.Outcome {
				t.Helper()
				out, err := mailsync.Run(t.Context(), mailsync.Job{Source: source.Open, Target: open, Records: records})
				if err != nil || len(out.Items) > 0 {
					t.Fatalf("%+v, items %+v, %v", out.Tally, out.Items, err)
				}
				return out
			}
			first := pass()
			if first.Tally.Copied != int64(len(names)) {
				t.Errorf("copied %d, want %d", first.Tally.Copied, len(names))
			}
			for _, r := range first.Renamed {
				t.Logf("%.40q... is %q", r.From, r.To)
			}
			if again := pass().Tally; again.Copied+again.Adopted != 0 {
				t.Errorf("a second pass: %+v", again)
			}
			records = mailsync.NewMemoryRecords()
			if again := pass().Tally; again.Copied != 0 || again.Adopted != int64(len(names)) {
				t.Errorf("a pass without records: %+v", again)
			}
			if n := total(t, target.Port); n != len(names) {
				t.Errorf("%d messages at the target, want %d", n, len(names))
			}
		})
	}
}
