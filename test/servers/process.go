package servers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = time.Minute
	stopTimeout  = 10 * time.Second
	attempts     = 3
)

// program finds an executable, also in the directories that hold servers and that
// an ordinary user's PATH leaves out.
func program(t testing.TB, name, debianPackage string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/local/bin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed: apt-get install %s", name, debianPackage)
	return ""
}

// tempDir makes a directory whose path is short enough for the unix sockets in it
// (107 bytes), which t.TempDir's is not, and that other users may enter.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mh")
	if err != nil {
		t.Fatalf("make a directory for a server: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatalf("open the directory of a server: %v", err)
	}
	return dir
}

// Ports below those that the kernel gives to outgoing connections (Linux: from 32768).
// A server that is restarted finds its port again, and a client that knocks meanwhile
// cannot be connected with itself.
const lowestPort, highestPort = 12000, 32000

// claims are this test program's ports of UDP, kept open until it ends.
var claims sync.Map

// freePort returns a loopback port that nobody listens on now, and that no test program
// has been given: a port of TCP is its whose program has the same one of UDP, which
// nobody else wants and which goes with the program. Ports are tried from a random one
// on, so that programs seldom try the same.
func freePort(t testing.TB) int {
	t.Helper()
	port := lowestPort + rand.IntN(highestPort-lowestPort)
	for range highestPort - lowestPort {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if claim, err := net.ListenPacket("udp", address); err == nil {
			l, err := net.Listen("tcp", address)
			if err == nil {
				_ = l.Close()
				claims.Store(port, claim)
				return port
			}
			_ = claim.Close()
		}
		if port++; port == highestPort {
			port = lowestPort
		}
	}
	t.Fatal("no port of the loopback is free")
	return 0
}

// process is one server process; out is what it wrote to its standard streams.
type process struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{} // closed when it has ended
	once sync.Once
	end  syscall.Signal // asks it to end
}

func start(cmd *exec.Cmd) (*process, error) { return startAs(nil, syscall.SIGTERM, cmd) }

// startAs starts a process as another user (nil: as this one) that ends at a signal.
func startAs(as *account, end syscall.Signal, cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{}), end: end}
	if cmd.Stdout == nil && cmd.Stderr == nil {
		cmd.Stdout, cmd.Stderr = &p.out, &p.out
	}
	cmd.SysProcAttr = endWithParent(end)
	as.become(cmd.SysProcAttr)
	// The server's own children may hold its streams open after it has ended.
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the process to end, and ends it when it does not.
func (p *process) stop() {
	p.once.Do(func() {
		_ = p.cmd.Process.Signal(p.end)
		select {
		case <-p.done:
		case <-time.After(stopTimeout):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	})
}

// await connects to port until a connection says what ready wants to hear, the
// process ends, or the time is up.
func (p *process) await(port int, ready func(net.Conn) error) error {
	deadline := time.Now().Add(startTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := probe(port, ready)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after %s: %w", startTimeout, err)
		}
		select {
		case <-p.done:
			return errors.New("it ended at once")
		case <-tick.C:
		}
	}
}

func probe(port int, ready func(net.Conn) error) error {
	c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	return ready(c)
}

// says is a probe that sends ask and wants an answer that begins with want.
func says(ask, want string) func(net.Conn) error {
	return func(c net.Conn) error {
		if _, err := io.WriteString(c, ask); err != nil {
			return err
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil {
			return err
		}
		if string(got) != want {
			return fmt.Errorf("it says %q, want %q", got, want)
		}
		return nil
	}
}
