package servers

import (
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// Restartable is a server that a test may kill, and start again at the same address.
type Restartable struct {
	URL string
	// Dir has what it wrote down: of a Redis every command that changed something,
	// those of the processes that were killed too.
	Dir     string
	starts  int
	command func() *exec.Cmd
	port    int
	ready   string // what it is asked
	answer  string // what it then says first
	p       *process
}

// Kill ends the server as a crash would.
func (s *Restartable) Kill() error {
	if err := s.p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", s.p.cmd.Path, err)
	}
	<-s.p.done
	return nil
}

// Start starts the server again after Kill, and waits until it answers.
func (s *Restartable) Start() error {
	s.starts++
	p, err := start(s.command())
	if err != nil {
		return err
	}
	s.p = p
	if err := p.await(s.port, says(s.ready, s.answer)); err != nil {
		p.stop()
		return fmt.Errorf("%w; it wrote: %s", err, p.out.String())
	}
	return nil
}

// RestartableRedis starts an empty redis-server. One that is started again is empty:
// each writes an append-only file of its own.
func RestartableRedis(t testing.TB) *Restartable {
	t.Helper()
	path, dir := program(t, "redis-server", "redis-server"), tempDir(t)
	s := &Restartable{ready: "PING\r\n", answer: "+PONG", Dir: dir}
	s.command = func() *exec.Cmd {
		return exec.Command(path, "--bind", "127.0.0.1", "--port", strconv.Itoa(s.port),
			"--dir", dir, "--save", "", "--loglevel", "warning", "--rdbcompression", "no", "--auto-aof-rewrite-percentage", "0",
			"--appendonly", "yes", "--appendfsync", "no", "--appenddirname", fmt.Sprint("aof-", s.starts))
	}
	var last error
	for range attempts {
		s.port = freePort(t)
		if last = s.Start(); last == nil {
			t.Cleanup(func() { s.p.stop() })
			s.URL = fmt.Sprintf("redis://127.0.0.1:%d/0", s.port)
			return s
		}
	}
	t.Fatalf("start redis-server: %v", last)
	return nil
}
