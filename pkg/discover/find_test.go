package discover_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/discover"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/netguard"
	"github.com/mailhaul/mailhaul/test/nameserver"
)

// world is a server of DNS and a web server on loopback; the finder's own connections
// go through the guard of networks, and port 443 is the web server's.
type world struct {
	dns    *nameserver.Server
	pages  map[string]http.HandlerFunc // by host and path
	seen   atomic.Int64                // requests
	config discover.Config
}

const domain = "example.test"

// webHosts have a certificate, and an address where the test gives them one.
var webHosts = []string{domain, "autoconfig." + domain, "config.hoster.test"}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dns: nameserver.Start(t), pages: map[string]http.HandlerFunc{}}
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.seen.Add(1)
		if page := w.pages[r.Host+r.URL.Path]; page != nil {
			page(rw, r)
			return
		}
		http.NotFound(rw, r)
	}))
	certificate, roots := certify(t, webHosts...)
	web.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	policy, err := netguard.Parse("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	w.config = discover.Config{
		Resolver: w.dns.Addr(), Roots: roots,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "127.0.0.1:443" {
				address = web.Listener.Addr().String()
			}
			return policy.DialContext(ctx, network, address)
		},
		Presets: discover.Presets{
			OfDomain: func(d string) (discover.Server, bool) {
				return discover.Server{Preset: "big", Host: "imap.big.test", Port: 993, Security: migration.TLS, Login: discover.LocalPart}, d == "big.test"
			},
			OfExchanger: func(host string) (discover.Server, string, bool) {
				return discover.Server{Preset: "big", Host: "imap.big.test", Port: 993, Security: migration.TLS}, "*.mx.big.test", strings.HasSuffix(host, ".mx.big.test")
			},
			OfHost: func(host string) string {
				if host == "imap.big.test" {
					return "big"
				}
				return ""
			},
		},
	}
	return w
}

func (w *world) web(hosts ...string) {
	for _, h := range hosts {
		w.dns.A(h, "127.0.0.1")
	}
}

// steps are all answers, one line each.
func (w *world) steps(t *testing.T, address string) []string {
	t.Helper()
	a, err := discover.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for s := range discover.New(w.config).Steps(t.Context(), discover.Question{Address: a}) {
		line := s.Asked + ": " + s.Said
		if v := s.Server; v != nil {
			line += fmt.Sprintf(" => %s %s:%d %s as %s", v.Preset, v.Host, v.Port, v.Security, v.UserName)
			if v.Unproven {
				line += ", unproven"
			}
			if v.Auth != "" {
				line += " by " + v.Auth
			}
		}
		out = append(out, line+";")
	}
	return out
}

// holds fails the test unless each text is in a line of its own, in this order.
func holds(t *testing.T, lines []string, texts ...string) {
	t.Helper()
	rest := lines
	for _, text := range texts {
		found := false
		for i, line := range rest {
			if found = strings.Contains(line, text); found {
				rest = rest[i+1:]
				break
			}
		}
		if !found {
			t.Errorf("no line, or not in this place: %s\nin:\n  %s", text, strings.Join(lines, "\n  "))
		}
	}
}

