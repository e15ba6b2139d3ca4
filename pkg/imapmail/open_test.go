package imapmail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

func dovecotAccount(s *servers.IMAP, user string) Account {
	return Account{
		Host: s.Host, Port: s.Port, Security: migration.Plain, Side: migration.Source,
		User: user, Password: migration.NewSecret(servers.Password),
	}
}

func TestLoginForms(t *testing.T) {
	server := servers.Dovecot(t, servers.DovecotConfig{})
	master := migration.NewSecret(servers.MasterPassword)
	for name, change := range map[string]func(*Account){
		"as the user":               func(*Account) {},
		"over TLS":                  func(a *Account) { a.Security, a.Port = migration.TLS, server.TLSPort },
		"over STARTTLS":             func(a *Account) { a.Security = migration.StartTLS },
		"as administrator by name":  func(a *Account) { a.User, a.Password = a.User+"*admin", master },
		"as administrator by authz": func(a *Account) { a.AuthorizationID, a.User, a.Password = a.User, "admin", master },
	} {
		t.Run(name, func(t *testing.T) {
			a := dovecotAccount(server, "anna")
			change(&a)
			var in, out atomic.Int64 // what comes in is told by another goroutine
			s, err := open(t.Context(), a, Options{
				TLS:     &tls.Config{RootCAs: server.CA},
				OnBytes: func(i, o int) { in.Add(int64(i)); out.Add(int64(o)) },
			}, progressTimeout)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.List(t.Context()); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil || in.Load() == 0 || out.Load() == 0 {
				t.Errorf("close: %v; %d bytes in, %d out", err, in.Load(), out.Load())
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		a := dovecotAccount(server, "anna")
		a.Password = migration.NewSecret("guess")
		f := failsToOpen(t, a, Options{}, migration.AuthFailed, migration.ScopeUser)
		if strings.Contains(f.Error(), "guess") || f.Side != migration.Source {
			t.Errorf("%v", f)
		}
	})
}

func TestLoginIsTriedOnceAndOnlyWhenProtected(t *testing.T) {
	t.Run("a refusal is the end", func(t *testing.T) {
		a := scripted(t, func(s *script) {
			s.say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready")
			s.say("%s NO wrong", s.hear(`LOGIN "anna" "hush"`))
			if line, err := s.r.ReadString('\n'); err == nil {
				t.Errorf("heard %q after the refusal", line)
			}
		})
		_ = failsToOpen(t, a, Options{}, migration.AuthFailed, migration.ScopeUser)
	})
	t.Run("no password before STARTTLS", func(t *testing.T) {
		a := scripted(t, func(s *script) {
			s.say("* OK [CAPABILITY IMAP4rev1] ready")
			s.say("%s BAD what?", s.hear("STARTTLS"))
			if line, err := s.r.ReadString('\n'); err == nil {
				t.Errorf("heard %q in the clear", line)
			}
		})
		a.Security = migration.StartTLS
		_ = failsToOpen(t, a, Options{}, migration.TLSFailed, migration.ScopeEndpoint)
	})
	t.Run("login disabled", func(t *testing.T) {
		a := scripted(t, func(s *script) { s.say("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready") })
		_ = failsToOpen(t, a, Options{}, migration.TLSFailed, migration.ScopeEndpoint)
	})
	t.Run("capabilities are asked for where the login does not tell them", func(t *testing.T) {
		a := scripted(t, func(s *script) {
			s.say("* OK ready")
			s.say("%s OK logged in", s.hear("LOGIN"))
			tag := s.hear("CAPABILITY")
			s.say("* CAPABILITY IMAP4rev1 UIDPLUS APPENDLIMIT=1000")
			s.say("%s OK done", tag)
		})
		if c := opened(t, a).Caps(); !c.UIDPlus || c.AppendLimit != 1000 || c.MultiAppend {
			t.Errorf("%+v", c)
		}
	})
	t.Run("logged in by itself", func(t *testing.T) {
		a := scripted(t, func(s *script) { s.say("* PREAUTH welcome") })
		_ = failsToOpen(t, a, Options{}, migration.ConnectionFailed, migration.ScopeEndpoint)
	})
	t.Run("turned away", func(t *testing.T) {
		a := scripted(t, func(s *script) { s.say("* BYE Too many connections, try later") })
		_ = failsToOpen(t, a, Options{}, migration.Throttled, migration.ScopeUser)
	})
	t.Run("hung up on", func(t *testing.T) {
		a := scripted(t, func(s *script) { _ = s.c.Close() })
		_ = failsToOpen(t, a, Options{}, migration.ConnectionFailed, migration.ScopeEndpoint)
	})
	t.Run("not IMAP", func(t *testing.T) {
		a := scripted(t, func(s *script) { s.say("220 smtp ready") })
		_ = failsToOpen(t, a, Options{}, migration.ConnectionFailed, migration.ScopeEndpoint)
	})
}

func TestOddNamesReachTheServerWhole(t *testing.T) {
	for name, x := range map[string]struct {
		user string
		part func(s *script)
	}{
		"quoted": {`o"dd\ name`, func(s *script) {
			s.say("* OK ready")
			s.say("%s OK [CAPABILITY IMAP4rev1] in", s.hear(`LOGIN "o\"dd\\ name" "hush"`))
		}},
		"as literals": {"jürgen", func(s *script) {
			s.say("* OK ready")
			tag := s.hear("LOGIN {7}")
			s.say("+ go on")
			if got := s.line(); got != "jürgen {4}" {
				s.t.Errorf("heard %q", got)
			}
			s.say("+ go on")
			if got := s.line(); got != "hush" {
				s.t.Errorf("heard %q", got)
			}
			s.say("%s OK [CAPABILITY IMAP4rev1] in", tag)
		}},
		"by SASL": {"jürgen", func(s *script) {
			s.say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready")
			tag := s.hear("AUTHENTICATE PLAIN")
			s.say("+ ")
			if got := s.line(); got != "AGrDvHJnZW4AaHVzaA==" {
				s.t.Errorf("heard %q", got)
			}
			s.say("%s OK [CAPABILITY IMAP4rev1] in", tag)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := scripted(t, x.part)
			a.User = x.user
			opened(t, a)
		})
	}
}

func TestWhatIsSaidBeforeTLSIsForgotten(t *testing.T) {
	cert, pool := certificate(t, "127.0.0.1", time.Hour)
	a := scripted(t, func(s *script) {
		s.say("* OK [CAPABILITY IMAP4rev1 MULTIAPPEND] ready")
		tag := s.hear("STARTTLS")
		s.say("%s OK go\r\n* CAPABILITY IMAP4rev1 UIDPLUS\r\nO2 OK [CAPABILITY IMAP4rev1 UIDPLUS] injected", tag)
		c := tls.Server(s.c, &tls.Config{Certificates: []tls.Certificate{cert}})
		s.c = c
		s.r.Reset(c)
		s.say("%s OK [CAPABILITY IMAP4rev1 CONDSTORE] true", s.hear("LOGIN"))
	})
	a.Security = migration.StartTLS
	s, err := open(t.Context(), a, Options{TLS: &tls.Config{RootCAs: pool}}, progressTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if c := s.Caps(); !c.CondStore || c.UIDPlus || c.MultiAppend {
		t.Errorf("%+v", c)
	}
}

func TestCertificatesAreJudged(t *testing.T) {
	for name, x := range map[string]struct {
		host   string
		age    time.Duration
		trust  bool
		reason string
	}{
		"expired":           {"127.0.0.1", -time.Hour, true, "expired"},
		"of another host":   {"127.0.0.2", time.Hour, true, "another host"},
		"of nobody we know": {"127.0.0.1", time.Hour, false, "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			cert, pool := certificate(t, x.host, x.age)
			a := scripted(t, func(s *script) {
				_ = tls.Server(s.c, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
			})
			a.Security = migration.TLS
			o := Options{TLS: &tls.Config{RootCAs: x509.NewCertPool()}}
			if x.trust {
				o.TLS.RootCAs = pool
			}
			f := failsToOpen(t, a, o, migration.CertificateInvalid, migration.ScopeEndpoint)
			if !strings.Contains(f.Reason, x.reason) {
				t.Errorf("%q, want %q in it", f.Reason, x.reason)
			}
		})
	}
	t.Run("no TLS at all", func(t *testing.T) {
		a := scripted(t, func(s *script) { s.say("* OK ready") })
		a.Security = migration.TLS
		_ = failsToOpen(t, a, Options{}, migration.TLSFailed, migration.ScopeEndpoint)
	})
}

func certificate(t *testing.T, host string, valid time.Duration) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(valid),
		IPAddresses: []net.IP{net.ParseIP(host)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestOpeningEndsWithItsContext(t *testing.T) {
	heard := make(chan struct{})
	a := scripted(t, func(s *script) {
		s.say("* OK ready")
		s.hear("LOGIN")
		close(heard)
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-heard
		cancel(migration.ErrLeaseLost)
	}()
	if _, err := open(ctx, a, Options{}, progressTimeout); !errors.Is(err, migration.ErrLeaseLost) {
		t.Errorf("got %v, want %v", err, migration.ErrLeaseLost)
	}
}

func TestEndpointIsTestedStageByStage(t *testing.T) {
	server := servers.Dovecot(t, servers.DovecotConfig{})
	a := dovecotAccount(server, "anna")
	names := func(stages []Stage) string {
		var out []string
		for _, s := range stages {
			name := s.Name
			if !s.OK {
				name += " " + string(s.Fault.Code)
			}
			out = append(out, name)
		}
		return strings.Join(out, ", ")
	}
	for name, x := range map[string]struct {
		change func(*Account)
		want   string
	}{
		"all":       {func(*Account) {}, "DNS, TCP, greeting, CAPABILITY, login, NAMESPACE, LIST"},
		"TLS":       {func(a *Account) { a.Security, a.Port = migration.TLS, server.TLSPort }, "DNS, TCP, TLS, greeting, CAPABILITY, login, NAMESPACE, LIST"},
		"STARTTLS":  {func(a *Account) { a.Security = migration.StartTLS }, "DNS, TCP, greeting, TLS, CAPABILITY, login, NAMESPACE, LIST"},
		"no user":   {func(a *Account) { a.User = "" }, "DNS, TCP, greeting, CAPABILITY"},
		"no name":   {func(a *Account) { a.Host = "no.such.host.invalid" }, "DNS ConnectionFailed"},
		"no server": {func(a *Account) { a.Port = 1 }, "DNS, TCP ConnectionFailed"},
		"no login":  {func(a *Account) { a.Password = migration.NewSecret("x") }, "DNS, TCP, greeting, CAPABILITY, login AuthFailed"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := a
			x.change(&changed)
			got := Test(t.Context(), changed, Options{TLS: &tls.Config{RootCAs: server.CA}})
			if names(got) != x.want {
				t.Errorf("got  %s\nwant %s", names(got), x.want)
			}
		})
	}
}

// TestCoremailIsToldWhoAsks: it opens no folder for a client without a name, and no
// other server is told one.
func TestCoremailIsToldWhoAsks(t *testing.T) {
	for greeting, asked := range map[string]bool{"Coremail System IMap Server Ready(163com)": true, "Dovecot ready.": false} {
		a := scripted(t, func(s *script) {
			s.say("* OK " + greeting)
			s.say("%s OK LOGIN completed", s.hear("LOGIN"))
			tag := s.hear("CAPABILITY")
			s.say("* CAPABILITY IMAP4rev1 ID NAMESPACE")
			s.say("%s OK CAPABILITY completed", tag)
			if asked {
				tag = s.hear(`ID ("name" "mailhaul"`)
				s.say("* ID NIL")
				s.say("%s OK ID completed", tag)
			}
			tag = s.hear("NAMESPACE")
			s.say(`* NAMESPACE (("" "/")) NIL NIL`)
			s.say("%s OK done", tag)
			s.say("%s NO Unsafe Login", s.hear("EXAMINE"))
		})
		_, err := opened(t, a).Select(t.Context(), "INBOX", true)
		var f *migration.Fault
		if !errors.As(err, &f) || f.Code != migration.AuthorizationMissing {
			t.Errorf("%s: %v", greeting, err)
		}
	}
}
