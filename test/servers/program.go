package servers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// FreePort returns a loopback port that nobody listens on now.
func FreePort(t testing.TB) int {
	t.Helper()
	return freePort(t)
}

// Program starts a program of ours that listens on port, waits until it does, and
// ends it with the test.
func Program(t testing.TB, port int, cmd *exec.Cmd) {
	t.Helper()
	p, err := start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	if err := p.await(port, func(net.Conn) error { return nil }); err != nil {
		t.Fatalf("start %s: %v; it wrote: %s", cmd.Path, err, p.out.String())
	}
}

// Process is a program of ours that the test may end in its own way; it ends with the
// test at the latest.
type Process struct{ p *process }

// Start starts a program of ours. Where cmd names no streams, Output has what it
// wrote, once it has ended.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p, err := start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return &Process{p}
}

// PID is the process's number.
func (p *Process) PID() int { return p.p.cmd.Process.Pid }

// Signal sends a signal to the process.
func (p *Process) Signal(s os.Signal) error { return p.p.cmd.Process.Signal(s) }

// Wait waits until the process has ended and returns its exit code, -1 where a signal
// ended it.
func (p *Process) Wait(timeout time.Duration) (code int, err error) {
	select {
	case <-p.p.done:
		return p.p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(timeout):
		return 0, fmt.Errorf("it has not ended in %s", timeout)
	}
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.p.done }

// Output is what the process wrote; it may be read once the process has ended.
func (p *Process) Output() string { return p.p.out.String() }
