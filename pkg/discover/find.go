package discover

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Config is what a Finder works with. Resolver, Roots and Patience may be left zero.
type Config struct {
	// Dial opens every connection; it refuses where nobody may go.
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Presets Presets
	// Resolver is asked where the question names none: IP:PORT, "" for the system's.
	Resolver string
	// Roots are whom a web server's certificate is to be from; nil: the system's.
	Roots *x509.CertPool
	// Patience is the time of one question; 0: 8 s.
	Patience time.Duration
}

// Presets knows providers. The servers that it returns are without UserName.
type Presets struct {
	// OfDomain finds the provider whose own addresses are of the domain, OfExchanger the
	// one of a mail exchanger, and the pattern by which it was known.
	OfDomain    func(domain string) (Server, bool)
	OfExchanger func(host string) (s Server, pattern string, found bool)
	// OfHost names the provider of an IMAP server; "": none that is known.
	OfHost func(host string) string
}

// Server is a mail server that an answer names.
type Server struct {
	Preset   string // "": none
	Host     string
	Port     int
	Security migration.Security // never Plain
	// Auth is how users log in, as in EndpointSpec; "": it was not said.
	Auth string
	// Login is which form the login name has, and UserName the address in it.
	Login    Login
	UserName string
	// Unproven: DNS alone names this host, and it is outside the address's domain.
	Unproven bool
}

// Login is the form of a login name.
type Login string

// The forms of login names.
const (
	FullAddress Login = "full address"
	LocalPart   Login = "local part"
	OtherLogin  Login = "other"
	AnyLogin    Login = "" // it was not said
)

// Of is the login name of an address.
func (l Login) Of(a Address) string {
	if l == LocalPart {
		return a.Local
	}
	return a.String()
}

// Question is what is to be found.
type Question struct {
	Address  Address
	Resolver string // as ParseResolver returns it; "": the Finder's
}

// Step is one question that was asked, what came back, and the server that it names.
type Step struct {
	Asked  string
	Said   string
	Server *Server // nil: none
}

// Finder finds mail servers. It is safe for concurrent use.
type Finder struct{ Config }

// New returns a finder.
func New(c Config) *Finder {
	if c.Patience == 0 {
		c.Patience = 8 * time.Second
	}
	return &Finder{c}
}

// Steps asks one question after the other, as long as the caller wants more. ctx bounds
// all of them.
func (f *Finder) Steps(ctx context.Context, q Question) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		s := &search{Finder: f, ctx: ctx, address: q.Address, yield: yield}
		s.resolver = f.resolverAt(q.Resolver)
		s.web = s.client()
		for _, ask := range []func() bool{s.ownDomain, s.exchangers, s.services, s.autoconfig, s.guesses} {
			if ctx.Err() != nil || !ask() {
				return
			}
		}
	}
}

// maxRecords is how many servers of one answer are looked at.
const maxRecords = 4

// search is one run over the questions; each returns false when no more are wanted.
type search struct {
	*Finder
	ctx      context.Context
	address  Address
	resolver *net.Resolver
	web      *http.Client
	yield    func(Step) bool
	// none is set when the domain says that it offers no IMAP.
	none bool
}

// resolverAt asks a server of DNS through our dialer, or lets the system ask its own.
func (f *Finder) resolverAt(address string) *net.Resolver {
	if address == "" {
		address = f.Resolver
	}
	if address == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return f.Dial(ctx, network, address)
	}}
}

// patiently bounds one question.
func (s *search) patiently() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, s.Patience)
}

// named passes on a server, with what is known of its login.
func (s *search) named(asked, said string, server Server) bool {
	if server.Preset == "" {
		server.Preset = s.Presets.OfHost(server.Host)
	}
	if server.UserName == "" {
		server.UserName = server.Login.Of(s.address)
	}
	return s.yield(Step{asked, migration.Clean(said), &server})
}

func (s *search) noted(asked, said string) bool {
	return s.yield(Step{Asked: asked, Said: migration.Clean(said)})
}

