package servers

import "syscall"

// endWithParent makes the kernel end a server whose test was killed before it could
// clean up.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
