//go:build failpoints

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// chosen and left are where the process dies, and how many times it gets by first.
var chosen, left = choose(os.Getenv("MAILHAUL_FAILPOINT"))

func choose(text string) (string, *atomic.Int64) {
	name, times, _ := strings.Cut(text, ":")
	n, err := strconv.ParseInt(times, 10, 64)
	if err != nil {
		n = 1
	}
	left := new(atomic.Int64)
	left.Store(n)
	return name, left
}

// Reach kills the process if it is to die here.
func Reach(name string) {
	if Due(name) {
		Die()
	}
}

// Due reports whether the process is to die here.
func Due(name string) bool { return name == chosen && left.Add(-1) == 0 }

// Die kills the process.
func Die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // not one instruction more
}
