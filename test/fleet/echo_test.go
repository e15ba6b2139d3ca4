package fleet_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/faultproxy"
)

// echo is what a server says that repeats the login it was sent, as it is and as it
// went over the wire.
func echo(user, password string) string {
	sasl := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	return "said again: " + strings.Join([]string{
		password, strings.ToUpper(password), percent(password),
		sasl("\x00" + user + "\x00" + password), sasl(password), sasl("user=" + user + "\x01auth=Bearer " + password + "\x01\x01"),
	}, " ")
}

// percent writes every byte as a URL may.
func percent(text string) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", " "+text), " ", "%")[2:]
}

// TestAServerThatRepeatsThePassword says it in its greeting and its farewell, when it
// refuses the login, and when it refuses a message. Nobody is told, and nothing keeps
// it; the rest of its words is there.
func TestAServerThatRepeatsThePassword(t *testing.T) {
	t.Parallel()
	m := newMail(t, 1)
	m.corpus("--messages", "5")
	from := faultproxy.New(t, addr(m.old.Port), faultproxy.Options{})
	to := faultproxy.New(t, addr(m.new.Port), faultproxy.Options{})
	m.oldPort, m.newPort = from.Port, to.Port
	s := newService(t, m, time.Hour)
	c := &canaries{s: s, redis: watchRedis(t, s.redis)}
	for _, password := range []string{m.oldPassword, m.newPassword} {
		c.secrets = append(c.secrets, password, strings.ToUpper(password), percent(password))
	}
	s.start("worker")
	s.create()
	const user = "m0000"
	refused := echo(user, m.oldPassword)

	from.Strike(faultproxy.Fault{Kind: faultproxy.Answer, At: "LOGIN", Words: "NO [AUTHENTICATIONFAILED] " + refused})
	file := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(file, []byte(m.oldPassword+"\n"), 0o600))
	if out, code := s.try("endpoint", "test", "old", "--user", user, "--password-file", file); code != 11 || !strings.Contains(out, "said again: [redacted]") {
		t.Errorf("the endpoint's test exits with %d:\n%s", code, out)
	}
	s.cli("batch", "start", batchName)
	s.await("the login was refused", func() bool { return s.batch().Counts["needsCredentials"] == 1 })
	s.readEverything()
	for _, ask := range [][]string{{"user", "get", user + "@example.org", "--batch", batchName}, {"report", "errors", batchName}} {
		if out := s.cli(ask...); !strings.Contains(out, "said again: [redacted]") {
			t.Errorf("mailhaul %v does not tell the server's words:\n%s", ask, out)
		}
	}

	from.Strike()
	to.Strike(faultproxy.Fault{Kind: faultproxy.Answer, At: "APPEND", Words: "NO " + echo(user, m.newPassword)})
	s.cli("user", "set-credentials", user+"@example.org", "--batch", batchName, "--password-file", file)
	s.await("the messages were refused", func() bool { return s.batch().Messages.Skipped == 5 })
	if out := s.cli("user", "items", "--batch", batchName); strings.Count(out, "said again: [redacted]") != 5 {
		t.Errorf("the items are\n%s", out)
	}
	s.readEverything()

	to.Strike()
	from.Strike(faultproxy.Fault{Kind: faultproxy.Bye, At: faultproxy.Greeting, Words: echo(user, m.oldPassword)})
	if out, code := s.try("endpoint", "test", "old", "--user", user, "--password-file", file); code != 10 || !strings.Contains(out, "said again: [redacted]") {
		t.Errorf("the endpoint's test exits with %d:\n%s", code, out)
	}
	s.cli("batch", "sync", batchName)
	s.await("the endpoint says farewell", func() bool {
		return strings.Contains(s.cli("user", "why", user+"@example.org", "--batch", batchName), "said again: [redacted]")
	})
	s.readEverything()
	c.look()
}

// readEverything asks for all that the API and the command line tell of the batch; the
// canary hears it.
func (s *service) readEverything() {
	s.t.Helper()
	for _, ask := range [][]string{
		{"user", "list", "--batch", batchName, "--output", "json"},
		{"user", "items", "--batch", batchName, "--output", "json"},
		{"user", "why", "m0000@example.org", "--batch", batchName},
		{"batch", "get", batchName},
		{"endpoint", "get", "old", "--output", "json"},
		{"report", "statistics", batchName},
		{"report", "errors", batchName, "--format", "json"},
		{"report", "receipts", batchName},
	} {
		s.cli(ask...)
	}
	for _, path := range []string{"/metrics", "/v1/orgs/default/audit", "/v1/orgs/default/batches/" + batchName + "/users"} {
		if code, body := s.get(s.api + path); code != http.StatusOK {
			s.t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
