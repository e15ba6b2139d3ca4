package fleet_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// named asks the API for a batch.
func (s *service) named(name string) (b client.Batch) {
	s.t.Helper()
	code, body := s.get(s.api + "/v1/orgs/default/batches/" + name)
	if err := json.Unmarshal([]byte(body), &b); code != http.StatusOK || err != nil {
		s.t.Errorf("batch %s: %d %s", name, code, body)
	}
	return b
}

// comes brings mail to the users of the server at port, and returns how much. Flags are
// left: a keyword that is taken off would not be taken off at the other side.
func (m *mail) comes(port, day int) int64 {
	m.t.Helper()
	return m.corpus("--port", strconv.Itoa(port), "--mutate", "--new", "3", "--flags", "0", "--day", strconv.Itoa(day))
}

// TestAMoveBack: mailboxes are moved, live at the new server, are moved back, live there,
// and are moved once more. Each time what is new is carried, and nothing else: the judge
// finds both sides the same, so nothing was lost and nothing doubled.
func TestAMoveBack(t *testing.T) {
	t.Parallel()
	m := newMail(t, 3)
	made := m.corpus("--messages", "20")
	s := newService(t, m, time.Hour)
	s.start("worker")
	s.create("--autostart")
	if _, code := s.try("batch", "reverse", batchName); code != 12 {
		t.Errorf("a batch that is not stopped or completed: exit code %d, want 12", code)
	}
	s.awaitSynced()
	s.cli("batch", "complete", batchName)
	s.await("the batch is completed", func() bool { return s.batch().Status == "Completed" })
	m.same()

	came := m.comes(m.new.Port, 1)
	s.cli("batch", "reverse", batchName, "--name", "back")
	if b := s.named("back"); b.Status != "Created" || b.Counts["needsCredentials"] != 3 || b.SourceEndpoint != "new" || b.TargetEndpoint != "old" {
		t.Fatalf("reversed: %+v", b)
	}
	s.cli("batch", "start", "back")
	c, err := client.New(client.Config{URL: s.api, Token: migration.NewSecret(s.token)})
	must(t, err)
	for _, u := range m.users {
		if _, err := c.SetCredentials(t.Context(), "back", u+"@example.org", client.Credentials{Password: m.newPassword, TargetPassword: m.oldPassword}); err != nil {
			t.Fatal(err)
		}
	}
	s.cli("batch", "wait", "back", "--timeout", patience.String())
	if b := s.named("back"); b.Messages.Copied != came || b.Messages.Adopted != 0 || b.Messages.Seen != made+came {
		t.Errorf("moved back: %+v, want %d copied of %d", b.Messages, came, made+came)
	}
	m.same()
	s.cli("batch", "sync", "back")
	s.cli("batch", "wait", "back", "--timeout", patience.String())
	if b := s.named("back"); b.Messages.Copied != came {
		t.Errorf("one more sync copied: %+v", b.Messages)
	}

	s.cli("batch", "stop", "back")
	s.await("the batch is stopped", func() bool { return s.named("back").Status == "Stopped" })
	again := m.comes(m.old.Port, 2)
	s.cli("batch", "reverse", "back", "--name", "forth")
	if _, code := s.try("batch", "start", "back"); code != 12 {
		t.Errorf("both directions at once: exit code %d, want 12", code)
	}
	s.cli("batch", "start", "forth") // the passwords were not erased
	s.cli("batch", "wait", "forth", "--timeout", patience.String())
	if b := s.named("forth"); b.Messages.Copied != again || b.Messages.Adopted != 0 {
		t.Errorf("moved once more: %+v, want %d copied", b.Messages, again)
	}
	m.same()
}
