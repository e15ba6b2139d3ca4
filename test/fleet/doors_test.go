package fleet_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/netguard"
	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/canary"
	"github.com/mailhaul/mailhaul/test/servers"
)

// spellings are ways to write addresses that lead into the operator's own network, or
// to the machine itself. Names that only a resolver knows are in pkg/netguard.
var spellings = strings.Fields(`
	127.0.0.1 127.0.0.1. 127.0.0.2 127.0.1.1 127.1.1.1 127.9.9.9 127.255.255.254 127.1 127.0.1 127.00.0.1 127.0.0.01 127.000.000.001
	127.0.0.1.. .127.0.0.1 127..1 0127.0.0.1 0177.0.0.1 0177.0.0.01 0177.1 0177.0x0.0.1 00177.0.0.1 017700000001 0o177.0.0.1
	2130706433 02130706433 2130706433. 21307064330 0x7f000001 0X7F000001 0x7f.0.0.1 0x7F.0x0.0x0.0x1 0x7f.1 0x7f.0.1 0x7f0000000000001
	0x100000000000000007f000001 4294967297 0 0.0 0.0.0.0 0.0.0.1 0x0 00 000.000.000.000 0.0.0.0.
	localhost LOCALHOST LocalHost localhost. localhost..
	１２７.０.０.１ 127。0。0。1 ①②⑦.⓪.⓪.① ⑫⑦.0.0.1 127．0．0．1 ｌｏｃａｌｈｏｓｔ ⓛocalhost lοcalhost
	::1 0:0:0:0:0:0:0:1 0000:0000:0000:0000:0000:0000:0000:0001 ::01 ::0001 0::1 ::0:1 ::1%lo ::1%1 [::1] [::1]. ::1. [::] :: 0:0:0:0:0:0:0:0 ::%lo ::0.0.0.0
	::ffff:127.0.0.1 ::FFFF:127.0.0.1 ::ffff:7f00:1 ::ffff:7f00:0001 0:0:0:0:0:ffff:127.0.0.1 0:0:0:0:0:FFFF:7F00:1 ::ffff:0:127.0.0.1
	::ffff:127.1 ::ffff:0x7f.0.0.1 ::ffff:2130706433 [::ffff:127.0.0.1] ::ffff:127.0.0.1%lo ::ffff:0.0.0.0 ::127.0.0.1 ::7f00:1
	64:ff9b::127.0.0.1 64:ff9b::7f00:1 64:FF9B::7F00:1 64:ff9b:1::127.0.0.1 64:ff9b::a00:1 64:ff9b::169.254.169.254 64:ff9b:1::c0a8:1
	2002:7f00:1:: 2002:7f00:1::1 2002:7f00:0001:0:0:0:0:1 2002:a00:1:: 2002:c0a8:101:: 2002:a9fe:a9fe::
	2001:0:7f00:1:: 2001:0:808:808::80ff:fffe 2607:f8b0:4004:800::5efe:7f00:1 2607:f8b0:4004:800:200:5efe:127.0.0.1
	10.0.0.1 10.1 10.255.255.255 167772161 012.0.0.1 0xa.0.0.1 172.16.0.1 172.31.255.255 172.16.1 192.168.0.1 192.168.1 192.168.1.1. 3232235777 0xc0a80101 0300.0250.1.1
	100.64.0.1 100.127.255.254 198.18.0.1 192.0.0.1 240.0.0.1 255.255.255.255 224.0.0.1 ff02::1 ff02::1%lo
	169.254.169.254 169.254.169.254. 169.254.43518 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.170.2 169.254.0.1 ::ffff:169.254.169.254 ::ffff:a9fe:a9fe
	100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%lo fe80::1%eth0 fe80::a9fe:a9fe fc00::1 fd12:3456::1 fec0::1
	127.0.0.1/8 127.0.0.1:80 127.0.0.1%00 127.0.0.1%20 127.0.0.1#x user@127.0.0.1 http://127.0.0.1 //127.0.0.1 127.0.0.1\n127.0.0.1 127.0.0.1,8.8.8.8
`)

// trap listens wherever this machine can be reached, and counts who comes.
type trap struct {
	port  int
	count atomic.Int64
}

func newTrap(t *testing.T) *trap {
	t.Helper()
	l, err := net.Listen("tcp", ":0") // also over IPv6, where there is any
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	out := &trap{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			out.count.Add(1)
			_, _ = io.WriteString(c, "* OK come in\r\n")
			_ = c.Close()
		}
	}()
	return out
}

