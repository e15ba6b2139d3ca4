package faultproxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/faultproxy"
	"github.com/mailhaul/mailhaul/test/servers"
)

// TestCertificatesAreJudgedEachForItsReason: in front of a real server, with what an
// operator may trust in an authority's place.
func TestCertificatesAreJudgedEachForItsReason(t *testing.T) {
	t.Parallel()
	server := servers.Dovecot(t, servers.DovecotConfig{})
	for name, x := range map[string]struct {
		host    string
		valid   time.Duration
		known   bool   // to the client's authorities
		version uint16 // the newest that the server speaks
		trust   func(pin string) migration.Trust
		code    migration.Code
		says    string
	}{
		"good":                {"127.0.0.1", time.Hour, true, 0, nil, "", ""},
		"TLS 1.2":             {"127.0.0.1", time.Hour, true, tls.VersionTLS12, nil, "", ""},
		"expired":             {"127.0.0.1", -time.Hour, true, 0, nil, migration.CertificateInvalid, "has expired"},
		"of another host":     {"other.example", time.Hour, true, 0, nil, migration.CertificateInvalid, "is for another host"},
		"self-signed":         {"127.0.0.1", time.Hour, false, 0, nil, migration.CertificateInvalid, "is self-signed"},
		"TLS 1.0":             {"127.0.0.1", time.Hour, true, tls.VersionTLS10, nil, migration.TLSFailed, "1.2 or later"},
		"pinned":              {"other.example", -time.Hour, false, 0, pinOf, "", ""},
		"another pin":         {"127.0.0.1", time.Hour, true, 0, otherPin, migration.CertificateInvalid, "is not the pinned one"},
		"any":                 {"other.example", -time.Hour, false, 0, anyOne, "", ""},
		"any, but no TLS 1.0": {"127.0.0.1", time.Hour, true, tls.VersionTLS10, anyOne, migration.TLSFailed, "1.2 or later"},
	} {
		t.Run(name, func(t *testing.T) {
			cert, pool, err := faultproxy.Certificate(x.host, x.valid)
			if err != nil {
				t.Fatal(err)
			}
			if !x.known {
				pool = x509.NewCertPool()
			}
			config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: x.version}
			pin := migration.PinOf(cert.Leaf.RawSubjectPublicKeyInfo)
			proxies := map[migration.Security]*faultproxy.Proxy{
				migration.TLS:      faultproxy.New(t, address(server.Port), faultproxy.Options{TLS: config}),
				migration.StartTLS: faultproxy.New(t, address(server.Port), faultproxy.Options{StartTLS: config}),
			}
			for security, proxy := range proxies {
				a := account(proxy.Port, migration.Source)
				a.Security = security
				if x.trust != nil {
					a.Trust = x.trust(pin)
				}
				err := run(t.Context(), a, imapmail.Options{TLS: &tls.Config{RootCAs: pool}}, stage{})
				var f *migration.Fault
				switch {
				case x.code == "" && err != nil:
					t.Errorf("%s: %v", security, err)
				case x.code == "":
				case !errors.As(err, &f) || f.Code != x.code || !strings.Contains(f.Reason, x.says):
					t.Errorf("%s: %v, want %s and %q", security, err, x.code, x.says)
				case x.code == migration.CertificateInvalid && !strings.Contains(f.Reason, pin):
					t.Errorf("%s: %q does not name the pin %s", security, f.Reason, pin)
				}
				if strings.Contains(proxy.Heard(), servers.Password) {
					t.Errorf("%s: the password was sent in the clear", security)
				}
			}
		})
	}
}

func pinOf(pin string) migration.Trust { return migration.Trust{TLSPin: pin} }

func otherPin(string) migration.Trust { return migration.Trust{TLSPin: strings.Repeat("0", 64)} }

func anyOne(string) migration.Trust { return migration.Trust{TLSInsecure: true} }

