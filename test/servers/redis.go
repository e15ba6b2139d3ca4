package servers

import (
	"fmt"
	"os/exec"
	"strconv"
	"testing"
)

// Redis starts an empty redis-server that keeps nothing on disk and returns its URL.
func Redis(t testing.TB) string {
	t.Helper()
	path := program(t, "redis-server", "redis-server")
	dir := tempDir(t)
	var last error
	for range attempts {
		port := freePort(t)
		p, err := start(exec.Command(path, "--bind", "127.0.0.1", "--port", strconv.Itoa(port),
			"--dir", dir, "--save", "", "--appendonly", "no", "--loglevel", "warning"))
		if err != nil {
			t.Fatal(err)
		}
		if last = p.await(port, says("PING\r\n", "+PONG")); last == nil {
			t.Cleanup(p.stop)
			return fmt.Sprintf("redis://127.0.0.1:%d/0", port)
		}
		p.stop()
		last = fmt.Errorf("%w; it wrote: %s", last, p.out.String())
	}
	t.Fatalf("start redis-server: %v", last)
	return ""
}
