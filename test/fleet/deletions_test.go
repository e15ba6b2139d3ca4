package fleet_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestDeletionsAreAskedAbout: a batch that keeps is made one that mirrors, by its name; an
// emptied source is asked about, and deleted by the number that was asked.
func TestDeletionsAreAskedAbout(t *testing.T) {
	t.Parallel()
	m := newMail(t, 1)
	m.corpus("--messages", "30", "--folders", "1")
	s := newService(t, m, time.Hour)
	s.start("worker")
	s.create("--autostart")
	s.awaitSynced()

	if _, code := s.try("batch", "set", batchName, "--deletions", "mirror"); code != 1 {
		t.Errorf("mirror without a confirmation: exit code %d, want 1", code)
	}
	s.cli("batch", "set", batchName, "--deletions", "mirror", "--confirm", batchName)
	emptied(t, m.old.Port, m.users[0], m.oldPassword)
	m.emptied = true
	s.cli("batch", "sync", batchName)
	email := m.users[0] + "@example.org"
	user := func() (u client.User) {
		must(t, json.Unmarshal([]byte(s.cli("user", "get", email, "--batch", batchName, "--output", "json")), &u))
		return u
	}
	s.await("the deletions are asked about", func() bool { return user().Code == string(migration.NeedsDecision) })
	u := user()
	if u.Status != "Failed" || u.DeletionsAsked < 30 || u.Messages.Deleted != 0 || u.NextSyncAt == nil {
		t.Errorf("%+v", u)
	}
	confirm := []string{"user", "confirm-deletions", email, "--batch", batchName, "--confirm"}
	if _, code := s.try(append(confirm, fmt.Sprint(u.DeletionsAsked+1))...); code != 1 {
		t.Errorf("another number: exit code %d, want 1", code)
	}
	s.cli(append(confirm, fmt.Sprint(u.DeletionsAsked))...)
	s.awaitSynced()
	if now := user(); now.Messages.Deleted != u.DeletionsAsked || now.DeletionsAsked != 0 {
		t.Errorf("%+v, want %d deleted", now, u.DeletionsAsked)
	}
	if _, code := s.try(append(confirm, fmt.Sprint(u.DeletionsAsked))...); code != 12 {
		t.Errorf("nothing is asked: exit code %d, want 12", code)
	}
}

// emptied deletes everything in a user's INBOX.
func emptied(t *testing.T, port int, user, password string) {
	t.Helper()
	session, err := imapmail.NewOpener(imapmail.Account{
		Host: "127.0.0.1", Port: port, Security: migration.Plain, User: user, Password: migration.NewSecret(password),
	}, imapmail.Options{})(t.Context())
	must(t, err)
	defer func() { _ = session.Close() }()
	_, err = session.Select(t.Context(), "INBOX", false)
	must(t, err)
	must(t, session.Expunge(t.Context(), mailbox.Span(1, mailbox.MaxUID)))
}
