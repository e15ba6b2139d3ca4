package migration

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// System names the mail system behind an endpoint: the same for its ports 993 and
// 143. At a loopback address each port is a system of its own, such as the far ends
// of tunnels.
func (s *EndpointSpec) System() string {
	h := strings.ToLower(strings.TrimSuffix(s.Host, "."))
	addr, err := netip.ParseAddr(strings.Trim(h, "[]"))
	if h == "localhost" || err == nil && addr.Unmap().IsLoopback() {
		return net.JoinHostPort(strings.Trim(h, "[]"), strconv.Itoa(s.Port))
	}
	return h
}
