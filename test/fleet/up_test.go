package fleet_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/servers"
)

// TestUpKilled: everything in one process, killed in the middle, goes on from its
// data directory. While its folders settle it ends at once when it is asked to.
func TestUpKilled(t *testing.T) {
	t.Parallel()
	m := newMail(t, 3)
	m.corpus("--messages", "260", "--folders", "1") // while the only folder settles nothing else is to be done
	m.narrow(64 << 10)
	s := &service{t: t, mail: m, dir: t.TempDir()}
	s.database = filepath.Join(s.data(), "mailhaul.db")
	process := s.up()
	s.create("--autostart")
	s.awaitCopying()
	s.kill(process)
	process = s.up()
	s.await("its passes are at work again", func() bool {
		return s.count(`SELECT COUNT(*) FROM leases WHERE state = 'running'`) > 0
	})
	s.terminate(process, idleTime)
	process = s.up()
	s.awaitSynced()
	t.Logf("%+v", s.batch().Messages)
	s.terminate(process, idleTime)
}

func (s *service) data() string { return filepath.Join(s.dir, "data") }

// up starts `mailhaul up` on the test's data directory.
func (s *service) up(env ...string) *server {
	s.t.Helper()
	address := addr(servers.FreePort(s.t))
	cmd := exec.Command(filepath.Join(bin, "mailhaul"), "up", "--data", s.data(), "--listen", address)
	cmd.Env = append(os.Environ(), env...)
	p := s.run("up", cmd, "http://"+address)
	s.api, s.token = p.url, strings.TrimSpace(string(read(s.t, filepath.Join(s.data(), "token"))))
	return p
}

// TestDemo: the first command that a newcomer tries.
func TestDemo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "mailhaul"), "demo", "--once", "--mailboxes", "3", "--messages", "40")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "3 of 3 mailboxes are the same") {
		t.Errorf("demo says\n%s", out)
	}
}
