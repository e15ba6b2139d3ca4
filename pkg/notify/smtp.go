package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Server is the mail server that mail is handed to.
type Server struct {
	Host, Port string
	// TLS is "tls" (from the first byte), "starttls" (required) or "none".
	TLS      string
	User     string
	Password migration.Secret
	From     string
}

// ParseServer reads a server's URL: smtps://user:password@host (465), smtp://…
// (587, STARTTLS required) or smtp+plain://… (25, without TLS). Its error repeats
// nothing of the URL.
func ParseServer(text migration.Secret, from string) (Server, error) {
	u, err := url.Parse(text.Reveal())
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return Server{}, errors.New("not a URL such as smtp://user:password@mail.example.com:587 (special characters of the password percent-encoded)")
	}
	s := Server{Host: u.Hostname(), Port: u.Port()}
	preset := ""
	switch u.Scheme {
	case "smtps":
		s.TLS, preset = "tls", "465"
	case "smtp":
		s.TLS, preset = "starttls", "587"
	case "smtp+plain":
		s.TLS, preset = "none", "25"
	default:
		return Server{}, errors.New("it begins with smtps://, smtp:// (STARTTLS) or smtp+plain://")
	}
	if s.Port == "" {
		s.Port = preset
	}
	if u.User != nil {
		s.User = u.User.Username()
		password, _ := u.User.Password()
		s.Password = migration.NewSecret(password)
	}
	if s.TLS == "none" && s.User != "" && !loopback(s.Host) {
		return Server{}, errors.New("a password goes over TLS only: use smtp:// or smtps://")
	}
	address, err := mail.ParseAddress(from)
	if err != nil {
		return Server{}, errors.New("the sender is no mail address such as mailhaul@example.com")
	}
	s.From = address.Address
	return s, nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// deliver hands one message to the server for one recipient (RFC 5321 section 3.3).
// An answer of the 500s to the recipient or the message is final; all else is tried
// again.
func (s Server) deliver(ctx context.Context, dial Dial, base *tls.Config, to string, message []byte) (answer string, err error) {
	defer func() {
		if err == nil {
			return
		}
		safe := errors.New(s.Password.Redact(err.Error()))
		if r := (refused{}); errors.As(err, &r) {
			err = refused{safe}
		} else {
			err = safe
		}
	}()
	conn, err := dial(ctx, "tcp", net.JoinHostPort(s.Host, s.Port))
	if err != nil {
		return "", fmt.Errorf("connect to the mail server: %w", err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	c, err := s.greet(ctx, conn, base)
	if err != nil {
		return "", err
	}
	if err := c.Mail(s.From); err != nil {
		return "", fmt.Errorf("the server does not take mail from %s: %w", s.From, err)
	}
	if err := c.Rcpt(to); err != nil {
		return "", final(err, "the server does not take mail to %s: %w", to, err)
	}
	w, err := c.Data()
	if err != nil {
		return "", fmt.Errorf("DATA: %w", err)
	}
	if _, err := w.Write(message); err != nil {
		return "", fmt.Errorf("send the message: %w", err)
	}
	if err := w.Close(); err != nil { // reads the answer to the message
		return "", final(err, "the server does not take the message: %w", err)
	}
	_ = c.Quit() // it has the message, whatever it says to this
	return "accepted by " + s.Host, nil
}

// greet opens the conversation, up to AUTH.
func (s Server) greet(ctx context.Context, conn net.Conn, base *tls.Config) (*smtp.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		config = base.Clone()
	}
	config.ServerName = s.Host
	if s.TLS == "tls" {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("secure the connection: %w", err)
		}
		conn = secure
	}
	c, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		return nil, fmt.Errorf("greeting: %w", err)
	}
	if err := c.Hello(helloName(s.From)); err != nil {
		return nil, fmt.Errorf("EHLO: %w", err)
	}
	if s.TLS == "starttls" {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return nil, errors.New("the server does not offer STARTTLS: nothing goes on in the clear")
		}
		if err := c.StartTLS(config); err != nil {
			return nil, fmt.Errorf("STARTTLS: %w", err)
		}
	}
	if s.User == "" {
		return c, nil
	}
	_, mechanisms := c.Extension("AUTH")
	var auth smtp.Auth
	switch {
	case offers(mechanisms, "PLAIN"):
		auth = smtp.PlainAuth("", s.User, s.Password.Reveal(), s.Host)
	case offers(mechanisms, "LOGIN"):
		auth = &loginAuth{user: s.User, password: s.Password}
	default:
		return nil, errors.New("the server offers neither AUTH PLAIN nor AUTH LOGIN")
	}
	if err := c.Auth(auth); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	return c, nil
}

// helloName is what this side calls itself: RFC 5321 section 4.1.1.1 wants a name.
func helloName(from string) string {
	_, domain, _ := strings.Cut(from, "@")
	return domain
}

func offers(mechanisms, name string) bool {
	for word := range strings.FieldsSeq(mechanisms) {
		if strings.EqualFold(word, name) {
			return true
		}
	}
	return false
}

// final marks an answer of the 500s.
func final(err error, format string, args ...any) error {
	told := fmt.Errorf(format, args...)
	var a *textproto.Error
	if errors.As(err, &a) && a.Code >= 500 {
		return refused{told}
	}
	return told
}

// loginAuth is AUTH LOGIN, which is in no RFC: Microsoft 365 offers nothing else.
type loginAuth struct {
	user     string
	password migration.Secret
	step     int
}

func (a *loginAuth) Start(*smtp.ServerInfo) (string, []byte, error) { return "LOGIN", nil, nil }

func (a *loginAuth) Next(_ []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	a.step++
	switch a.step {
	case 1:
		return []byte(a.user), nil
	case 2:
		return []byte(a.password.Reveal()), nil
	}
	return nil, errors.New("the server asks for more than a name and a password")
}
