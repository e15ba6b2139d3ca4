package servers

import (
	"net"
	"os/exec"
	"testing"
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
