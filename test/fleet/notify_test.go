package fleet_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/canary"
	"github.com/mailhaul/mailhaul/test/mailsink"
)

// TestWhoIsToldOfABatch: with several APIs over one database, of which one is killed
// and one replaced, everybody is told once of the first sync and once of the end. The
// reports go with the mail, and the mail server's password goes nowhere else.
func TestWhoIsToldOfABatch(t *testing.T) {
	t.Parallel()
	m := newMail(t, 2)
	m.corpus("--messages", "5")
	password := canary.Secret("smtp")
	sink := mailsink.New(t, mailsink.Config{User: "haul", Password: password})
	calls := &heard{}
	hook := httptest.NewServer(calls)
	t.Cleanup(hook.Close)

	s := newService(t, m, time.Hour)
	c := &canaries{s: s, redis: watchRedis(t, s.redis), secrets: []string{password, m.oldPassword, m.newPassword}}
	s.terminate(s.plane, 25*time.Second)
	start := func() *server {
		return s.start("api", "MAILHAUL_SMTP_FROM=haul@example.com",
			fmt.Sprintf("MAILHAUL_SMTP_URL=smtp+plain://haul:%s@127.0.0.1:%d", password, sink.Port))
	}
	killed, replaced := start(), start()
	start()
	s.token = strings.TrimSpace(s.cli("token", "create", "--role", "admin", "--email", "creator@example.org"))
	s.cli("webhook", "create", hook.URL)
	s.create("--notify", "ops@example.org", "--notify", "creator@example.org")
	s.kill(killed)
	s.start("worker")
	s.cli("batch", "start", batchName)
	const told = `SELECT COUNT(*) FROM deliveries WHERE delivered AND attempts = 1`
	s.await("everybody is told of the first sync", func() bool { return s.count(told) == 3 })
	s.terminate(replaced, 25*time.Second)
	start()
	s.cli("batch", "complete", batchName)
	s.await("everybody is told of the end", func() bool { return s.count(told) == 6 })
	if n := s.count(`SELECT COUNT(*) FROM deliveries`); n != 6 {
		t.Errorf("%d deliveries, want 6", n)
	}

	var got []string
	for _, mail := range sink.Mails() {
		_, rest, _ := strings.Cut(mail.Text, "Subject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		got = append(got, mail.To+": "+subject)
		for _, name := range []string{"pilot-statistics.html", "pilot-statistics.csv", "pilot-errors.csv", "pilot-receipts.csv"} {
			if !strings.Contains(mail.Text, "filename="+name) {
				t.Errorf("%s: no %s with the mail", mail.To, name)
			}
		}
	}
	slices.Sort(got)
	if want := []string{
		"creator@example.org: Mailhaul: batch pilot is completed", "creator@example.org: Mailhaul: batch pilot is in step",
		"ops@example.org: Mailhaul: batch pilot is completed", "ops@example.org: Mailhaul: batch pilot is in step",
	}; !slices.Equal(got, want) {
		t.Errorf("mails %q, want %q", got, want)
	}
	if list := calls.all(); len(list) != 2 || !strings.Contains(list[0], `"type":"batch.synced"`) || !strings.Contains(list[1], `"type":"batch.completed"`) {
		t.Errorf("called with %q", list)
	}
	if out := s.cli("batch", "mails", batchName); strings.Count(out, "delivered") != 4 {
		t.Errorf("batch mails:\n%s", out)
	}
	if out := s.cli("webhook", "list"); !strings.Contains(out, "delivered") || !strings.Contains(out, "HTTP 200") {
		t.Errorf("webhook list:\n%s", out)
	}
	s.cli("user", "list", "--batch", batchName)
	c.look()
}

// heard is a webhook's receiver.
type heard struct {
	mu     sync.Mutex
	bodies []string
}

func (h *heard) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bodies = append(h.bodies, string(body))
}

func (h *heard) all() []string { h.mu.Lock(); defer h.mu.Unlock(); return slices.Clone(h.bodies) }
