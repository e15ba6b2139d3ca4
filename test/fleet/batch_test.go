package fleet_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/report"
)

// TestBatch is the life of a batch, from the CSV file to nothing left of it.
func TestBatch(t *testing.T) {
	t.Parallel()
	const users, messages, later = 20, 20, 4
	m := newMail(t, users)
	s := newService(t, m, 3*time.Second)
	c := &canaries{s: s, redis: watchRedis(t, s.redis), secrets: []string{m.oldPassword, m.newPassword, s.bootstrap, s.key}}
	workers := []*server{s.start("worker"), s.start("worker")}
	made := m.corpus("--messages", "20")
	if made != users*messages {
		t.Fatalf("%d messages, want %d", made, users*messages)
	}
	c.secrets = append(c.secrets, s.ownToken())

	s.create()
	seen := s.observe()
	watched := make(chan string, 1)
	s.cli("batch", "start", batchName)
	go func() {
		out, _ := s.try("batch", "watch", batchName)
		watched <- out
	}()
	s.cli("batch", "wait", batchName, "--timeout", patience.String())
	if got := seen(); !slices.Equal(got, []string{"Created", "Syncing", "Synced"}) {
		t.Errorf("the batch was %v", got)
	}
	if out := <-watched; !strings.Contains(out, "Synced: 20/20 users in step") {
		t.Errorf("batch watch ends with %q", out)
	}
	if b := s.batch(); b.Messages.Copied != made || b.Messages.Seen != made || b.Counts["total"] != users {
		t.Errorf("messages %+v, counts %v; want %d copied", b.Messages, b.Counts, made)
	}
	m.same()

	made += m.corpus("--mutate", "--new", "4", "--flags", "5")
	s.await("new mail has come with the resync", func() bool { return s.batch().Messages.Copied == made })
	differ := m.users
	s.await("flags have come with the resync", func() bool {
		differ = slices.Collect(maps.Keys(m.differences(differ)))
		return len(differ) == 0
	})
	s.reports(users)
	c.look()
	s.end(c, workers)
}

// ownToken makes a token and has the service called with it from now on.
func (s *service) ownToken() string {
	s.t.Helper()
	// Its value is told this once: that answer is not for the canary.
	s.mu.Lock()
	before := s.told.Len()
	s.mu.Unlock()
	out := s.cli("token", "create", "--role", "admin")
	s.mu.Lock()
	s.told.Truncate(before)
	s.mu.Unlock()
	s.token = strings.TrimSpace(out)
	return s.token
}

// observe notes the batch's statuses until the function that it returns is called.
func (s *service) observe() (end func() []string) {
	over, seen := make(chan struct{}), make(chan []string)
	statuses := []string{s.batch().Status} // before anything that the caller does next
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if now := s.batch().Status; statuses[len(statuses)-1] != now {
				statuses = append(statuses, now)
			}
			select {
			case <-over:
				seen <- statuses
				return
			case <-tick.C:
			}
		}
	}()
	return func() []string {
		close(over)
		return <-seen
	}
}

// reports reads what an operator reads of a batch in step.
func (s *service) reports(users int) {
	s.t.Helper()
	var list []client.User
	must(s.t, json.Unmarshal([]byte(s.cli("user", "list", "--batch", batchName, "--output", "json")), &list))
	if len(list) != users {
		s.t.Errorf("%d users listed, want %d", len(list), users)
	}
	for _, u := range list {
		if u.Messages.Seen != 24 || u.Messages.Copied != 24 || u.Messages.Failed != 0 || u.LastSyncedAt == nil {
			s.t.Errorf("user %+v", u)
		}
	}
	if lines := strings.Count(s.cli("report", "statistics", batchName), "\n"); lines != 1+users {
		s.t.Errorf("the statistics have %d lines", lines)
	}
	if out := s.cli("report", "errors", batchName); strings.Count(out, "\n") != 1 {
		s.t.Errorf("the error report is\n%s", out)
	}
	s.cli("batch", "verify", batchName)
	var receipts struct {
		Items []report.ReceiptRow `json:"items"`
	}
	s.await("every mailbox is verified", func() bool {
		must(s.t, json.Unmarshal([]byte(s.cli("report", "receipts", batchName, "--format", "json")), &receipts))
		return len(receipts.Items) == users
	})
	for _, r := range receipts.Items {
		if !r.Same || r.Messages != 24 || r.Extra != 0 {
			s.t.Errorf("receipt %+v", r)
		}
	}
	var usage client.Usage
	must(s.t, json.Unmarshal([]byte(s.cli("org", "usage", "--output", "json")), &usage))
	if usage.Mailboxes != int64(users) || usage.Messages != int64(users)*24 || usage.Bytes == 0 || len(usage.Months) == 0 {
		s.t.Errorf("usage %+v, want %d mailboxes with 24 messages", usage, users)
	}
	if _, page := s.get(s.api + "/metrics"); !strings.Contains(page, "mailhaul_mailboxes{") {
		s.t.Errorf("metrics of the API:\n%s", page)
	}
}

// end completes and deletes the batch, and looks at what is left of it.
func (s *service) end(c *canaries, workers []*server) {
	t := s.t
	t.Helper()
	secrets := s.sealed()
	s.cli("batch", "complete", batchName)
	s.cli("batch", "wait", batchName, "--for", "Completed", "--timeout", patience.String())
	if n := s.count(`SELECT COUNT(*) FROM users WHERE source_secret IS NOT NULL OR target_secret IS NOT NULL`); n != 0 {
		t.Errorf("%d users of a completed batch have secrets", n)
	}

	s.cli("batch", "delete", batchName, "--force", "--keep-report")
	for _, table := range []string{"batches", "users", "items", "receipts", "records", "journal", "preflights"} {
		if n := s.count("SELECT COUNT(*) FROM " + table); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if n := s.count(`SELECT COUNT(*) FROM events WHERE actor = ''`); n != 0 {
		t.Errorf("%d events are left that are not the audit's", n)
	}
	if n := s.count(`SELECT COUNT(*) FROM leases WHERE state <> 'free' OR user_id IS NOT NULL OR org_id <> 0 OR worker_id <> ''`); n != 0 {
		t.Errorf("%d leases are not free", n)
	}
	if n := s.count(`SELECT COUNT(*) FROM reports`); n != 1 {
		t.Errorf("%d reports are kept, want 1", n)
	}
	s.knownTables()
	s.await("no sealed secret is left in the database's files", func() bool { return !s.remains(secrets) })
	for _, w := range workers {
		if code, page := s.get(w.url + "/metrics"); code != http.StatusOK || !strings.Contains(page, "mailhaul_messages_copied_total") {
			t.Errorf("metrics of a worker: %d\n%s", code, page)
		}
	}
	c.look()
}

// knownTables fails for a table that this test does not know to be empty, or to be
// one that outlives a batch.
func (s *service) knownTables() {
	s.t.Helper()
	known := []string{
		"batches", "users", "items", "receipts", "records", "journal", "preflights", // empty
		"orgs", "tokens", "events", "idempotency", "endpoints", "leases", "lease_tokens", "usage", "reports", "chores",
		"workers", "endpoint_traffic", "endpoint_scope", "notified", "webhooks", "deliveries",
	}
	for _, row := range s.query(`SELECT name FROM sqlite_master WHERE type = 'table'`) {
		name, _ := row[0].(string)
		if !slices.Contains(known, name) && !strings.HasPrefix(name, "sqlite_") && !strings.HasPrefix(name, "goose_") {
			s.t.Errorf("table %s: does it outlive a batch?", name)
		}
	}
}
