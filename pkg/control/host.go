package control

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// letters are those of a host name; "_" is in names that exist (RFC 1123 section 2.1
// has none).
var letters = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// number is what some systems take for a part of an IPv4 address: 127, 0x7f, 0177.
var number = regexp.MustCompile(`^([0-9]+|0[xX][0-9a-fA-F]*)$`)

// checkHost refuses what is neither a host name nor an address, whatever a resolver
// would make of it. Whether it may be connected to is package netguard's question.
func checkHost(host string) error {
	if name, port, err := net.SplitHostPort(host); err == nil {
		return fault(migration.InvalidArgument, "host %q holds a port: give %q as host and %q as port (--port)", migration.Clean(host), migration.Clean(name), migration.Clean(port))
	}
	if a, err := netip.ParseAddr(host); err == nil && (a.Zone() == "" || !a.Is4In6()) {
		return nil
	}
	labels := strings.Split(host, ".")
	switch {
	case strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }):
		return fault(migration.InvalidArgument, "host %q is not ASCII: give the name as DNS has it (xn--…)", migration.Clean(host))
	case len(host) > 253 || !letters.MatchString(host) || slices.Contains(labels, ""):
		return fault(migration.InvalidArgument, "host %q is no host name or address", migration.Clean(host))
	case number.MatchString(labels[len(labels)-1]):
		// inet_aton reads 127.1, 2130706433 and 0x7f000001 as addresses, other systems as
		// names. No top-level domain is a number (RFC 3696 section 2).
		return fault(migration.InvalidArgument, "host %q is no host name, and an IPv4 address only with four decimal numbers, such as 192.0.2.10", migration.Clean(host))
	}
	return nil
}