// TestSomebodyInBetweenGetsNoPassword strips STARTTLS, or puts words of its own before
// TLS begins.
func TestSomebodyInBetweenGetsNoPassword(t *testing.T) {
	t.Parallel()
	server := servers.Dovecot(t, servers.DovecotConfig{})
	cert, pool, err := faultproxy.Certificate("127.0.0.1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	for name, x := range map[string]struct {
		options  faultproxy.Options
		code     migration.Code
		patience time.Duration // where both wait for each other; else the usual minute
	}{
		"refused":            {faultproxy.Options{Faults: []faultproxy.Fault{{Kind: faultproxy.Answer, At: "STARTTLS", Words: "NO not today"}}}, migration.TLSFailed, 0},
		"unknown":            {faultproxy.Options{Faults: []faultproxy.Fault{{Kind: faultproxy.Answer, At: "STARTTLS", Words: "BAD what?"}}}, migration.TLSFailed, 0},
		"granted in words":   {faultproxy.Options{Faults: []faultproxy.Fault{{Kind: faultproxy.Answer, At: "STARTTLS", Words: "OK begin"}}}, migration.ConnectionFailed, time.Second},
		"logged in already":  {faultproxy.Options{Faults: []faultproxy.Fault{{Kind: faultproxy.Garbage, At: faultproxy.Greeting, Words: "* PREAUTH welcome\r\n"}}}, migration.ConnectionFailed, time.Second},
		"words before TLS":   {faultproxy.Options{StartTLS: config, Injected: "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nO2 OK you are in\r\n"}, "", time.Second},
		"nothing in between": {faultproxy.Options{StartTLS: config}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := faultproxy.New(t, address(server.Port), x.options)
			a := account(proxy.Port, migration.Source)
			a.Security = migration.StartTLS
			err := run(t.Context(), a, imapmail.Options{TLS: &tls.Config{RootCAs: pool}, Patience: x.patience}, stage{"LIST", migration.Source, stages()[2].do})
			var f *migration.Fault
			if x.code == "" && x.options.Injected == "" && err != nil {
				t.Errorf("%v", err)
			}
			if x.code != "" && (!errors.As(err, &f) || f.Code != x.code && f.Code != migration.TLSFailed) {
				t.Errorf("%v, want %s", err, x.code)
			}
			if heard := proxy.Heard(); strings.Contains(heard, servers.Password) || strings.Contains(heard, "LOGIN") || strings.Contains(heard, "AUTHENTICATE") {
				t.Errorf("heard in the clear: %q", heard)
			}
		})
	}
}

// TestSyncTakesAPin: the command line refuses, names the pin, and takes it.
func TestSyncTakesAPin(t *testing.T) {
	t.Parallel()
	server, target := servers.Dovecot(t, servers.DovecotConfig{}), servers.Dovecot(t, servers.DovecotConfig{})
	fill(t, server, 2)
	mailhaul := filepath.Join(t.TempDir(), "mailhaul")
	if out, err := exec.Command("go", "build", "-o", mailhaul, "../../cmd/mailhaul").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	sync := func(more ...string) (string, int) {
		cmd := exec.Command(mailhaul, append([]string{
			"sync", "--source", "imaps://" + user + "@" + address(server.TLSPort), "--target", "imap+plain://" + user + "@" + address(target.Port),
		}, more...)...)
		cmd.Env = append(cmd.Environ(), "MAILHAUL_SOURCE_PASSWORD="+servers.Password, "MAILHAUL_TARGET_PASSWORD="+servers.Password)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	out, code := sync()
	_, pin, found := strings.Cut(out, "its pin is ")
	if code != 10 || !found || len(pin) < 64 || !strings.Contains(out, "self-signed") {
		t.Fatalf("exit %d:\n%s", code, out)
	}
	if out, code := sync("--source-tls-pin", pin[:64]); code != 0 || !strings.Contains(out, "2 copied") {
		t.Errorf("with its pin: exit %d:\n%s", code, out)
	}
	if out, code := sync("--source-tls-pin", strings.Repeat("0", 64)); code != 10 || !strings.Contains(out, "not the pinned one") {
		t.Errorf("with another pin: exit %d:\n%s", code, out)
	}
	if out, code := sync("--source-tls-insecure"); code != 0 || !strings.Contains(out, "is not checked") {
		t.Errorf("with none: exit %d:\n%s", code, out)
	}
	if out, code := sync("--source-tls-pin", "x"); code != 2 || !strings.Contains(out, "SHA-256") {
		t.Errorf("with a word: exit %d:\n%s", code, out)
	}
	if out, code := sync("--target-tls-insecure"); code != 2 || !strings.Contains(out, "--target-tls-insecure need") {
		t.Errorf("without TLS: exit %d:\n%s", code, out)
	}
}
