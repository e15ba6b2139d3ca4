package netguard_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/netguard"
)

func parse(t *testing.T, allow string) netguard.Policy {
	t.Helper()
	p, err := netguard.Parse(allow)
	if err != nil {
		t.Fatalf("parse %q: %v", allow, err)
	}
	return p
}

func refusal(p netguard.Policy, addr string) *netguard.Refusal {
	var r *netguard.Refusal
	errors.As(p.Check(netip.MustParseAddr(addr)), &r)
	return r
}

// forms returns an IPv4 address in every form that IPv6 has for it.
func forms(v4 netip.Addr) []netip.Addr {
	b := v4.As4()
	at := func(prefix string, where int) netip.Addr {
		all := netip.MustParseAddr(prefix).As16()
		copy(all[where:], b[:])
		return netip.AddrFrom16(all)
	}
	teredo := netip.MustParseAddr("2001:0:808:808::").As16()
	for i := range b {
		teredo[12+i] = ^b[i]
	}
	return []netip.Addr{
		v4,
		at("::ffff:0:0", 12), at("::", 12), at("::ffff:0:0:0", 12),
		at("64:ff9b::", 12), at("64:ff9b:1::", 12),
		at("2002::1", 2), at("2002:0:0:1::5", 2),
		at("2001::f7f7:f7f7", 4), netip.AddrFrom16(teredo),
		at("2607:f8b0:4004:800::5efe:0:0", 12), at("2607:f8b0:4004:800:200:5efe:0:0", 12),
	}
}

var private = []string{
	"127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
	"100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "192.88.99.1", "240.0.0.1",
}

var private6 = []string{
	"::1", "0:0:0:0:0:0:0:1", "fc00::1", "fd12:3456:789a::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::1",
	"2001:db8::1", "3fff::1", "2001:2::1", "2001:10::1", "2001:20::1", "100::1", "5f00::1", "4000::1", "8000::1", "::8.8.8.8", "::ffff:0:8.8.8.8",
}

var closedAlways = []string{
	"169.254.169.254", "169.254.0.1", "169.254.170.2", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "255.255.255.255",
	"100.100.100.200", "168.63.129.16", "192.0.0.192",
}

var closedAlways6 = []string{
	"fe80::1", "fe80::1%eth0", "febf::1", "ff02::1", "ff0e::1", "::", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42", "fd00:c1::a9fe:a9fe",
}

var public = []string{
	"8.8.8.8", "1.1.1.1", "11.0.0.1", "9.255.255.255", "172.15.255.255", "172.32.0.1", "192.167.255.255", "192.169.0.1", "100.63.255.255", "100.128.0.1",
	"169.253.255.255", "169.255.0.1", "126.255.255.255", "128.0.0.1", "223.255.255.255",
}

func TestPublicInternetAlone(t *testing.T) {
	var strict netguard.Policy
	for _, v4 := range private {
		for _, form := range forms(netip.MustParseAddr(v4)) {
			if r := refusal(strict, form.String()); r == nil || r.Always {
				t.Errorf("%s as %s: got %+v, want a refusal that the setting can lift", v4, form, r)
			}
		}
	}
	for _, v6 := range private6 {
		if r := refusal(strict, v6); r == nil {
			t.Errorf("%s passes", v6)
		}
	}
	for _, addr := range append(public, "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2607:f8b0:4004:800::200e", "2a00:1450:4001:82b::200e", "2400:cb00::1") {
		if r := refusal(strict, addr); r != nil {
			t.Errorf("public address %s: %v", addr, r)
		}
	}
}

func TestNeverOpened(t *testing.T) {
	for _, allow := range []string{"", "true", "0.0.0.0/0,::/0", "169.254.0.0/16 fe80::/10 fd00::/8 100.64.0.0/10 0.0.0.0/8"} {
		p := parse(t, allow)
		for _, v4 := range closedAlways {
			for _, form := range forms(netip.MustParseAddr(v4)) {
				if r := refusal(p, form.String()); r == nil {
					t.Errorf("with %q, %s as %s passes", allow, v4, form)
				}
			}
		}
		for _, v6 := range closedAlways6 {
			if r := refusal(p, v6); r == nil || !r.Always {
				t.Errorf("with %q, %s: got %+v", allow, v6, r)
			}
		}
	}
}

func TestTheListOpens(t *testing.T) {
	for _, tc := range []struct{ allow, opens, leaves string }{
		{"true", "127.0.0.1 ::1 10.1.2.3 fd00::1 ::ffff:192.168.1.1 64:ff9b::10.1.2.3 100.64.1.1 8.8.8.8", "169.254.169.254 ff02::1"},
		{"127.0.0.0/8", "127.0.0.1 127.9.9.9 ::ffff:127.0.0.1 8.8.8.8", "::1 10.0.0.1 0.0.0.0"},
		{"10.0.0.0/8, 192.168.7.0/24", "10.1.2.3 192.168.7.1 ::ffff:10.1.2.3 64:ff9b::10.1.2.3 2002:a01:203::1", "192.168.8.1 127.0.0.1"},
		{"10.1.2.3", "10.1.2.3", "10.1.2.4"},
		{"::1", "::1", "127.0.0.1 ::127.0.0.1"},
		{"fd00::/8", "fd12::1", "fc00::1 fd00:ec2::254"},
		{"::ffff:10.0.0.0/104", "10.9.9.9", "127.0.0.1"},
		{"10.1.2.3/8", "10.200.0.1", "127.0.0.1"},
	} {
		p := parse(t, tc.allow)
		for _, addr := range strings.Fields(tc.opens) {
			if r := refusal(p, addr); r != nil {
				t.Errorf("with %q: %v", tc.allow, r)
			}
		}
		for _, addr := range strings.Fields(tc.leaves) {
			if r := refusal(p, addr); r == nil {
				t.Errorf("with %q, %s passes", tc.allow, addr)
			}
		}
	}
}

