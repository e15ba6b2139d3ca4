package netguard

import "net/netip"

// rangeOf is one row of a table of prefixes.
type rangeOf struct {
	prefix netip.Prefix
	what   string
}

func rows(what string, prefixes ...string) []rangeOf {
	out := make([]rangeOf, len(prefixes))
	for i, p := range prefixes {
		out[i] = rangeOf{netip.MustParsePrefix(p), what}
	}
	return out
}

func table(parts ...[]rangeOf) []rangeOf {
	var out []rangeOf
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// never are addresses that no setting opens. The metadata addresses outside the
// link-local ranges are those of AWS, Google and Oracle over IPv6, Azure's host
// service, Alibaba, Oracle Classic and Scaleway, from their documentation.
var never = table(
	rows("a metadata address", "169.254.169.254/32", "fd00:ec2::/64", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128",
		"fd00:42::42/128", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"),
	rows("a link-local address", "169.254.0.0/16", "fe80::/10"),
	rows("a multicast address", "224.0.0.0/4", "ff00::/8"),
	rows("the broadcast address", "255.255.255.255/32"),
	rows("the unspecified address", "0.0.0.0/8", "::/128"),
)

// special are addresses that are not reachable in the public internet, or not meant
// to be: opened by the operator's list alone.
var special = table(
	rows("a loopback address", "127.0.0.0/8", "::1/128"),
	rows("a private address", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
	rows("a carrier-grade NAT address", "100.64.0.0/10"),                                     // RFC 6598
	rows("a documentation address", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),     // RFC 5737
	rows("a documentation address", "2001:db8::/32", "3fff::/20"),                            // RFC 3849, RFC 9637
	rows("a benchmarking address", "198.18.0.0/15", "2001:2::/48"),                           // RFC 2544, RFC 5180
	rows("a reserved address", "192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4", "2001::/23"), // RFC 6890, RFC 7526, RFC 2928
	rows("a local NAT64 address", "64:ff9b:1::/48"),                                          // RFC 8215
)

// embedded are the forms of IPv6 addresses that hold an IPv4 one, and where.
var embedded = []struct {
	prefix netip.Prefix
	at     int  // first of four bytes
	invert bool // Teredo stores the client's address with all bits turned
}{
	{netip.MustParsePrefix("::/96"), 12, false},           // IPv4-compatible, RFC 4291 section 2.5.5.1
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12, false}, // IPv4-translated, RFC 2765
	{netip.MustParsePrefix("64:ff9b::/96"), 12, false},    // NAT64, RFC 6052
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12, false},  // local NAT64 with a /96 inside, RFC 8215
	{netip.MustParsePrefix("2002::/16"), 2, false},        // 6to4, RFC 3056
	{netip.MustParsePrefix("2001::/32"), 4, false},        // Teredo's server, RFC 4380
	{netip.MustParsePrefix("2001::/32"), 12, true},        // Teredo's client
}

// globalUnicast is all that is handed out for the public IPv6 internet. Hosts with
// IPv6 alone reach public IPv4 servers through nat64.
var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
)

// readings returns addr in its plainest form and the IPv4 addresses inside it.
func readings(addr netip.Addr) []netip.Addr {
	addr = addr.Unmap().WithZone("")
	out := []netip.Addr{addr}
	if !addr.Is6() || addr.IsLoopback() || addr.IsUnspecified() {
		return out
	}
	bytes := addr.As16()
	add := func(at int, invert bool) {
		v4 := [4]byte(bytes[at : at+4])
		if invert {
			for i := range v4 {
				v4[i] = ^v4[i]
			}
		}
		out = append(out, netip.AddrFrom4(v4))
	}
	for _, e := range embedded {
		if e.prefix.Contains(addr) {
			add(e.at, e.invert)
		}
	}
	// ISATAP, RFC 5214 section 6.1: an interface identifier of 00-00-5E-FE (or
	// 02-00-5E-FE), then the IPv4 address, below any prefix.
	if bytes[8]&^2 == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe {
		add(12, false)
	}
	return out
}

// what names the row of rows that holds addr, or "".
func what(rows []rangeOf, addr netip.Addr) string {
	for _, r := range rows {
		if r.prefix.Contains(addr) {
			return r.what
		}
	}
	return ""
}

// closed says why one reading is not open to everybody, or "".
func closed(addr netip.Addr) string {
	if w := what(special, addr); w != "" {
		return w
	}
	if addr.Is6() && !globalUnicast.Contains(addr) && !nat64.Contains(addr) {
		return "an address outside the public internet"
	}
	return ""
}
