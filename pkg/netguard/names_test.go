package netguard_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/netguard"
)

// wildcard is a name server like those of nip.io and sslip.io: it answers with the
// address that is in the name, and for rebind.example with other addresses by turns.
type wildcard struct {
	mu     sync.Mutex
	turns  []string
	asked  int
	server net.PacketConn
}

var inName = regexp.MustCompile(`(\d+)[.-](\d+)[.-](\d+)[.-](\d+)|([0-9a-f]{8})\.nip`)

func (w *wildcard) address(name string) netip.Addr {
	if name == "rebind.example" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked++
		return netip.MustParseAddr(w.turns[min(w.asked, len(w.turns))-1])
	}
	m := inName.FindStringSubmatch(name)
	if m == nil {
		return netip.Addr{}
	}
	if m[5] != "" {
		n, _ := strconv.ParseUint(m[5], 16, 32) // eight hexadecimal digits
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
	addr, _ := netip.ParseAddr(strings.Join(m[1:5], "."))
	return addr
}

func newWildcard(t *testing.T, turns ...string) *wildcard {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	w := &wildcard{server: server, turns: turns}
	go w.serve()
	return w
}

func (w *wildcard) serve() {
	buf := make([]byte, 512)
	for {
		n, from, err := w.server.ReadFrom(buf)
		if err != nil {
			return
		}
		// As in resolver: the question, then one answer that points to its name.
		end := 12 + bytes.IndexByte(buf[12:n], 0) + 5
		var labels []string
		for at := 12; buf[at] != 0; at += 1 + int(buf[at]) {
			labels = append(labels, string(buf[at+1:at+1+int(buf[at])]))
		}
		reply := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, buf[12:end]...)
		if buf[end-3] == 1 { // type A
			if addr := w.address(strings.ToLower(strings.Join(labels, "."))); addr.Is4() {
				reply[7] = 1
				reply = append(append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4), addr.AsSlice()...)
			}
		}
		_, _ = w.server.WriteTo(reply, from)
	}
}

func (w *wildcard) dialer(p netguard.Policy) *net.Dialer {
	d := p.Dialer()
	d.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", w.server.LocalAddr().String())
	}}
	return d
}

// TestNamesWithAnAddressInside: what nip.io and its like make of a name is refused as
// the address is.
func TestNamesWithAnAddressInside(t *testing.T) {
	w, port := newWildcard(t), listen(t)
	for _, name := range []string{
		"127.0.0.1.nip.io", "127-0-0-1.nip.io", "app.127.0.0.1.nip.io", "customer-127-0-0-1.nip.io", "7f000001.nip.io", "MAIL.127.0.0.1.NIP.IO",
		"10.0.0.1.sslip.io", "192-168-1-1.sslip.io", "www.172.16.0.1.sslip.io", "169.254.169.254.nip.io", "a9fea9fe.nip.io", "0.0.0.0.nip.io",
		"100-100-100-200.nip.io", "metadata.169-254-169-254.sslip.io", "127.0.0.1.nip.io.",
	} {
		c, err := w.dialer(netguard.Policy{}).DialContext(t.Context(), "tcp", net.JoinHostPort(name, port))
		var refused *netguard.Refusal
		if err == nil {
			_ = c.Close()
		}
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
}

// TestANameThatTurnsRound: it leads where it may when it is first looked at, and into
// the network afterwards.
func TestANameThatTurnsRound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// 127.0.0.1 stands for the public internet here, the rest of it for the network.
	w, p := newWildcard(t, "127.0.0.1", "127.0.0.2"), parse(t, "127.0.0.1/32")
	address := net.JoinHostPort("rebind.example", port)
	c, err := w.dialer(p).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("the first time: %v", err)
	}
	_ = c.Close()
	var refused *netguard.Refusal
	if _, err := w.dialer(p).DialContext(t.Context(), "tcp", address); !errors.As(err, &refused) || refused.Addr != netip.MustParseAddr("127.0.0.2") {
		t.Errorf("the second time: %v, want a refusal of 127.0.0.2", err)
	}
}