func certify(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: names, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestAProvidersDomainNeedsNoQuestion(t *testing.T) {
	w := newWorld(t)
	a, err := discover.ParseAddress("ann@Big.test.")
	if err != nil {
		t.Fatal(err)
	}
	named := false
	for s := range discover.New(w.config).Steps(t.Context(), discover.Question{Address: a}) {
		named = true
		if s.Server == nil || s.Server.Host != "imap.big.test" || s.Server.UserName != "ann" || s.Server.Unproven {
			t.Errorf("%+v", s)
		}
		break // content
	}
	if n := w.dns.Asked(); len(n) != 0 || !named {
		t.Errorf("asked: %v, a server was named: %v", n, named)
	}
}

func TestExchangersAndServices(t *testing.T) {
	w := newWorld(t)
	w.dns.MX(domain, 10, "mx1.filter.test.")
	w.dns.MX(domain, 20, "a.mx.big.test.")
	w.dns.SRV("_imaps._tcp."+domain, 20, 1, 9930, "other.hoster.test.")
	w.dns.SRV("_imaps._tcp."+domain, 10, 1, 993, "Mail."+domain+".")
	w.dns.SRV("_imaps._tcp."+domain, 30, 1, 993, "imap.big.test.")
	w.dns.SRV("_imap._tcp."+domain, 0, 0, 0, ".")
	w.dns.A("imap."+domain, "127.0.0.1")
	got := w.steps(t, "ann@"+domain)
	holds(t, got,
		"own domain: no",
		"MX example.test: a.mx.big.test is *.mx.big.test: preset big => big imap.big.test:993 tls as ann@example.test",
		"SRV _imaps._tcp.example.test: mail.example.test:993 (priority 10, weight 1) =>  mail.example.test:993 tls as ann@example.test",
		"=>  other.hoster.test:9930 tls as ann@example.test, unproven",
		"=> big imap.big.test:993 tls as ann@example.test",
		"SRV _imap._tcp.example.test: not offered",
		"guess mail.example.test: no such name",
		"guess imap.example.test: there is such a name: port 993, tls =>  imap.example.test:993 tls",
		"guess imap.example.test: there is such a name: port 143, starttls =>  imap.example.test:143 starttls",
	)
	for _, line := range got {
		if strings.Contains(line, "mail.example.test:993") && strings.Contains(line, "unproven") || strings.Contains(line, "imap.big.test") && strings.Contains(line, "unproven") {
			t.Errorf("proven by its certificate, or by our table: %s", line)
		}
	}
}

// TestADomainWithoutIMAP: its word is taken, and nothing is guessed.
func TestADomainWithoutIMAP(t *testing.T) {
	w := newWorld(t)
	w.dns.MX(domain, 0, ".")
	w.dns.SRV("_imaps._tcp."+domain, 0, 0, 0, ".")
	w.dns.SRV("_imap._tcp."+domain, 0, 0, 0, "mail."+domain)
	w.dns.A("imap."+domain, "127.0.0.1")
	got := w.steps(t, "ann@"+domain)
	holds(t, got, "takes no mail", "_imaps._tcp.example.test: not offered", "_imap._tcp.example.test: mail.example.test:0 (priority 0, weight 0): no port", "nothing is guessed")
	if strings.Contains(strings.Join(got, "\n"), "=>") {
		t.Errorf("a server was named: %q", got)
	}
}

const good = `<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="example.test">
	<incomingServer type="pop3"><hostname>pop.hoster.test</hostname><port>995</port><socketType>SSL</socketType></incomingServer>
	<incomingServer type="imap"><hostname>plain.hoster.test</hostname><port>143</port><socketType>plain</socketType></incomingServer>
	<incomingServer type="imap"><hostname>%EMAILDOMAIN%.hoster.test</hostname><port>993</port><socketType>SSL</socketType><username>%EMAILLOCALPART%</username>
		<authentication>password-cleartext</authentication></incomingServer>
	<incomingServer type="imap"><hostname>b.hoster.test</hostname><port>143</port><socketType>STARTTLS</socketType><username>%EMAILLOCALPART%@realm</username></incomingServer>
	</emailProvider></clientConfig>`

func answers(text string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, text) }
}

// endless goes on until nobody takes it any more.
func endless(rw http.ResponseWriter, _ *http.Request) {
	for _, err := io.WriteString(rw, "<clientConfig>"); err == nil; {
		_, err = io.WriteString(rw, "<emailProvider></emailProvider>")
	}
}

func TestAutoconfig(t *testing.T) {
	w := newWorld(t)
	w.web(webHosts...)
	var query string
	w.pages["autoconfig."+domain+"/mail/config-v1.1.xml"] = func(rw http.ResponseWriter, r *http.Request) {
		query = r.URL.Query().Get("emailaddress")
		http.Redirect(rw, r, "https://config.hoster.test/c.xml", http.StatusFound)
	}
	w.pages["config.hoster.test/c.xml"] = answers(good)
	w.pages[domain+"/.well-known/autoconfig/mail/config-v1.1.xml"] = answers(strings.ReplaceAll(good, "<authentication>password-cleartext", "<authentication>OAuth2"))
	got := w.steps(t, "ann+x@"+domain)
	holds(t, got,
		"https://autoconfig.example.test/mail/config-v1.1.xml: example.test.hoster.test:993, tls, login: local part =>  example.test.hoster.test:993 tls as ann+x;",
		"b.hoster.test:143 starttls as ann+x@realm",
		"https://example.test/.well-known/autoconfig/mail/config-v1.1.xml: example.test.hoster.test:993, tls, login: local part =>  example.test.hoster.test:993 tls as ann+x by xoauth2;",
	)
	text := strings.Join(got, "\n")
	if query != "ann+x@"+domain || strings.Contains(text, "plain.hoster") || strings.Contains(text, "pop.hoster") || strings.Contains(text, "unproven") {
		t.Errorf("asked for %q; a server without TLS, or of another kind, or doubt in what came over HTTPS:\n%s", query, text)
	}
}

