//go:build !linux

package imapmail

import "net"

func acknowledgeAtOnce(net.Conn) {}
