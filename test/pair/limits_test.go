package pair_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/test/servers"
)

// quota gives every user of a Dovecot this much room.
func quota(room string) string {
	return `
mail_plugins = quota
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=` + room + `
}
`
}

// ends is what a run that may fail says last.
type ends struct {
	Code                             string
	Seen, Unchanged, Copied, Adopted int
	Skipped, Failed                  int
}

// try runs a sync that may fail.
func (w *world) try() (ends, int) {
	w.t.Helper()
	cmd := w.command(w.t.Context(), "sync")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		w.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var e ends
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &e); err != nil {
		w.t.Fatalf("%v in %q\n%s", err, out, stderr.String())
	}
	return e, cmd.ProcessState.ExitCode()
}

// letters are messages of some KB each.
func letters(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("Message-ID: <%d@x>\r\nSubject: %d\r\n\r\n%s", i, i, strings.Repeat("some words of a letter\r\n", 200)))
	}
	return out
}

// TestQuotaInTheMiddle: a target that becomes full keeps what it has taken, the run says
// so, and when there is room the rest arrives, nothing twice.
func TestQuotaInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.target = servers.Dovecot(t, servers.DovecotConfig{Extra: quota("1M")})
	w.targetPort = w.target.Port
	put(t, w.source.Port, "INBOX", letters(500)...) // 2.4 MB
	put(t, w.source.Port, "More", letters(10)...)
	first, code := w.try()
	if first.Code != "QuotaExceeded" || code == 0 || first.Copied == 0 || first.Copied >= 500 || first.Skipped != 0 {
		t.Fatalf("first pass: %+v, exit code %d", first, code)
	}
	kept := total(t, w.target.Port)
	if kept != first.Copied {
		t.Errorf("%d messages at the target, %d copied", kept, first.Copied)
	}
	again, _ := w.try()
	if again.Code != "QuotaExceeded" || again.Skipped != 0 || total(t, w.target.Port) < kept {
		t.Errorf("second pass: %+v", again)
	}
	conf := filepath.Join(filepath.Dir(w.target.Log), "dovecot.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, bytes.ReplaceAll(text, []byte("storage=1M"), []byte("storage=1G")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(w.target.PID, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; { // Dovecot takes its time to read it
		last, code := w.try()
		if last.Code == "QuotaExceeded" && time.Now().Before(deadline) {
			continue
		}
		if code != 0 || last.Failed+last.Skipped != 0 || last.Copied+last.Unchanged+last.Adopted != 510 {
			t.Fatalf("with room: %+v, exit code %d", last, code)
		}
		break
	}
	w.same()
	if n := total(t, w.target.Port); n != 510 {
		t.Errorf("%d messages at the target, want 510", n)
	}
}

// TestAppendLimit: what is over the limit that the target tells (RFC 7889) is never
// sent; the rest arrives.
func TestAppendLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.target = servers.Dovecot(t, servers.DovecotConfig{Capability: "IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND NAMESPACE APPENDLIMIT=100000"})
	w.targetPort = w.target.Port
	put(t, w.source.Port, "INBOX", "Subject: small\r\n\r\nsmall\r\n", "Subject: large\r\n\r\n"+strings.Repeat("x\r\n", 40_000), "Subject: last\r\n\r\nlast\r\n")
	got, code := w.try()
	if got.Copied != 2 || got.Skipped != 1 || got.Failed != 0 || code == 1 {
		t.Errorf("%+v, exit code %d", got, code)
	}
	if n := total(t, w.target.Port); n != 2 {
		t.Errorf("%d messages at the target, want 2", n)
	}
}

// lines is a message made as it is read, of 32 bytes a line; the first is its header.
type lines struct {
	left int
	line []byte
}

func (l *lines) Read(p []byte) (int, error) {
	if len(l.line) == 0 {
		if l.left == 0 {
			return 0, io.EOF
		}
		l.left--
		l.line = fmt.Appendf(nil, "Line: %022d\r\n\r\n", l.left)
	}
	n := copy(p, l.line)
	l.line = l.line[n:]
	return n, nil
}

// TestLargeMessage: a message of 120 MB goes straight through: it is never in memory.
func TestLargeMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	putMessages(t, w.source.Port, "INBOX", mailbox.Message{Body: &lines{left: 120 << 20 / 32}, Size: 120 << 20})
	put(t, w.source.Port, "INBOX", "Subject: small\r\n\r\nsmall\r\n")
	cmd := w.command(t.Context(), "sync")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	peak := watchPeak(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	w.same()
	if used := <-peak; used == 0 || used > 64<<10 {
		t.Errorf("%d KB of memory, want at most 64 MB", used)
	} else {
		t.Logf("%d KB of memory", used)
	}
}

// watchPeak tells a process's peak of memory in KB, once it has ended. (What the
// kernel tells of a child that ended begins at the peak of who started it.)
func watchPeak(pid int) <-chan int {
	peak := make(chan int, 1)
	go func() {
		last := 0
		for tick := time.Tick(5 * time.Millisecond); ; <-tick {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, line, found := strings.Cut(string(status), "VmHWM:")
			if err != nil || !found { // it has ended
				peak <- last
				return
			}
			_, _ = fmt.Sscan(line, &last)
		}
	}()
	return peak
}