// TestAutoconfigThatMeansHarm: each answer is told for what it is, names no server, and
// leads nowhere.
func TestAutoconfigThatMeansHarm(t *testing.T) {
	for name, tc := range map[string]struct {
		page http.HandlerFunc
		want string
	}{
		"not found":       {http.NotFound, "HTTP status 404"},
		"no XML":          {answers("<!DOCTYPE html><p>Welcome to our"), "the answer is no configuration"},
		"another XML":     {answers("<rss/>"), "the answer is no configuration"},
		"huge":            {endless, "the answer is longer than 65536 bytes"},
		"an entity":       {answers(`<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/passwd">]><clientConfig><emailProvider><incomingServer type="imap"><hostname>&x;</hostname><port>993</port><socketType>SSL</socketType></incomingServer></emailProvider></clientConfig>`), "the answer is no configuration"},
		"no TLS":          {answers(strings.NewReplacer("SSL", "plain", "STARTTLS", "plain").Replace(good)), "its IMAP servers have no TLS"},
		"no IMAP":         {answers(strings.ReplaceAll(good, `"imap"`, `"pop3"`)), "it names no IMAP server"},
		"nothing":         {answers("<clientConfig/>"), "it names no server"},
		"plain HTTP":      {http.RedirectHandler("http://"+domain+"/x", http.StatusFound).ServeHTTP, "it leads to plain HTTP"},
		"round and round": {http.RedirectHandler("https://autoconfig."+domain+"/mail/config-v1.1.xml", http.StatusFound).ServeHTTP, "it leads on more than 3 times"},
		"metadata":        {http.RedirectHandler("https://169.254.169.254/latest", http.StatusFound).ServeHTTP, "169.254.169.254: it is a metadata address, which is never allowed"},
		"a lying name":    {http.RedirectHandler("https://inside.hoster.test/", http.StatusFound).ServeHTTP, "10.0.0.7: it is a private address"},
		"another's name":  {http.RedirectHandler("https://wrong.hoster.test/", http.StatusFound).ServeHTTP, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.web("autoconfig."+domain, "wrong.hoster.test")
			w.dns.A("inside.hoster.test", "10.0.0.7")
			w.pages["autoconfig."+domain+"/mail/config-v1.1.xml"] = tc.page
			got := w.steps(t, "ann@"+domain)
			text := strings.Join(got, "\n")
			if !strings.Contains(text, tc.want) || strings.Contains(text, "=>") || strings.Contains(text, "?emailaddress") {
				t.Errorf("want %q and no server in:\n%s", tc.want, text)
			}
			if n := w.seen.Load(); n > 4 {
				t.Errorf("%d requests were made", n)
			}
		})
	}
}

// TestResolvers: who may not be asked is not, and who does not answer is not waited for.
func TestResolvers(t *testing.T) {
	w := newWorld(t)
	w.dns.SRV("_imaps._tcp."+domain, 0, 0, 993, "mail."+domain)
	w.config.Dial = netguard.Policy{}.DialContext
	got := w.steps(t, "ann@"+domain)
	if text := strings.Join(got, "\n"); !strings.Contains(text, netguard.Setting) || strings.Contains(text, "=>") || len(w.dns.Asked()) != 0 {
		t.Errorf("a resolver on loopback was asked %v:\n%s", w.dns.Asked(), text)
	}
	w = newWorld(t)
	silent := nameserver.Silent(t)
	w.config.Resolver, w.config.Patience = silent.Addr(), 20*time.Millisecond
	got = w.steps(t, "ann@"+domain)
	holds(t, got, "MX example.test: no answer in time", "SRV _imaps._tcp.example.test: no answer in time", "https://autoconfig.example.test/mail/config-v1.1.xml: no answer in time", "guess imap.example.test: no answer in time")
	if len(w.dns.Asked()) != 0 {
		t.Error("another resolver was asked")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	a, _ := discover.ParseAddress("ann@" + domain)
	for s := range discover.New(w.config).Steps(ended, discover.Question{Address: a}) {
		t.Errorf("after its end: %+v", s)
	}
}

func TestAddressesAndResolversAreRead(t *testing.T) {
	for in, ok := range map[string]bool{
		"ann@example.org": true, "a@b@example.org": true, "ann@xn--bcher-kva.example": true, "ann@EXAMPLE.org.": true,
		"": false, "ann": false, "@example.org": false, "ann@": false, "ann@localhost": false, "ann@127.0.0.1": false, "ann@[127.0.0.1]": false,
		"ann@exa mple.org": false, "ann@bücher.example": false, "ann@example..org": false, "an\nn@example.org": false, "Ann <ann@example.org>": false,
		"ann@example.org:993": false, "ann@example.org/x": false, strings.Repeat("a", 65) + "@example.org": false, "ann@" + strings.Repeat("a.", 130) + "org": false,
	} {
		if _, err := discover.ParseAddress(in); (err == nil) != ok {
			t.Errorf("address %q: %v", in, err)
		}
	}
	for in, want := range map[string]string{
		"": "", "192.0.2.53": "192.0.2.53:53", "192.0.2.53:5353": "192.0.2.53:5353", "2001:db8::53": "[2001:db8::53]:53", "[2001:db8::53]:54": "[2001:db8::53]:54",
		"dns.example.org": "error", "192.0.2.53:0": "error", "192.0.2.53:x": "error",
	} {
		got, err := discover.ParseResolver(in)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("resolver %q: %q, want %q", in, got, want)
		}
	}
}
