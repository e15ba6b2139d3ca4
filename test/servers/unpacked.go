package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// CyrusConfig says what kind of Cyrus is wanted; zero values are Debian's choice:
// folders below "INBOX." with dots between the parts.
type CyrusConfig struct {
	UnixHierarchy bool   // folders beside INBOX, "/" between the parts
	Suppress      string // capabilities that it does not advertise
	// Users are those whose INBOX is made at their first login; nil: whoever logs in,
	// and for whom an administrator acts.
	Users []string
}

// Cyrus starts a Cyrus without any mail and stops it when the test ends. Users have to
// be made with AddUsers.
func Cyrus(t testing.TB, c CyrusConfig) *IMAP {
	t.Helper()
	yes := "no"
	if c.UnixHierarchy {
		yes = "yes"
	}
	env := []string{"ALTNAMESPACE=" + yes, "UNIXHIERARCHYSEP=" + yes}
	if c.Users != nil {
		env = append(env, "AUTOCREATE_USERS="+strings.Join(c.Users, " "))
	}
	if c.Suppress != "" {
		env = append(env, "EXTRA_CYRUS=suppress_capabilities: "+c.Suppress)
	}
	return unpacked(t, "cyrus", env)
}

// CourierConfig says what kind of Courier is wanted.
type CourierConfig struct {
	Capability string // replaces what the server advertises
}

// Courier starts a Courier without any mail and stops it when the test ends; it needs
// root. Users have to be made with AddUsers.
func Courier(t testing.TB, c CourierConfig) *IMAP {
	t.Helper()
	var env []string
	if c.Capability != "" {
		env = append(env, fmt.Sprintf("EXTRA_COURIER=IMAP_CAPABILITY=%q", c.Capability))
	}
	return unpacked(t, "courier", env)
}

// unpacked starts a server that bench/getservers.sh unpacks beside the system, because
// Debian lets no two IMAP servers be installed at once.
func unpacked(t testing.TB, name string, env []string) *IMAP {
	t.Helper()
	bench := filepath.Join(repository(t), "bench")
	if out, err := exec.Command(program(t, "bash", "bash"), filepath.Join(bench, "getservers.sh"), name).CombinedOutput(); err != nil {
		t.Fatalf("fetch %s: %v; it wrote: %s", name, err, out)
	}
	account, _, _ := owner(t)
	var last error
	for range attempts {
		s, p, err := startUnpacked(t, filepath.Join(bench, name+".sh"), name, append(env, "VMAIL_USER="+account))
		if err == nil {
			t.Cleanup(p.stop)
			return s
		}
		p.stop()
		last = fmt.Errorf("%w; it wrote: %s", err, p.out.String())
	}
	t.Fatalf("start %s: %v", name, last)
	return nil
}

func startUnpacked(t testing.TB, script, name string, env []string) (*IMAP, *process, error) {
	t.Helper()
	dir := tempDir(t)
	own := filepath.Join(dir, name)
	tls := filepath.Join(own, "tls")
	if err := os.MkdirAll(tls, 0o755); err != nil {
		t.Fatalf("make a directory for %s: %v", name, err)
	}
	s := &IMAP{Host: "127.0.0.1", Port: freePort(t), TLSPort: freePort(t), Log: filepath.Join(own, "imap.log"), MailDir: filepath.Join(own, "mail")}
	s.CA = certificate(t, filepath.Join(tls, "cert.pem"), filepath.Join(tls, "key.pem"))
	ports := strings.ToUpper(name)
	cmd := exec.Command("bash", script, "run", dir)
	cmd.Env = append(append(os.Environ(), env...),
		ports+"_PORT="+strconv.Itoa(s.Port), ports+"_TLS_PORT="+strconv.Itoa(s.TLSPort), "PASSWORD="+Password)
	p, err := start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	s.PID = p.cmd.Process.Pid
	s.addUsers = func(names []string) error {
		out, err := exec.Command("bash", append([]string{script, "user", dir}, names...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("make users: %w; it wrote: %s", err, out)
		}
		return nil
	}
	return s, p, p.await(s.Port, says("", "* OK"))
}

// AddUsers makes mailboxes, all with Password. Dovecot needs none made.
func (s *IMAP) AddUsers(t testing.TB, names ...string) {
	t.Helper()
	if s.addUsers == nil {
		return
	}
	if err := s.addUsers(names); err != nil {
		t.Fatal(err)
	}
}

// repository is the directory of go.mod.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("find the repository: %v", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("find the repository: no go.mod above the test's directory")
		}
		dir = filepath.Dir(dir)
	}
}
