package fleet_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/test/canary"
	"github.com/mailhaul/mailhaul/test/servers"
)

// file writes text into a file that only we read.
func file(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// endpointOf makes an endpoint, with its test unless told otherwise.
func (s *service) endpointOf(name string, port int, more ...string) {
	s.t.Helper()
	s.cli(append([]string{"endpoint", "create", name, "--host", "127.0.0.1", "--port", fmt.Sprint(port), "--security", "none"}, more...)...)
}

// statuses counts a batch's users by status.
func (s *service) statuses(batch string) map[string]int {
	s.t.Helper()
	code, body := s.get(s.api + "/v1/orgs/default/batches/" + batch)
	var b client.Batch
	if err := json.Unmarshal([]byte(body), &b); code != http.StatusOK || err != nil {
		s.t.Errorf("batch %s: %d %s", batch, code, body)
	}
	return b.Counts
}

// refused counts the logins that a Dovecot refused, by its own log.
func refused(t *testing.T, server *servers.IMAP) int {
	return strings.Count(string(read(t, server.Log)), "(auth failed, ")
}

// TestARejectedLoginIsTriedOnce counts, by the server's own log, what two workers try with
// passwords that are wrong: an administrator's once for all users, a user's once each. And
// an administrator's form is believed only where a made-up user is refused.
func TestARejectedLoginIsTriedOnce(t *testing.T) {
	t.Parallel()
	m := newMail(t, 4)
	m.old = servers.Dovecot(t, servers.DovecotConfig{Users: m.users})
	m.oldPort = m.old.Port
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server wrote:\n%s", read(t, m.old.Log))
		}
	})
	m.corpus("--messages", "5")
	s := newService(t, m, time.Hour)
	s.start("worker")
	s.start("worker")
	wrong := canary.Secret("wrong")
	tries := func(want int, after string) {
		t.Helper()
		// A process of its own writes the log: after what it tells of has come about.
		s.await("the server's log tells of the logins refused after "+after, func() bool { return refused(t, m.old) >= want })
		if got := refused(t, m.old); got != want {
			t.Fatalf("the server has refused %d logins after %s, want %d", got, after, want)
		}
	}

	admin := []string{"--login-template", "{user}*{admin}", "--admin-user", servers.MasterUser, "--admin-password-file"}
	right := file(t, servers.MasterPassword)
	if out, code := s.try(append([]string{"endpoint", "create", "trap", "--host", "127.0.0.1", "--port", fmt.Sprint(m.newPort), "--security", "none"},
		append(admin, right)...)...); code == 0 || !strings.Contains(out, "a made-up user") {
		t.Errorf("a server that opens any name is believed: %d %s", code, out)
	}
	s.endpointOf("new", m.newPort)
	s.endpointOf("old", m.oldPort, append(append([]string{"--no-test"}, admin...), file(t, wrong))...)
	s.endpointOf("users", m.oldPort)
	tries(0, "nothing")
	rows := func(password string, users ...string) string {
		text := "EmailAddress,UserName,Password,TargetUserName,TargetPassword\n"
		for _, u := range users {
			text += fmt.Sprintf("%s@example.org,%s,%s,%s,%s\n", u, u, password, u, m.newPassword)
		}
		return file(t, text)
	}

	s.cli("batch", "create", batchName, "--source", "old", "--target", "new", "--autostart", "--csv",
		rows("", "m0000", "m0001"))
	s.await("the endpoint is held", func() bool {
		_, body := s.get(s.api + "/v1/orgs/default/endpoints/old")
		return strings.Contains(body, `"held":true`)
	})
	tries(1, "the administrator's wrong password")
	s.cli(append([]string{"endpoint", "set", "old"}, append(admin, right)...)...)
	s.await("both are synced", func() bool { return s.statuses(batchName)["synced"] == 2 })
	s.cli("endpoint", "test", "old", "--user", "m0000")
	s.await("the made-up user was refused", func() bool {
		return strings.Contains(string(read(t, m.old.Log)), "(authorization failed, 1 attempts in")
	})

	s.cli("batch", "create", "second", "--source", "users", "--target", "new", "--autostart", "--csv", rows(wrong, "m0002", "m0003"))
	s.await("both need credentials", func() bool { return s.statuses("second")["needsCredentials"] == 2 })
	tries(3, "two users' wrong passwords")
	s.cli("user", "set-credentials", "m0002@example.org", "--batch", "second", "--password-file", file(t, servers.Password))
	s.cli("batch", "add-users", "second", "--csv", rows(servers.Password, "m0002", "m0003"))
	s.await("both are synced", func() bool { return s.statuses("second")["synced"] == 2 })
	tries(3, "all was right")
	m.same()
}
