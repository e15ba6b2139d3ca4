package fleet_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mailhaul/mailhaul/test/canary"
	"github.com/mailhaul/mailhaul/test/servers"
)

// mail is an old and a new mail server, and the way to them.
type mail struct {
	t        *testing.T
	old, new *servers.IMAP
	// oldPort and newPort are what Mailhaul connects to.
	oldPort, newPort int
	users            []string
	// oldPassword and newPassword are accepted beside the harness's own.
	oldPassword, newPassword string
	// emptied is set once a test has deleted all mail at the old server: the judge is told,
	// or it would ask where the mail is.
	emptied bool
}

// newMail starts both servers; each accepts a password of its own, that is nowhere
// else.
func newMail(t *testing.T, users int) *mail {
	t.Helper()
	m := &mail{t: t, oldPassword: canary.Secret("old"), newPassword: canary.Secret("new")}
	accept := func(password string) servers.DovecotConfig {
		return servers.DovecotConfig{Extra: "passdb {\n  driver = static\n  args = password=" + password + "\n}\n"}
	}
	m.old, m.new = servers.Dovecot(t, accept(m.oldPassword)), servers.Dovecot(t, accept(m.newPassword))
	m.oldPort, m.newPort = m.old.Port, m.new.Port
	for i := range users {
		m.users = append(m.users, fmt.Sprintf("m%04d", i))
	}
	return m
}

// narrow puts a line with a delay and little room for bytes in flight before both
// servers: a copy lasts long enough to be disturbed.
func (m *mail) narrow(window int) {
	m.t.Helper()
	m.oldPort, m.newPort = servers.FreePort(m.t), servers.FreePort(m.t)
	servers.Program(m.t, m.newPort, exec.Command(filepath.Join(bin, "delayproxy"), "-delay", "25ms", "-window", strconv.Itoa(window),
		addr(m.oldPort)+"="+addr(m.old.Port), addr(m.newPort)+"="+addr(m.new.Port)))
}

var counted = regexp.MustCompile(`messages=(\d+)`)

// corpus runs the harness's corpus.py over all users of the old server and returns
// how many messages it made.
func (m *mail) corpus(more ...string) int64 {
	m.t.Helper()
	out := m.python("corpus.py", append([]string{"--port", strconv.Itoa(m.old.Port), "--prefix", "m", "--users", strconv.Itoa(len(m.users))}, more...)...)
	found := counted.FindStringSubmatch(out)
	if found == nil {
		m.t.Fatalf("corpus.py does not say how many messages it made:\n%s", out)
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

// differences has the independent judge compare mailboxes, and tells by user of
// those that differ.
func (m *mail) differences(users []string) map[string]string {
	m.t.Helper()
	told := map[string]string{}
	var mu sync.Mutex
	var all sync.WaitGroup
	turns := make(chan struct{}, 2)
	for _, u := range users {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			args := []string{"--src", addr(m.old.Port), "--dst", addr(m.new.Port), "--user", u, "--show", "5"}
			if m.emptied {
				args = append(args, "--empty")
			}
			out, err := script("verify.py", args...)
			if err != nil || !strings.HasPrefix(out, "SAME") {
				mu.Lock()
				defer mu.Unlock()
				told[u] = fmt.Sprintf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	return told
}

// same fails the test unless all mailboxes are the same: nothing lost, nothing doubled.
func (m *mail) same() {
	m.t.Helper()
	for user, told := range m.differences(m.users) {
		m.t.Errorf("%s differs: %s", user, told)
	}
}

// csv writes the file that an operator would upload.
func (m *mail) csv() (path string) {
	m.t.Helper()
	var b strings.Builder
	b.WriteString("EmailAddress,UserName,Password,TargetUserName,TargetPassword\n")
	for _, u := range m.users {
		fmt.Fprintf(&b, "%s@example.org,%s,%s,%s,%s\n", u, u, m.oldPassword, u, m.newPassword)
	}
	path = filepath.Join(m.t.TempDir(), "users.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

func (m *mail) python(name string, args ...string) string {
	m.t.Helper()
	out, err := script(name, args...)
	if err != nil {
		m.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

func script(name string, args ...string) (string, error) {
	out, err := exec.Command("python3", append([]string{"../../bench/" + name}, args...)...).CombinedOutput()
	return string(out), err
}

func addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
