package discover

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Address is a mailbox's address.
type Address struct{ Local, Domain string }

// ParseAddress reads local@domain. The domain is a name in DNS, in ASCII.
func ParseAddress(s string) (Address, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || migration.Clean(s) != s || strings.ContainsAny(s, " \"<>") {
		return Address{}, fmt.Errorf("%q is no mail address", migration.Clean(s))
	}
	a := Address{Local: s[:at], Domain: strings.ToLower(strings.TrimSuffix(s[at+1:], "."))}
	if strings.ContainsFunc(a.Domain, func(r rune) bool { return r >= 0x80 }) {
		return Address{}, fmt.Errorf("the domain of %q is not ASCII: give the name as DNS has it (xn--…)", s)
	}
	if len(a.Domain) > 253 || !domain.MatchString(a.Domain) {
		return Address{}, fmt.Errorf("the domain of %q is no name in DNS", s)
	}
	return a, nil
}

// domain has at least two labels, and the last is not a number: that would be an
// address.
var domain = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (a Address) String() string { return a.Local + "@" + a.Domain }

// holds tells whether a host is the domain or within it.
func (a Address) holds(host string) bool {
	return host == a.Domain || strings.HasSuffix(host, "."+a.Domain)
}

// ParseResolver reads IP or IP:PORT; "" stays "", the system's resolvers.
func ParseResolver(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return net.JoinHostPort(a.String(), "53"), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return "", errors.New("a resolver is given as IP or IP:PORT, such as 192.0.2.53:53")
	}
	return ap.String(), nil
}
