package imapmail

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// TestEmptyAndBinaryMessages writes a message of no bytes and one with NULs in the
// middle of a window of commands, in each mode and to servers that take them, change
// them or refuse them: each is answered for itself, and nothing is read as commands.
func TestEmptyAndBinaryMessages(t *testing.T) {
	attack := "x CREATE pwned\r\ny DELETE INBOX.Keep\r\nz LOGOUT\r\n"
	nul := "Subject: nul\r\n\r\nbefore\x00after\r\n"
	texts := []string{"Subject: 1\r\n\r\n" + attack, "", nul, "Subject: 2\r\n\r\n" + attack}
	cyrus, plain := servers.Cyrus(t, servers.CyrusConfig{}), servers.Cyrus(t, servers.CyrusConfig{Suppress: "BINARY"})
	dovecot, courier := servers.Dovecot(t, servers.DovecotConfig{}), servers.Courier(t, servers.CourierConfig{})
	for _, tt := range []struct {
		name   string
		server *servers.IMAP
		want   []string // what it keeps of texts; "" where it refuses one
	}{
		{"Cyrus", cyrus, []string{texts[0], "", nul, texts[3]}},
		{"Cyrus without BINARY", plain, []string{texts[0], "", "", texts[3]}},
		{"Dovecot", dovecot, []string{texts[0], "", "Subject: nul\r\n\r\nbefore\x80after\r\n", texts[3]}},
		{"Courier", courier, []string{texts[0], "\r\n", nul, texts[3]}},
	} {
		for i, mode := range []mailbox.AppendMode{{}, {Single: true}, {Single: true, Synchronous: true}} {
			t.Run(fmt.Sprintf("%s %+v", tt.name, mode), func(t *testing.T) {
				user := fmt.Sprintf("v%d", i)
				tt.server.AddUsers(t, user)
				s := opened(t, dovecotAccount(tt.server, user))
				keep := s.Naming().Join([]string{"Keep"})
				if err := errors.Join(s.Create(t.Context(), []mailbox.NewFolder{{Name: keep}})...); err != nil {
					t.Fatal(err)
				}
				refused := written(t, s, mode, texts)
				var want []string
				for k, text := range tt.want {
					var f *migration.Fault
					switch {
					case text != "":
						want = append(want, text)
					case mode.Single && (!errors.As(refused[k], &f) || f.Code != migration.MessageRejected):
						t.Errorf("message %d: %v, want MessageRejected", k, refused[k])
					}
				}
				got := kept(t, s)
				if !mode.Single { // a command of several is refused as a whole
					for _, text := range got {
						if text != tt.want[0] && text != tt.want[1] && text != tt.want[2] && text != tt.want[3] {
							t.Errorf("it keeps %q", text)
						}
					}
					return
				}
				if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
					t.Errorf("it keeps %q, want %q", got, want)
				}
			})
		}
	}
}

// written appends texts as one window and returns what each was answered.
func written(t *testing.T, s mailbox.Session, mode mailbox.AppendMode, texts []string) []error {
	t.Helper()
	ctx := t.Context()
	a, err := s.Append(ctx, "INBOX", mode)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if err := a.Add(ctx, note(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	answer, err := a.Receive(ctx)
	if err := errors.Join(err, a.Close()); err != nil {
		t.Fatal(err)
	}
	if len(answer.Each) != len(texts) {
		t.Fatalf("%d answers to %d messages: %+v", len(answer.Each), len(texts), answer)
	}
	return answer.Each
}

// kept returns INBOX's messages in order, and fails the test if there are folders but
// it and Keep.
func kept(t *testing.T, s mailbox.Session) []string {
	t.Helper()
	folders, err := s.List(t.Context())
	if err != nil || len(folders) != 2 {
		t.Errorf("folders %+v, %v: want INBOX and Keep", folders, err)
	}
	if _, err := s.Select(t.Context(), "INBOX", true); err != nil {
		t.Fatal(err)
	}
	var out []string
	if err := s.Messages(t.Context(), mailbox.Span(1, mailbox.MaxUID), func(m mailbox.Message) error {
		body, err := io.ReadAll(m.Body)
		out = append(out, string(body))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}
