package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Setting is the name of the operator's setting, for messages.
const Setting = "MAILHAUL_ALLOW_PRIVATE_NETWORKS"

const (
	dialTimeout = 30 * time.Second
	keepAlive   = 30 * time.Second
)

// Policy is which addresses may be connected to. The zero value is the strictest:
// the public internet alone.
type Policy struct {
	all      bool
	prefixes []netip.Prefix
}

// Parse reads the setting: "" or "false" for the public internet alone, "true" for
// private and loopback addresses too, or a list of networks and addresses, separated
// by commas or spaces, that are open besides the public internet.
func Parse(allow string) (Policy, error) {
	switch strings.ToLower(strings.TrimSpace(allow)) {
	case "", "false", "no", "0":
		return Policy{}, nil
	case "true", "yes", "1":
		return Policy{all: true}, nil
	}
	var p Policy
	for _, word := range strings.FieldsFunc(allow, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		prefix, err := parseNetwork(word)
		if err != nil {
			return Policy{}, fmt.Errorf("%s: %q is neither true, false nor a network such as 10.0.0.0/8 or fd00::/8", Setting, word)
		}
		p.prefixes = append(p.prefixes, prefix)
	}
	return p, nil
}

func parseNetwork(word string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(word); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(word)
	if err != nil {
		return netip.Prefix{}, err
	}
	if addr := prefix.Addr(); addr.Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, errors.New("wider than the IPv4 addresses in it")
		}
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), nil
}

// Refusal is the error for an address that the policy does not let through.
type Refusal struct {
	Addr   netip.Addr
	What   string // such as "a loopback address"
	Always bool   // no setting opens it
}

func (r *Refusal) Error() string {
	if r.Always {
		return fmt.Sprintf("connect to %s: it is %s, which is never allowed", r.Addr, r.What)
	}
	return fmt.Sprintf("connect to %s: it is %s; where that is meant, add its network to %s", r.Addr, r.What, Setting)
}

// Check returns a *Refusal where addr may not be connected to, else nil.
func (p Policy) Check(addr netip.Addr) error {
	if !addr.IsValid() {
		return errors.New("connect: no valid address")
	}
	all := readings(addr)
	for _, reading := range all {
		if w := what(never, reading); w != "" {
			return &Refusal{Addr: addr, What: describe(w, all[0], reading), Always: true}
		}
	}
	for _, reading := range all {
		if w := closed(reading); w != "" && !p.allows(reading) {
			return &Refusal{Addr: addr, What: describe(w, all[0], reading)}
		}
	}
	return nil
}

func describe(what string, addr, reading netip.Addr) string {
	if reading != addr {
		return fmt.Sprintf("another form of %s, %s", reading, what)
	}
	return what
}

func (p Policy) allows(addr netip.Addr) bool {
	if p.all {
		return true
	}
	for _, prefix := range p.prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// Control refuses a socket that is about to connect where it may not: for the
// Control field of a net.Dialer.
func (p Policy) Control(network, address string, _ syscall.RawConn) error {
	switch network {
	case "tcp4", "tcp6", "udp4", "udp6":
	default:
		return fmt.Errorf("connect to %q: network %q is not allowed", address, network)
	}
	if strings.HasPrefix(address, ":") { // no host: the system takes it for itself
		return p.Check(netip.IPv4Unspecified())
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connect to %q: %w", address, err)
	}
	return p.Check(ap.Addr())
}

// Dialer returns a dialer that connects only where the policy lets it. Its errors
// have a *Refusal in their chain where it did not.
func (p Policy) Dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive, Control: p.Control}
}

// DialContext dials with Dialer. A refusal is Fault{ConnectionFailed, endpoint} that
// names the setting; other errors are the dialer's own.
func (p Policy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := p.Dialer().DialContext(ctx, network, address)
	var refused *Refusal
	if errors.As(err, &refused) {
		reason := fmt.Sprintf("%s: %s", address, refused.Error())
		return nil, migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, "", reason, refused)
	}
	return conn, err
}
