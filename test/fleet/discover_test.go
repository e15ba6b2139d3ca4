package fleet_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/canary"
	"github.com/mailhaul/mailhaul/test/nameserver"
	"github.com/mailhaul/mailhaul/test/servers"
)

// TestDiscover: from an address to an endpoint, by a real server of DNS and a real mail
// server whose certificate is checked.
func TestDiscover(t *testing.T) {
	t.Parallel()
	dns, imap := nameserver.Start(t), servers.Dovecot(t, servers.DovecotConfig{})
	dns.MX("example.test", 10, "aspmx.example.test.")
	dns.SRV("_imaps._tcp.example.test", 10, 0, imap.TLSPort, "imap.example.test.") // a name that leads nowhere
	dns.SRV("_imaps._tcp.example.test", 20, 0, imap.Port, "localhost.")            // speaks no TLS there
	dns.SRV("_imaps._tcp.example.test", 30, 0, imap.TLSPort, "localhost.")
	s := &service{t: t, dir: t.TempDir(), redis: servers.Redis(t), key: vault.GenerateKey(), bootstrap: canary.Secret("token")}
	s.token, s.database = s.bootstrap, filepath.Join(s.dir, "mailhaul.db")
	s.start("api", "MAILHAUL_RESOLVER="+dns.Addr(), "SSL_CERT_FILE="+filepath.Join(filepath.Dir(imap.Log), "cert.pem"))

	var d client.Discovery
	out := s.cli("endpoint", "discover", "ann@example.test", "--output", "json")
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	last := d.Stages[len(d.Stages)-1]
	if d.Host != "localhost" || d.Port != imap.TLSPort || d.Security != "tls" || !d.Unproven || last.Name != "CAPABILITY" || !last.OK {
		t.Errorf("found: %s", out)
	}
	for i, want := range []struct{ asked, test string }{
		{"is example.test a provider's own domain", ""},
		{"MX example.test", ""},
		{"SRV _imaps._tcp.example.test", "DNS failed"},
		{"SRV _imaps._tcp.example.test", "TLS failed"},
		{"SRV _imaps._tcp.example.test", "passed"},
	} {
		if i >= len(d.Steps) || d.Steps[i].Asked != want.asked || !strings.HasPrefix(d.Steps[i].Test, want.test) || (d.Steps[i].Test == "") != (want.test == "") {
			t.Fatalf("step %d is not %+v: %s", i, want, out)
		}
	}
	if out, code := s.try("endpoint", "create", "old", "--address", "ann@example.test"); code != 1 || !strings.Contains(out, "--confirm localhost") {
		t.Errorf("a host that DNS alone names: exit code %d: %s", code, out)
	}
	s.cli("endpoint", "create", "old", "--address", "ann@example.test", "--confirm", "localhost")
	var e client.Endpoint
	if err := json.Unmarshal([]byte(s.cli("endpoint", "get", "old", "--output", "json")), &e); err != nil || e.Host != "localhost" || e.Port != imap.TLSPort {
		t.Errorf("the endpoint: %+v, %v", e, err)
	}
	if out, code := s.try("endpoint", "discover", "ann@nowhere.test"); code != 1 || !strings.Contains(out, "give --host") {
		t.Errorf("a domain that is not there: exit code %d: %s", code, out)
	}
	if out, code := s.try("endpoint", "create", "two", "--address", "ann@example.test", "--host", "localhost"); code != 2 {
		t.Errorf("address and host: exit code %d: %s", code, out)
	}
	if n := dns.Asked(); n["_imaps._tcp.nowhere.test"] == 0 {
		t.Errorf("the resolver was not asked: %v", n)
	}
}
