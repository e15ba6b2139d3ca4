package chaos_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mailhaul/mailhaul/test/servers"
)

// node is a place at which a program runs, one process after another.
type node struct {
	name    string // of the log files
	program string
	address string

	mu      sync.Mutex // held by whoever lets something happen to its process
	process *servers.Process
	starts  int
	began   time.Time
}

// newborn is how long a process may not be able yet to take a signal.
const newborn = 2 * time.Second

// start starts the node's next process.
func (f *fleet) start(n *node) {
	n.starts++
	log, err := os.Create(filepath.Join(f.dir, fmt.Sprintf("%s-%02d.log", n.name, n.starts)))
	if err != nil {
		f.t.Error(err)
		return
	}
	defer func() { _ = log.Close() }() // the process has its own
	cmd := exec.Command(filepath.Join(bin, n.program))
	cmd.Env = slices.Concat(f.env, []string{"MAILHAUL_LISTEN=" + n.address})
	cmd.Stdout, cmd.Stderr = log, log
	n.process, n.began = servers.Start(f.t, cmd), time.Now()
}

func (n *node) ready() bool {
	res, err := http.Get("http://" + n.address + "/readyz")
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// replace ends the process of a node by a signal; after a while another takes its
// place. It tells when the signal was sent. The caller holds the node.
func (n *node) replace(f *fleet, s syscall.Signal, next time.Duration) (at time.Time, err error) {
	at = time.Now()
	if err := n.process.Signal(s); err != nil {
		return at, fmt.Errorf("%s: %w", s, err)
	}
	code, err := n.process.Wait(30 * time.Second)
	if err != nil {
		return at, err
	}
	if s == syscall.SIGTERM && code != 0 && (code != -1 || at.Sub(n.began) > newborn) {
		err = fmt.Errorf("it exits with %d after SIGTERM", code)
	}
	pause(next)
	f.start(n)
	return at, err
}

// freeze stops a node's process for a time. The caller holds the node.
func (n *node) freeze(lasts time.Duration) error {
	if err := n.process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	pause(lasts)
	if err := n.process.Signal(syscall.SIGCONT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// busyWorkers counts the workers that are in passes and that nothing happens to.
func (f *fleet) busyWorkers() (busy int) {
	for _, n := range f.workers {
		if !n.mu.TryLock() {
			continue
		}
		if f.passes(n) > 0 {
			busy++
		}
		n.mu.Unlock()
	}
	return busy
}

// passes counts the connections that a worker has to the target, as the kernel sees
// them: Mailhaul is not asked. The caller holds the node.
func (f *fleet) passes(n *node) (open int) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		f.t.Error(err)
		return 0
	}
	const established = "01"
	remote := fmt.Sprintf(":%04X", f.newPort)
	theirs := map[string]bool{} // by the socket's inode
	for line := range strings.Lines(string(table)) {
		if w := strings.Fields(line); len(w) > 9 && strings.HasSuffix(w[2], remote) && w[3] == established {
			theirs["socket:["+w[9]+"]"] = true
		}
	}
	dir := fmt.Sprintf("/proc/%d/fd", n.process.PID())
	files, _ := os.ReadDir(dir) // gone with the process
	for _, file := range files {
		if name, err := os.Readlink(filepath.Join(dir, file.Name())); err == nil && theirs[name] {
			open++
		}
	}
	return open
}