func (s *search) ownDomain() bool {
	asked := "is " + s.address.Domain + " a provider's own domain"
	server, known := s.Presets.OfDomain(s.address.Domain)
	if !known {
		return s.noted(asked, "no")
	}
	return s.named(asked, "preset "+server.Preset, server)
}

// exchangers looks at the best mail exchangers first, and takes the first whose
// provider is known.
func (s *search) exchangers() bool {
	asked := "MX " + s.address.Domain
	ctx, cancel := s.patiently()
	defer cancel()
	records, err := s.resolver.LookupMX(ctx, s.address.Domain+".")
	if len(records) == 0 {
		return s.noted(asked, unanswered(err, "no mail exchanger"))
	}
	var names []string
	for i, r := range records {
		host := lower(r.Host)
		if server, pattern, known := s.Presets.OfExchanger(host); known {
			return s.named(asked, fmt.Sprintf("%s is %s: preset %s", host, pattern, server.Preset), server)
		}
		if i < maxRecords {
			names = append(names, host)
		}
	}
	if names[0] == "" {
		return s.noted(asked, "the domain takes no mail (RFC 7505)")
	}
	return s.noted(asked, "no provider that is known: "+strings.Join(names, ", "))
}

// services asks for the records of RFC 6186, the service with TLS from the first byte
// first (RFC 8314 section 3.3).
func (s *search) services() bool {
	for _, service := range []struct {
		name     string
		security migration.Security
	}{{"imaps", migration.TLS}, {"imap", migration.StartTLS}} {
		if !s.service(service.name, service.security) {
			return false
		}
	}
	return true
}

func (s *search) service(name string, security migration.Security) bool {
	asked := fmt.Sprintf("SRV _%s._tcp.%s", name, s.address.Domain)
	ctx, cancel := s.patiently()
	defer cancel()
	_, records, err := s.resolver.LookupSRV(ctx, name, "tcp", s.address.Domain+".")
	if len(records) == 0 {
		return s.noted(asked, unanswered(err, "no such record"))
	}
	for _, r := range records[:min(len(records), maxRecords)] {
		host := lower(r.Target)
		if host == "" {
			// RFC 6186 section 3.4: the service is decidedly not available.
			s.none = s.none || security == migration.TLS
			if !s.noted(asked, "not offered there, says the domain (target .)") {
				return false
			}
			continue
		}
		said := fmt.Sprintf("%s:%d (priority %d, weight %d)", host, r.Port, r.Priority, r.Weight)
		if r.Port == 0 {
			said += ": no port"
			if !s.noted(asked, said) {
				return false
			}
			continue
		}
		server := Server{Host: host, Port: int(r.Port), Security: security}
		server.Unproven = !s.address.holds(host) && s.Presets.OfHost(host) == ""
		if !s.named(asked, said, server) {
			return false
		}
	}
	return true
}

// guesses tries names that many domains have, unless the domain said that there is no
// IMAP.
func (s *search) guesses() bool {
	if s.none {
		return s.noted("guess", "nothing is guessed: the domain says that it offers no IMAP")
	}
	var hosts []string
	for _, label := range []string{"imap", "mail"} {
		host := label + "." + s.address.Domain
		ctx, cancel := s.patiently()
		_, err := s.resolver.LookupNetIP(ctx, "ip", host+".")
		cancel()
		if err != nil {
			if !s.noted("guess "+host, unanswered(err, "no such name")) {
				return false
			}
			continue
		}
		hosts = append(hosts, host)
	}
	for _, at := range []Server{{Port: 993, Security: migration.TLS}, {Port: 143, Security: migration.StartTLS}} {
		for _, host := range hosts {
			at.Host = host
			if !s.named("guess "+host, fmt.Sprintf("there is such a name: port %d, %s", at.Port, at.Security), at) {
				return false
			}
		}
	}
	return true
}

// unanswered says why there is no record: none is there, or nobody answered.
func unanswered(err error, none string) string {
	var dns *net.DNSError
	switch {
	case err == nil, errors.As(err, &dns) && dns.IsNotFound:
		return none
	case errors.As(err, &dns) && dns.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return err.Error()
}

func lower(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
