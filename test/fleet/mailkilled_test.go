package fleet_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/test/mailsink"
)

// TestKilledWhileItTells: a process is killed while four mails are on their way, each at
// another place: before MAIL, after DATA, after the dot without an answer, after the 250
// before it is recorded; and while a webhook has not answered. All arrive, and twice only
// what the other side had already, recognisable as the same. What is told of them is true.
func TestKilledWhileItTells(t *testing.T) {
	t.Parallel()
	m := newMail(t, 1)
	m.corpus("--messages", "5", "--folders", "1")
	sink := mailsink.New(t, mailsink.Config{})
	for _, verb := range []string{"EHLO", "DATA", ".", "QUIT"} {
		sink.Answer(verb, mailsink.Hold) // one client each: the others go on
	}
	calls := &slowHook{}
	hook := httptest.NewServer(calls)
	t.Cleanup(hook.Close)

	s := &service{t: t, mail: m, dir: t.TempDir()}
	s.database = filepath.Join(s.data(), "mailhaul.db")
	env := []string{"MAILHAUL_SMTP_FROM=haul@example.com", fmt.Sprintf("MAILHAUL_SMTP_URL=smtp+plain://127.0.0.1:%d", sink.Port)}
	process := s.up(env...)
	s.cli("webhook", "create", hook.URL)
	s.create("--autostart", "--notify", "a@example.org", "--notify", "b@example.org", "--notify", "c@example.org", "--notify", "d@example.org")
	s.await("all wait for an answer", func() bool { return sink.Held() == 4 && len(calls.all()) == 1 })
	s.kill(process)
	before := sink.Mails()
	if len(before) != 2 {
		t.Fatalf("%d mails before the kill, want those after the dot", len(before))
	}

	process = s.up(env...)
	for _, x := range s.mails() {
		if x.Status != "pending" || x.Attempts != 1 || x.NextAttemptAt == nil || x.Answer != "" {
			t.Errorf("after the kill: %+v", x)
		}
	}
	s.change(`UPDATE deliveries SET due_at = 1 WHERE due_at IS NOT NULL`) // five minutes later
	s.await("all are told", func() bool { return s.count(`SELECT COUNT(*) FROM deliveries WHERE delivered`) == 5 })
	list := s.mails()
	for _, x := range list {
		if x.Status != "delivered" || x.Attempts != 2 || x.NextAttemptAt != nil || x.Answer != "accepted by 127.0.0.1" {
			t.Errorf("in the end: %+v", x)
		}
	}
	if len(list) != 4 {
		t.Errorf("%d mails are told of, want 4", len(list))
	}
	if out := s.cli("webhook", "deliveries", "1"); !strings.Contains(out, "delivered") {
		t.Errorf("webhook deliveries:\n%s", out)
	}
	if ids := calls.all(); len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("the webhook was called as %q, want twice as the same", ids)
	}
	ids := map[string]string{}
	for _, mail := range before {
		ids[mail.To] = messageID(mail)
	}
	after := sink.Mails()[len(before):]
	for _, mail := range after {
		if known := ids[mail.To]; known != "" && known != messageID(mail) {
			t.Errorf("%s gets %s and %s of the same event", mail.To, known, messageID(mail))
		}
		ids[mail.To] = messageID(mail)
	}
	if len(after) != 4 || len(ids) != 4 {
		t.Errorf("%d mails after the kill, to %v; want one to each of four", len(after), ids)
	}
	s.terminate(process, idleTime)
}

// slowHook is a webhook's receiver that does not answer its first call.
type slowHook struct {
	mu  sync.Mutex
	ids []string
}

func (h *slowHook) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then is it seen that a caller goes
	h.mu.Lock()
	h.ids = append(h.ids, r.Header.Get("webhook-id"))
	first := len(h.ids) == 1
	h.mu.Unlock()
	if first {
		<-r.Context().Done()
	}
}

func (h *slowHook) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.ids...)
}

func messageID(m mailsink.Mail) string {
	_, rest, _ := strings.Cut(m.Text, "Message-ID: ")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}

// mails is what is told of a batch's mails.
func (s *service) mails() (list []client.Mail) {
	s.t.Helper()
	must(s.t, json.Unmarshal([]byte(s.cli("batch", "mails", batchName, "--output", "json")), &list))
	return list
}

// change alters the database from outside of Mailhaul.
func (s *service) change(statement string) {
	s.t.Helper()
	const run = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
db.execute(sys.argv[2])
db.commit()`
	if out, err := exec.Command("python3", "-c", run, s.database, statement).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", statement, err, out)
	}
}
