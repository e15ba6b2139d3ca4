package hostile

import (
	"os"
	"syscall"
)

// maxResident is the largest resident memory of a process that has ended, in bytes:
// Linux counts it in kilobytes.
func maxResident(p *os.ProcessState) int64 {
	return p.SysUsage().(*syscall.Rusage).Maxrss << 10
}
