package matrix_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/test/servers"
)

// TestFolderThatNobodyOpened: in a folder that no client has opened to be written,
// Courier numbers the messages anew for whoever looks, in the order of their files, and
// draws a UIDVALIDITY each second. With the first message gone and another one come,
// every number is another message's, but UIDNEXT and the count are the same as before.
func TestFolderThatNobodyOpened(t *testing.T) {
	const messages = 20
	from := servers.Courier(t, servers.CourierConfig{})
	from.AddUsers(t, "u0000")
	to := servers.Dovecot(t, servers.DovecotConfig{})
	inbox := filepath.Join(from.MailDir, "u0000", "Maildir")
	deliver := func(n int) {
		t.Helper()
		text := fmt.Sprintf("Message-ID: <%d@x>\nSubject: %d\n\nletter %d\n", n, n, n)
		if err := os.WriteFile(filepath.Join(inbox, "new", strconv.Itoa(1_000_000+n)+".host"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for n := range messages {
		deliver(n)
	}
	s := source{courier("courier", servers.CourierConfig{}), from.Port, messages}
	state := filepath.Join(t.TempDir(), "state")
	first := s.sync(t, to.Port, "anna", state)
	before := validity(t, from.Port)

	files, err := filepath.Glob(filepath.Join(inbox, "*", "1000000.host*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the first message's file: %q, %v", files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	deliver(messages)
	deadline, tick := time.After(20*time.Second), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for validity(t, from.Port) == before {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("Courier keeps its UIDVALIDITY")
		}
	}
	second := s.sync(t, to.Port, "anna", state)
	if first.Copied != messages || second.Copied != 1 || second.Adopted != messages-1 {
		t.Errorf("first pass %+v, second %+v", first, second)
	}
}

// validity is that of the INBOX of user u0000.
func validity(t *testing.T, port int) mailbox.UIDValidity {
	t.Helper()
	s, err := imapmail.NewOpener(account(port), imapmail.Options{})(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	folders, err := s.List(t.Context())
	if err != nil || len(folders) == 0 || folders[0].Status == nil {
		t.Fatalf("folders %+v, %v", folders, err)
	}
	return folders[0].Status.UIDValidity
}
