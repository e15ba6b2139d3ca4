package hostile

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	// maxMemory is what a hostile server may cost its client over what it takes anyway.
	maxMemory = 128 << 20
	maxTime   = 60 * time.Second
	attacker  = "MAILHAUL_HOSTILE_PORT" // says which server a victim connects to
)

// victim is this test as a program without the race detector, which would be measured
// with it: it takes several times the memory, and a second to end.
var victim string

// TestMain is also the victim: a process that does with a server all that a pass does.
func TestMain(m *testing.M) {
	if port, err := strconv.Atoi(os.Getenv(attacker)); err == nil {
		debug.SetTraceback("all")
		fmt.Println("ended:", suffer(port))
		return
	}
	code := func() int {
		dir, err := os.MkdirTemp("", "mailhaul-hostile-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		victim = filepath.Join(dir, "victim")
		if out, err := exec.Command("go", "test", "-c", "-o", victim, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}()
	os.Exit(code)
}

// suffer is a pass at both sides of one server, reduced to what is asked of it.
func suffer(port int) error {
	ctx := context.Background()
	s, err := imapmail.NewOpener(imapmail.Account{
		Host: "127.0.0.1", Port: port, Security: migration.Plain, User: "anna", Password: migration.NewSecret("hush"), Side: migration.Source,
	}, imapmail.Options{})(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if _, err := s.List(ctx); err != nil {
		return err
	}
	if _, err := s.Select(ctx, "INBOX", false); err != nil {
		return err
	}
	if err := s.Flags(ctx, mailbox.Span(1, mailbox.MaxUID), 0, func(mailbox.UID, mailbox.Flags) error { return nil }); err != nil {
		return err
	}
	if err := s.Metas(ctx, mailbox.Span(1, mailbox.MaxUID), func(mailbox.Meta) error { return nil }); err != nil {
		return err
	}
	err = s.Messages(ctx, mailbox.Span(1, mailbox.MaxUID), func(m mailbox.Message) error {
		_, err := io.Copy(io.Discard, m.Body)
		return err
	})
	if err != nil {
		return err
	}
	a, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	m := mailbox.NewMessage{Message: mailbox.Message{Size: 2, Body: strings.NewReader("ab")}}
	if err := a.Add(ctx, m); err != nil {
		return err
	}
	if err := a.Flush(ctx); err != nil {
		return err
	}
	_, err = a.Receive(ctx)
	return err
}

// TestAHostileServerCostsLittle measures each attack from outside: the largest memory
// of the process that suffers it, and how long it holds out.
func TestAHostileServerCostsLittle(t *testing.T) {
	honest, says := measure(t, attack{at: "NONE"})
	if says != "ended: <nil>" {
		t.Fatalf("a pass at an honest server says %q: whoever attacks later in it is not met", says)
	}
	t.Logf("%-26s %8.1f MB", "an honest server", float64(honest)/(1<<20))
	for _, name := range slices.Sorted(maps.Keys(attacks)) {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			a, met := attacks[name], new(atomic.Bool)
			do := a.do
			a.do = func(s server) { met.Store(true); do(s) }
			memory, out := measure(t, a)
			took := time.Since(begun)
			t.Logf("%-26s %8.1f MB %6.2f s  %s", name, float64(memory)/(1<<20), took.Seconds(), out)
			if !met.Load() {
				t.Error("no pass has met it")
			}
			if cost := memory - honest; cost > maxMemory {
				t.Errorf("it costs %d MB", cost>>20)
			}
			if took > maxTime {
				t.Errorf("it takes %s", took)
			}
			if !strings.HasPrefix(out, "ended: ") || strings.HasPrefix(out, "ended: Internal") {
				t.Errorf("the process says %q", out)
			}
		})
	}
}

// measure gives a server to a process and returns the process's largest resident
// memory, as the system counts it, and its last word.
func measure(t *testing.T, a attack) (memory int64, says string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*maxTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, victim)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", attacker, serve(t, a)))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out[:min(len(out), 4000)])
	}
	return maxResident(cmd.ProcessState), strings.TrimSpace(string(out[:min(len(out), 300)]))
}
