// Package mailsink is an SMTP server that keeps what it gets: for tests alone. It
// speaks over TCP, with STARTTLS and AUTH where it is told to, and answers a command
// with whatever words a test wants. It ends with its test.
package mailsink

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Config is how a Sink behaves.
type Config struct {
	TLS *tls.Config // of STARTTLS; nil: it is not offered
	// User and Password are what AUTH takes; User "" takes mail from anybody.
	User, Password string
	Login          bool // AUTH LOGIN in place of PLAIN
}

// Mail is one message as it came.
type Mail struct {
	From, To string
	Text     string
	Secure   bool // over TLS
}

// Sink is a running server.
type Sink struct {
	Port int

	config   Config
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	open    map[net.Conn]bool
	mails   []Mail
	heard   []string // every line of every client, outside of messages
	answers map[string][]string
	held    int
}

// hangUp in the place of an answer closes the connection: the answer is lost.
const hangUp = ""

// Hold in the place of an answer is none: the client waits until it goes.
const Hold = "hold"

// New starts a server until the test ends.
func New(t testing.TB, c Config) *Sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Sink{Port: l.Addr().(*net.TCPAddr).Port, config: c, listener: l, open: map[net.Conn]bool{}, answers: map[string][]string{}}
	s.running.Go(s.accept)
	t.Cleanup(s.close)
	return s
}

// Answer has the next commands of a verb (MAIL, RCPT, AUTH, DATA, or "." for the end of
// a message) answered with words, one each; "" hangs up, Hold keeps it waiting. A message
// is kept all the same.
func (s *Sink) Answer(verb string, words ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[verb] = words
}

// Mails are what has come.
func (s *Sink) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Held is how many clients were kept waiting.
func (s *Sink) Held() int { s.mu.Lock(); defer s.mu.Unlock(); return s.held }

// Heard is what clients have said, outside of messages.
func (s *Sink) Heard() string { s.mu.Lock(); defer s.mu.Unlock(); return strings.Join(s.heard, "\n") }

func (s *Sink) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func (s *Sink) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[c] = true
		s.mu.Unlock()
		s.running.Go(func() {
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			(&client{sink: s, conn: c, in: bufio.NewReader(c)}).serve()
			_ = c.Close()
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
		})
	}
}

// client is one conversation.
type client struct {
	sink   *Sink
	conn   net.Conn
	in     *bufio.Reader
	secure bool
	mail   Mail
}

func (c *client) say(words string) bool {
	_, err := fmt.Fprintf(c.conn, "%s\r\n", words)
	return err == nil
}

func (c *client) line() (string, bool) {
	line, err := c.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err == nil
}

func (c *client) serve() {
	if !c.say("220 sink ESMTP") {
		return
	}
	for {
		line, ok := c.line()
		if !ok {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		c.sink.mu.Lock()
		c.sink.heard = append(c.sink.heard, line)
		c.sink.mu.Unlock()
		words, told := c.sink.next(verb)
		switch {
		case told:
			ok = c.told(words)
		default:
			ok = c.do(verb, line)
		}
		if !ok || verb == "QUIT" {
			return
		}
	}
}

// told says what a test wants to be said.
func (c *client) told(words string) bool {
	switch words {
	case hangUp:
		return false
	case Hold:
		c.sink.mu.Lock()
		c.sink.held++
		c.sink.mu.Unlock()
		_, _ = io.Copy(io.Discard, c.in)
		return false
	}
	return c.say(words)
}

// next is what a test wants to be said.
func (s *Sink) next(verb string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.answers[verb]
	if len(list) == 0 {
		return "", false
	}
	s.answers[verb] = list[1:]
	return list[0], true
}

func (c *client) do(verb, line string) bool {
	switch verb {
	case "EHLO":
		return c.say("250-sink") && c.offer() && c.say("250 8BITMIME")
	case "STARTTLS":
		if !c.say("220 go on") {
			return false
		}
		c.conn = tls.Server(c.conn, c.sink.config.TLS)
		c.in, c.secure = bufio.NewReader(c.conn), true
		return true
	case "AUTH":
		return c.auth(line)
	case "MAIL":
		c.mail = Mail{From: between(line), Secure: c.secure}
		return c.say("250 fine")
	case "RCPT":
		c.mail.To = between(line)
		return c.say("250 fine")
	case "DATA":
		return c.data()
	case "QUIT":
		return c.say("221 farewell")
	}
	return c.say("502 what is " + verb)
}

func (c *client) offer() bool {
	if c.sink.config.TLS != nil && !c.secure {
		return c.say("250-STARTTLS")
	}
	switch {
	case c.sink.config.User == "":
		return true
	case c.sink.config.Login:
		return c.say("250-AUTH LOGIN")
	}
	return c.say("250-AUTH PLAIN")
}

func (c *client) auth(line string) bool {
	want := "\x00" + c.sink.config.User + "\x00" + c.sink.config.Password
	words := strings.Fields(line)
	got := ""
	if c.sink.config.Login {
		for _, ask := range []string{"Username:", "Password:"} {
			if !c.say("334 " + base64.StdEncoding.EncodeToString([]byte(ask))) {
				return false
			}
			reply, ok := c.line()
			if !ok {
				return false
			}
			text, _ := base64.StdEncoding.DecodeString(reply)
			got += "\x00" + string(text)
		}
	} else if len(words) == 3 {
		text, _ := base64.StdEncoding.DecodeString(words[2])
		got = string(text)
	}
	if got != want {
		return c.say("535 no such login: " + words[len(words)-1] + " " + c.sink.config.Password)
	}
	return c.say("235 welcome")
}

func (c *client) data() bool {
	if !c.say("354 go on") {
		return false
	}
	var text strings.Builder
	for {
		line, ok := c.line()
		if !ok {
			return false
		}
		if line == "." {
			break
		}
		text.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
	c.mail.Text = text.String()
	words, told := c.sink.next(".")
	if !told || words == hangUp || words == Hold || strings.HasPrefix(words, "2") {
		c.sink.mu.Lock()
		c.sink.mails = append(c.sink.mails, c.mail)
		c.sink.mu.Unlock()
	}
	if told {
		return c.told(words)
	}
	return c.say("250 kept")
}

func between(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	address, _, _ := strings.Cut(rest, ">")
	return address
}
