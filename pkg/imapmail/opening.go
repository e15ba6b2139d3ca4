package imapmail

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

const dialTimeout = 30 * time.Second

// opening is a connection on its way to a session.
type opening struct {
	account Account
	options Options
	timeout time.Duration
	names   *nameBook
	labels  *labels

	conn     *conn
	greeting string
	secured  string       // how TLS protects it, "" where it does not
	words    capabilities // nil: not told yet
	tags     int
}

func (b *opening) address() string {
	return net.JoinHostPort(b.account.Host, strconv.Itoa(b.account.Port))
}

func (b *opening) dial(ctx context.Context) error {
	dial := b.options.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	limited, cancel := context.WithTimeout(ctx, min(dialTimeout, b.timeout))
	defer cancel()
	what := "connect to " + b.address()
	raw, err := dial(limited, "tcp", b.address())
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		return b.account.unreachable(err, migration.ConnectionFailed, what)
	}
	b.conn = newConn(raw, b.timeout, b.options.OnBytes)
	b.conn.pace, b.conn.hush = b.options.Pace, b.account.Password
	return nil
}

// greet reads the greeting (RFC 9051 section 7.1).
func (b *opening) greet(context.Context) error {
	what := "greeting of " + b.address()
	b.conn.await(1)
	defer b.conn.await(-1)
	response, err := b.response()
	if err != nil {
		if b.account.Security != migration.TLS {
			what += " (a port that speaks TLS from the first byte, such as 993, needs security tls)"
		}
		return b.lost(what)
	}
	s, ok := b.conn.status(response)
	switch {
	case !ok || s.tag != "*":
		return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, b.account.Side,
			what+": not IMAP: "+b.account.Password.Redact(string(trimEOL(response))), nil)
	case s.kind == "BYE" || s.kind == "NO" || s.kind == "BAD":
		s.kind = "BYE"
		return lost(errServerLeft, s, b.account.Side, what)
	case s.kind == "PREAUTH":
		// Somebody is logged in already, and it is not whom we were told to be
		// (RFC 9051 section 6.2.1 on STARTTLS; nothing else here could be right).
		return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, b.account.Side,
			what+": the server logs in by itself (PREAUTH)", nil)
	}
	b.greeting = s.text
	if s.code == "CAPABILITY" {
		b.words = parseCapabilities(s.args)
	}
	return nil
}

var errServerLeft = fmt.Errorf("the server closed the connection")

// startTLS upgrades the connection or fails: nothing goes on in the clear.
func (b *opening) startTLS(ctx context.Context) error {
	s, err := b.command("STARTTLS")
	if err != nil {
		return b.lost("STARTTLS at " + b.address())
	}
	if s.kind != "OK" {
		return migration.NewFault(migration.TLSFailed, migration.ScopeEndpoint, b.account.Side,
			"STARTTLS at "+b.address()+": "+s.words(), nil)
	}
	b.words = nil // what was said in the clear counts for nothing (RFC 9051 section 6.2.1)
	return b.handshake(ctx)
}

// capability asks what the server can do.
func (b *opening) capability(context.Context) error {
	s, err := b.command("CAPABILITY")
	if err != nil {
		return b.lost("CAPABILITY at " + b.address())
	}
	if s.kind != "OK" || b.words == nil {
		return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, b.account.Side,
			"CAPABILITY at "+b.address()+": "+s.words(), nil)
	}
	return nil
}

// command sends a line and reads to its answer; capabilities told meanwhile are kept.
func (b *opening) command(line string) (status, error) {
	tag, err := b.send(line)
	if err != nil {
		return status{}, err
	}
	s, more, err := b.await(tag)
	if err == nil && more {
		err = errUnreadable // nothing was announced
		b.conn.fail(err)
	}
	return s, err
}

func (b *opening) send(line string) (tag string, err error) {
	b.tags++
	tag = "O" + strconv.Itoa(b.tags)
	_, err = b.conn.Write([]byte(tag + " " + line + "\r\n"))
	return tag, err
}

// await reads until the answer to tag, or until the server asks for more.
func (b *opening) await(tag string) (s status, more bool, err error) {
	b.conn.await(1)
	defer b.conn.await(-1)
	for {
		response, err := b.response()
		if err != nil {
			return status{}, false, err
		}
		if response[0] == '+' {
			return status{}, true, nil
		}
		if kind, _ := untagged(response); kind == "CAPABILITY" {
			b.words = parseCapabilities(strings.TrimPrefix(string(trimEOL(response)), "* CAPABILITY"))
			continue
		}
		s, ok := b.conn.status(response)
		if !ok {
			continue
		}
		if s.code == "CAPABILITY" {
			b.words = parseCapabilities(s.args)
		}
		if s.kind == "BYE" {
			b.conn.bye = s
		}
		if s.tag == tag {
			return s, false, nil
		}
		if s.tag != "*" {
			b.conn.fail(errUnreadable) // an answer to nothing
			return status{}, false, errUnreadable
		}
	}
}

func (b *opening) response() ([]byte, error) {
	response, err := b.conn.in.response()
	if err != nil {
		b.conn.fail(describe(err, "read"))
	}
	return response, err
}

func (b *opening) lost(what string) error {
	bye, err := b.conn.failure()
	return lost(err, bye, b.account.Side, what)
}

// capabilities are the words of a CAPABILITY response in upper case.
type capabilities map[string]bool

func parseCapabilities(s string) capabilities {
	c := capabilities{}
	for _, word := range strings.Fields(s) {
		c[strings.ToUpper(word)] = true
	}
	return c
}

// caps are what the port knows of them. IMAP4rev2 includes many (RFC 9051 appendix E).
func (c capabilities) caps() mailbox.Caps {
	rev2 := c["IMAP4REV2"]
	caps := mailbox.Caps{
		LiteralPlus:      c["LITERAL+"],
		LiteralMinus:     c["LITERAL-"] || rev2,
		MultiAppend:      c["MULTIAPPEND"],
		UIDPlus:          c["UIDPLUS"] || rev2,
		CondStore:        c["CONDSTORE"] || c["QRESYNC"],
		ListStatus:       c["LIST-STATUS"] || rev2,
		ListExtended:     c["LIST-EXTENDED"] || rev2,
		SpecialUse:       c["SPECIAL-USE"] || rev2,
		CreateSpecialUse: c["CREATE-SPECIAL-USE"],
		Namespace:        c["NAMESPACE"] || rev2,
		ESearch:          c["ESEARCH"] || rev2,
		Binary:           c["BINARY"],
	}
	for word := range c {
		if limit, found := strings.CutPrefix(word, "APPENDLIMIT="); found {
			caps.AppendLimit, _ = strconv.ParseInt(limit, 10, 64)
		}
	}
	return caps
}

func (c capabilities) String() string {
	return strings.Join(slices.Sorted(maps.Keys(c)), " ")
}
