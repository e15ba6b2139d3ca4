package servers

import "syscall"

// endWithParent makes the kernel end a server whose test was killed before it could
// clean up.
func endWithParent(end syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: end}
}