func TestParseRefusesWhatItCannotRead(t *testing.T) {
	for _, bad := range []string{"yes please", "10.0.0.0/33", "10.0.0/8", "private", "10.0.0.0/8,,x", "::ffff:10.0.0.0/40", "010.0.0.0/8"} {
		if _, err := netguard.Parse(bad); err == nil || !strings.Contains(err.Error(), netguard.Setting) {
			t.Errorf("parse %q: got %v, want an error that names the setting", bad, err)
		}
	}
	for _, strict := range []string{"", "false", "False", " "} {
		if r := refusal(parse(t, strict), "127.0.0.1"); r == nil {
			t.Errorf("%q opens 127.0.0.1", strict)
		}
	}
}

// No form of an IPv4 address passes where the address itself does not.
func TestFormsAreNoWayRound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		allow := rapid.SampledFrom([]string{"", "true", "10.0.0.0/8", "127.0.0.0/8,100.64.0.0/10"}).Draw(t, "allow")
		p, err := netguard.Parse(allow)
		if err != nil {
			t.Fatal(err)
		}
		b := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "bytes")
		if rapid.Bool().Draw(t, "special") {
			near := netip.MustParseAddr(rapid.SampledFrom(append(private, closedAlways...)).Draw(t, "near")).As4()
			copy(b, near[:2])
		}
		v4 := netip.AddrFrom4([4]byte(b))
		refused := p.Check(v4) != nil
		for _, form := range forms(v4) {
			if form == netip.IPv6Loopback() {
				continue // what would be 0.0.0.1 is an address of its own
			}
			if refused && p.Check(form) == nil {
				t.Fatalf("with %q, %s is refused, but passes as %s", allow, v4, form)
			}
		}
	})
}

func listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Spellings are judged by where they lead.
func TestDialIsGuardedWhereItConnects(t *testing.T) {
	port := listen(t)
	for _, host := range []string{"127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:127.0.0.1", "0.0.0.0", "::", ""} {
		address := net.JoinHostPort(host, port)
		conn, err := netguard.Policy{}.DialContext(context.Background(), "tcp", address)
		var fault *migration.Fault
		switch {
		case err == nil:
			_ = conn.Close()
			t.Errorf("%q was connected to", address)
		case !errors.As(err, &fault) || fault.Code != migration.ConnectionFailed || fault.Scope != migration.ScopeEndpoint:
			t.Errorf("%q: got %v, want Fault{ConnectionFailed, endpoint}", address, err)
		}
	}
	for _, host := range []string{"127.0.0.1", "::ffff:127.0.0.1"} {
		conn, err := parse(t, "127.0.0.0/8,::1").DialContext(context.Background(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Errorf("allowed, yet: %v", err)
			continue
		}
		_ = conn.Close()
	}
}

// resolver answers every question for an IPv4 address with 127.0.0.1.
func resolver(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			// RFC 1035 section 4.1: header and question come back, without what EDNS
			// added; the name ends with a zero byte before type and class.
			end := 12 + bytes.IndexByte(buf[12:n], 0) + 5
			reply := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, buf[12:end]...)
			if buf[end-3] == 1 { // type A
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
			}
			_, _ = server.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// A name is judged by what it resolves to at the moment of connecting.
func TestNamesAreJudgedByTheirAddress(t *testing.T) {
	address := net.JoinHostPort("mail.example.com", listen(t))
	dialer := netguard.Policy{}.Dialer()
	dialer.Resolver = resolver(t)
	_, err := dialer.DialContext(context.Background(), "tcp", address)
	var refused *netguard.Refusal
	if !errors.As(err, &refused) || refused.Addr != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("got %v, want a refusal of 127.0.0.1", err)
	}
	dialer = parse(t, "127.0.0.0/8").Dialer()
	dialer.Resolver = resolver(t)
	conn, err := dialer.DialContext(context.Background(), "tcp", address)
	if err != nil {
		t.Fatalf("allowed, yet: %v", err)
	}
	_ = conn.Close()
}

func TestRefusalNamesTheSetting(t *testing.T) {
	_, err := netguard.Policy{}.DialContext(context.Background(), "tcp", "127.0.0.1:143")
	if err == nil || !strings.Contains(err.Error(), netguard.Setting) || !strings.Contains(err.Error(), "a loopback address") {
		t.Errorf("got %v", err)
	}
	_, err = parse(t, "true").DialContext(context.Background(), "tcp", "169.254.169.254:80")
	if err == nil || strings.Contains(err.Error(), netguard.Setting) || !strings.Contains(err.Error(), "never allowed") {
		t.Errorf("got %v", err)
	}
}

func TestOtherNetworksAreRefused(t *testing.T) {
	if err := parse(t, "true").Control("unix", "/run/docker.sock", nil); err == nil {
		t.Error("a unix socket passes")
	}
	if err := parse(t, "true").Control("ip4:1", "127.0.0.1", nil); err == nil {
		t.Error("a raw socket passes")
	}
	if err := (netguard.Policy{}).Control("udp4", "10.0.0.1:53", nil); err == nil {
		t.Error("a private resolver passes")
	}
}
