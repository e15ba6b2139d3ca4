package discover

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Bounds of what a domain's web server may cost.
const (
	maxConfig    = 64 << 10
	maxHeader    = 16 << 10
	maxHops      = 3
	maxAddresses = 4
)

// autoconfig asks the domain's web servers for Thunderbird's form of configuration
// (https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat).
func (s *search) autoconfig() bool {
	for _, address := range []string{
		"https://autoconfig." + s.address.Domain + "/mail/config-v1.1.xml?emailaddress=" + url.QueryEscape(s.address.String()),
		"https://" + s.address.Domain + "/.well-known/autoconfig/mail/config-v1.1.xml",
	} {
		asked, _, _ := strings.Cut(address, "?")
		body, err := s.fetch(address)
		if err != nil {
			if !s.noted(asked, err.Error()) {
				return false
			}
			continue
		}
		servers, err := readConfig(body, s.address)
		if err != nil {
			if !s.noted(asked, err.Error()) {
				return false
			}
			continue
		}
		for _, server := range servers[:min(len(servers), maxRecords)] {
			said := fmt.Sprintf("%s:%d, %s, login: %s", server.Host, server.Port, server.Security, server.Login)
			if !s.named(asked, said, server) {
				return false
			}
		}
	}
	return true
}

// client follows at most maxHops redirections, to HTTPS alone.
func (s *search) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            s.dialByName,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.Roots},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			switch {
			case r.URL.Scheme != "https":
				return errors.New("it leads to plain HTTP, where an answer can be forged")
			case len(via) > maxHops:
				return fmt.Errorf("it leads on more than %d times", maxHops)
			}
			return nil
		},
	}
}

// dialByName looks the name up where all others are looked up.
func (s *search) dialByName(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addresses, err := s.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, a := range addresses[:min(len(addresses), maxAddresses)] {
		conn, err := s.Dial(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		problems = append(problems, err)
	}
	return nil, errors.Join(problems...)
}

func (s *search) fetch(address string) ([]byte, error) {
	ctx, cancel := s.patiently()
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "Mailhaul")
	res, err := s.web.Do(r)
	if err != nil {
		return nil, errors.New(unfetched(err))
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxConfig+1))
	switch {
	case err != nil:
		return nil, errors.New(unfetched(err))
	case len(body) > maxConfig:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxConfig)
	}
	return body, nil
}

// unfetched leaves out the address, which stands before it already.
func unfetched(err error) string {
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err
	}
	var dns *net.DNSError
	var dial *net.OpError
	switch {
	case errors.As(err, &dns):
		return unanswered(err, "no such name")
	case errors.As(err, &dial) && dial.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return err.Error()
}

// config is the part of the form that we read.
type config struct {
	XMLName   xml.Name `xml:"clientConfig"`
	Providers []struct {
		Incoming []incoming `xml:"incomingServer"`
	} `xml:"emailProvider"`
}

type incoming struct {
	Type     string   `xml:"type,attr"`
	Host     string   `xml:"hostname"`
	Port     string   `xml:"port"`
	Socket   string   `xml:"socketType"`
	UserName string   `xml:"username"`
	Auth     []string `xml:"authentication"`
}

// readConfig returns the IMAP servers with TLS, in the domain's order of preference.
func readConfig(body []byte, a Address) ([]Server, error) {
	var c config
	if err := xml.NewDecoder(bytes.NewReader(body)).Decode(&c); err != nil {
		return nil, fmt.Errorf("the answer is no configuration: %w", err)
	}
	var out []Server
	plain, others := 0, 0
	for _, p := range c.Providers {
		for _, in := range p.Incoming {
			server, ok := in.server(a)
			switch {
			case !strings.EqualFold(in.Type, "imap"):
				others++
			case ok:
				out = append(out, server)
			default:
				plain++
			}
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case plain > 0:
		return nil, errors.New("its IMAP servers have no TLS, or no host and port")
	case others > 0:
		return nil, errors.New("it names no IMAP server")
	}
	return nil, errors.New("it names no server")
}

// server is the entry understood; false: it has no TLS, or neither host nor port.
func (in incoming) server(a Address) (Server, bool) {
	port, err := strconv.Atoi(strings.TrimSpace(in.Port))
	security, known := map[string]migration.Security{"SSL": migration.TLS, "STARTTLS": migration.StartTLS}[strings.ToUpper(strings.TrimSpace(in.Socket))]
	host := lower(filled(in.Host, a))
	if err != nil || port < 1 || port > 65535 || !known || host == "" {
		return Server{}, false
	}
	out := Server{Host: host, Port: port, Security: security}
	switch user := strings.TrimSpace(in.UserName); user {
	case "":
	case "%EMAILADDRESS%":
		out.Login = FullAddress
	case "%EMAILLOCALPART%":
		out.Login = LocalPart
	default:
		out.Login, out.UserName = OtherLogin, migration.Clean(filled(user, a))
	}
	says := func(what string) bool {
		return slices.ContainsFunc(in.Auth, func(s string) bool { return strings.HasPrefix(strings.TrimSpace(s), what) })
	}
	if says("OAuth2") && !says("password-") {
		out.Auth = "xoauth2"
	}
	return out, true
}

// filled puts the address into the form's placeholders.
func filled(text string, a Address) string {
	return strings.NewReplacer("%EMAILADDRESS%", a.String(), "%EMAILLOCALPART%", a.Local, "%EMAILDOMAIN%", a.Domain).Replace(strings.TrimSpace(text))
}
