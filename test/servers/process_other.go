//go:build !linux

package servers

import "syscall"

func endWithParent(syscall.Signal) *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
