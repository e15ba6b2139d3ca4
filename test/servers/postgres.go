package servers

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// PostgresServer is a postgres process that can be killed and started again on its
// port and its data.
type PostgresServer struct {
	// URL names its database "postgres", which is empty at first, with the rights of
	// its superuser.
	URL string
	// Data is its data directory.
	Data string

	path    string
	port    int
	as      *account
	process *process
}

// Postgres starts a PostgreSQL server that lets everybody on this machine in. It does
// not wait for disks: its data outlive its own death, not the machine's.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	s := &PostgresServer{path: postgresProgram(t, "postgres"), as: ordinary(t, "postgres", "nobody")}
	dir := tempDir(t)
	s.as.own(t, dir)
	s.Data = filepath.Join(dir, "data")
	initdb := exec.Command(postgresProgram(t, "initdb"), "--pgdata", s.Data, "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync")
	initdb.Dir = dir // its user may not be allowed into the test's
	initdb.SysProcAttr = &syscall.SysProcAttr{}
	s.as.become(initdb.SysProcAttr)
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v; it wrote: %s", err, out)
	}
	t.Cleanup(func() {
		if s.process != nil {
			s.process.stop()
		}
	})
	var last error
	for range attempts {
		s.port = freePort(t)
		if last = s.start(); last == nil {
			s.URL = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
			return s
		}
	}
	t.Fatalf("start postgres: %v", last)
	return nil
}

// Kill ends the server as a crash would.
func (s *PostgresServer) Kill() error {
	if err := s.process.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill postgres: %w", err)
	}
	<-s.process.done
	return nil
}

// Start starts the server again after Kill, and waits until it answers.
func (s *PostgresServer) Start() error {
	var last error
	for range attempts { // what Kill left of its children may be in the way for a moment
		if last = s.start(); last == nil {
			return nil
		}
	}
	return fmt.Errorf("start postgres again: %w", last)
}

// Dump returns the whole database as pg_dump tells it.
func (s *PostgresServer) Dump(t testing.TB) []byte {
	t.Helper()
	dump := exec.Command(postgresProgram(t, "pg_dump"), "--dbname", s.URL)
	var problems bytes.Buffer
	dump.Stderr = &problems
	out, err := dump.Output()
	if err != nil {
		t.Fatalf("pg_dump: %v; it wrote: %s", err, problems.Bytes())
	}
	return out
}

func (s *PostgresServer) start() error {
	cmd := exec.Command(s.path, "-D", s.Data, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=64MB", "-c", "max_connections=200")
	cmd.Dir = s.Data
	// SIGINT: without waiting for clients to go away.
	p, err := startAs(s.as, syscall.SIGINT, cmd)
	if err != nil {
		return err
	}
	if err := p.await(s.port, postgresReady); err != nil {
		p.stop()
		return fmt.Errorf("%w; it wrote: %s", err, p.out.String())
	}
	s.process = p
	return nil
}

// postgresReady begins a session (PostgreSQL's protocol 3.0, "Start-up"). A server
// that lets it in answers R, one that is not ready yet E.
func postgresReady(c net.Conn) error {
	ask := []byte("\x00\x00\x00\x00\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00")
	binary.BigEndian.PutUint32(ask, uint32(len(ask)))
	if err := says(string(ask), "R")(c); err != nil {
		return err
	}
	_, err := c.Write([]byte("X\x00\x00\x00\x04")) // goodbye
	return err
}

// postgresProgram finds a program of the newest PostgreSQL that is installed; Debian
// keeps them apart from the PATH, by version.
func postgresProgram(t testing.TB, name string) string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join("/usr/lib/postgresql/*/bin", name)) // the pattern is well formed
	if len(found) == 0 {
		return program(t, name, "postgresql")
	}
	return slices.MaxFunc(found, func(a, b string) int {
		return bytes.Compare(version(a), version(b))
	})
}

// version is the directory of a version, padded so that 9 sorts before 15.
func version(path string) []byte {
	return fmt.Appendf(nil, "%8s", filepath.Base(filepath.Dir(filepath.Dir(path))))
}
