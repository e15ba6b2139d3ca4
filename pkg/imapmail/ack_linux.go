package imapmail

import (
	"net"
	"syscall"
)

// acknowledgeAtOnce has the system acknowledge what comes next without the 40 ms in
// which it would wait for something to send along. A server that answers in several
// small writes (Courier: the answer to one APPEND, then the request for the next
// message) holds the second back until the first is acknowledged (RFC 896), while we
// have nothing to send until we have the second. The system forgets the wish with the
// next bytes we send.
func acknowledgeAtOnce(c net.Conn) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}
