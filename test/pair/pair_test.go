// Package pair_test drives the built `mailhaul sync` and `mailhaul verify` between
// two real Dovecots. The judge is bench/verify.py, which shares no line with them.
package pair_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/servers"
)

// bin is the directory of the built programs.
var bin string

func TestMain(m *testing.M) {
	os.Exit(servers.Main(m, &bin, "../../cmd/mailhaul", "../../bench/delayproxy"))
}

const user = "u0000" // corpus.py's first user

// settle is how long folders rest in passes that tests run themselves: these servers are
// near, and answer at once or never.
const settle = 2 * time.Second

// world is two Dovecots and the way to them.
type world struct {
	t              *testing.T
	source, target *servers.IMAP
	// sourcePort and targetPort are what mailhaul connects to.
	sourcePort, targetPort int
	state                  string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, source: servers.Dovecot(t, servers.DovecotConfig{}), target: servers.Dovecot(t, servers.DovecotConfig{})}
	w.sourcePort, w.targetPort = w.source.Port, w.target.Port
	w.state = filepath.Join(t.TempDir(), "state")
	return w
}

// python runs one of the harness's scripts.
func (w *world) python(script string, args ...string) string {
	w.t.Helper()
	out, err := exec.Command("python3", append([]string{"../../bench/" + script}, args...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %v: %v\n%s", script, args, err, out)
	}
	return string(out)
}

// fill puts the harness's corpus into the source.
func (w *world) fill(messages int) {
	w.t.Helper()
	w.python("corpus.py", "--port", strconv.Itoa(w.source.Port), "--users", "1", "--messages", strconv.Itoa(messages), "--nul")
}

// same has the independent judge compare the mailboxes.
func (w *world) same() {
	w.t.Helper()
	out := w.python("verify.py", "--src", addr(w.source.Port), "--dst", addr(w.target.Port), "--user", user, "--show", "20")
	if !strings.HasPrefix(out, "SAME") {
		w.t.Fatalf("the mailboxes differ:\n%s", out)
	}
}

func addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

type result struct {
	Status                                                  string
	Seen, Unchanged, Copied, Adopted, Skipped, Failed       int
	Redelivered, Surplus, FlagsUpdated                      int
	Deleted, ToDelete                                       int
	Items                                                   []struct{ Folder, Code, Reason string }
	Kept                                                    []struct{ From, To string }
	Verify                                                  *struct{ Missing, Altered, Extra int }
	Missing, Altered, WrongDate, WrongFlags, FoldersMissing int
}

func (w *world) command(ctx context.Context, verb string, more ...string) *exec.Cmd {
	url := func(port int) string { return "imap+plain://" + user + "@" + addr(port) }
	args := append([]string{verb, "--source", url(w.sourcePort), "--target", url(w.targetPort), "--output", "json"}, more...)
	if w.state != "" {
		args = append(args, "--state", w.state)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "mailhaul"), args...)
	cmd.Env = append(os.Environ(), "MAILHAUL_SOURCE_PASSWORD="+servers.Password, "MAILHAUL_TARGET_PASSWORD="+servers.Password)
	return cmd
}

// run runs a verb to its end and returns the object that ends its output.
func (w *world) run(verb string, more ...string) result {
	w.t.Helper()
	cmd := w.command(w.t.Context(), verb, more...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s%s", verb, err, out, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var r result
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		w.t.Fatalf("%s: %v in %q", verb, err, out)
	}
	if got := r.Unchanged + r.Copied + r.Adopted + r.Skipped + r.Failed; verb == "sync" && r.Seen != got {
		w.t.Errorf("seen %d is not the sum of its parts %d", r.Seen, got)
	}
	return r
}

// TestPass is the day of a mailbox: copied, nothing new, something new, the state
// lost.
func TestPass(t *testing.T) {
	w := newWorld(t)
	w.fill(600)
	if r := w.run("sync"); r.Copied != 603 || r.Skipped != 0 {
		t.Fatalf("first pass: %+v", r)
	}
	w.same()
	if r := w.run("sync"); r.Copied+r.Adopted+r.FlagsUpdated != 0 || r.Unchanged != 603 {
		t.Fatalf("second pass: %+v", r)
	}
	w.python("corpus.py", "--port", strconv.Itoa(w.source.Port), "--users", "1", "--mutate", "--new", "50", "--flags", "50")
	if r := w.run("sync"); r.Copied != 50 || r.Adopted != 0 || r.FlagsUpdated == 0 {
		t.Fatalf("incremental pass: %+v", r)
	}
	w.same()
	if err := os.Remove(w.state); err != nil {
		t.Fatal(err)
	}
	if r := w.run("sync"); r.Copied != 0 || r.Adopted != 653 {
		t.Fatalf("pass with the state deleted: %+v", r)
	}
	w.same()
	if r := w.run("verify"); r.Missing+r.Altered+r.WrongDate+r.WrongFlags+r.FoldersMissing != 0 {
		t.Fatalf("verify: %+v", r)
	}
}

// TestBadInput: every mistake is told with what to do, and its exit code.
func TestBadInput(t *testing.T) {
	tests := []struct {
		args []string
		code int
		says string
	}{
		{[]string{"sync", "--source", "imaps://a@h"}, 2, "MAILHAUL_SOURCE_PASSWORD"},
		{[]string{"sync", "--source", "imaps://a:b@h"}, 2, "--target is missing"},
		{[]string{"sync", "--source", "http://a:b@h", "--target", "imaps://a:b@h"}, 2, "starts with imaps://"},
		{[]string{"sync", "--source", "imap+plain://a:b@mail.example.org", "--target", "imaps://a:b@h"}, 2, "--allow-plaintext"},
		{[]string{"sync", "--source", "imaps://a:p%zz@h", "--target", "imaps://a:b@h"}, 2, "--source is not"},
		{[]string{"sync", "--source", "imap+plain://a:b@127.0.0.1:1", "--target", "imap+plain://a:b@127.0.0.1:1"}, 10, "ConnectionFailed"},
		{[]string{"sync", "--nonsense"}, 2, "unknown flag"},
	}
	for _, tt := range tests {
		cmd := exec.Command(filepath.Join(bin, "mailhaul"), tt.args...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != tt.code || !strings.Contains(string(out), tt.says) {
			t.Errorf("%v: %v, want code %d and %q:\n%s", tt.args, err, tt.code, tt.says, out)
		}
	}
}