// TestDoors: whatever spelling an endpoint has, the API connects to nothing in the
// operator's network, and says why. Both of Go's resolvers try: the system's reads
// numbers as addresses.
func TestDoors(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range spellings {
		seen[s] = true
	}
	if len(seen) < 120 {
		t.Fatalf("only %d spellings", len(seen))
	}
	trap := newTrap(t)
	for _, host := range []string{"127.0.0.1", "127.9.9.9", "localhost"} {
		c, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(trap.port)))
		if err != nil {
			t.Fatalf("nobody would be noticed at %s: %v", host, err)
		}
		_, _ = io.ReadAll(c)
		_ = c.Close()
	}
	mine := trap.count.Load()
	for _, resolver := range []string{"netdns=go", "netdns=cgo"} {
		s := &service{t: t, dir: t.TempDir(), redis: servers.Redis(t), key: vault.GenerateKey(), bootstrap: canary.Secret("token")}
		s.token, s.database = s.bootstrap, s.dir+"/mailhaul.db"
		s.start("api", "MAILHAUL_ALLOW_PRIVATE_NETWORKS=", "GODEBUG="+resolver)
		s.knock(trap.port)
	}
	if n := trap.count.Load() - mine; n != 0 {
		t.Errorf("%d connections were made", n)
	}
	// That the trap would have told: the same with the networks open.
	s := &service{t: t, dir: t.TempDir(), redis: servers.Redis(t), key: vault.GenerateKey(), bootstrap: canary.Secret("token")}
	s.token, s.database = s.bootstrap, s.dir+"/mailhaul.db"
	s.start("api", "MAILHAUL_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8")
	for _, host := range []string{"127.0.0.1", "127.0.0.1.", "127.9.9.9", "localhost", "::ffff:127.0.0.1"} {
		if n := trap.count.Load(); s.post("/endpoints", endpointAt("open", host, trap.port)) == nil || trap.count.Load() == n {
			t.Errorf("%s was not connected to where it may be", host)
		}
	}
	t.Logf("%d spellings, each to be created and to be tested, by two resolvers", len(seen))
}

// knock has an endpoint of each spelling created, and one tested that was created
// without a test.
func (s *service) knock(port int) {
	s.t.Helper()
	var all sync.WaitGroup
	turns := make(chan struct{}, 8)
	for i, host := range spellings {
		host = strings.ReplaceAll(host, `\n`, "\n")
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			s.refuses("create", host, s.post("/endpoints", endpointAt(fmt.Sprint("a", i), host, port)))
			name := fmt.Sprint("b", i)
			if p := s.post("/endpoints?skipTest=true", endpointAt(name, host, port)); p != nil {
				s.refuses("create without a test", host, p)
				return
			}
			s.refuses("test", host, s.post("/endpoints/"+name+"/test", ""))
		})
	}
	all.Wait()
}

func endpointAt(name, host string, port int) string {
	body, _ := json.Marshal(map[string]any{"name": name, "host": host, "port": port, "security": "none"}) // of strings and a number
	return string(body)
}

// refusal is a problem, or the result of a test.
type refusal struct {
	Status       int
	Code, Detail string
	OK           bool
	Stages       []struct{ Code, Detail string }
}

// post returns what was answered; nil where something was made.
func (s *service) post(path, body string) *refusal {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.api+"/v1/orgs/default"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusCreated {
		return nil
	}
	out := &refusal{}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		s.t.Errorf("POST %s: %d: %v", path, res.StatusCode, err)
	}
	out.Status = res.StatusCode
	if n := len(out.Stages); out.Status == http.StatusOK && n > 0 {
		out.Code, out.Detail = out.Stages[n-1].Code, out.Stages[n-1].Detail
	}
	return out
}

// refuses fails the test unless an answer says that the host is none, or may not be
// connected to.
func (s *service) refuses(what, host string, p *refusal) {
	s.t.Helper()
	if p == nil {
		s.t.Errorf("%s %q: it is taken", what, host)
		return
	}
	clear := p.Code == "ConnectionFailed" && (strings.Contains(p.Detail, netguard.Setting) || strings.Contains(p.Detail, "never allowed")) ||
		p.Code == "InvalidArgument" && strings.Contains(p.Detail, "host ")
	if p.OK || !clear || p.Status != http.StatusUnprocessableEntity && (what != "test" || p.Status != http.StatusOK) {
		s.t.Errorf("%s %q: %d %s: %s", what, host, p.Status, p.Code, p.Detail)
	}
}
