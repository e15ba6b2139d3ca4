package imapmail

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// login authenticates: by LOGIN, or by AUTHENTICATE PLAIN where it acts for another
// user, LOGIN is disabled, or LOGIN could not carry the words. It costs one round
// trip, and one more where the server does not tell its capabilities in the answer.
func (b *opening) login(ctx context.Context) error {
	what := fmt.Sprintf("log in as %q at %s", b.account.User, b.address())
	if b.words["LOGINDISABLED"] && !b.words["AUTH=PLAIN"] {
		return migration.NewFault(migration.TLSFailed, migration.ScopeEndpoint, b.account.Side,
			what+": the server disables logging in; it may want TLS", nil)
	}
	before := b.words
	b.words = nil
	s, err := b.authenticate(before)
	if err != nil {
		return b.lost(what)
	}
	if s.kind != "OK" {
		// The connection is closed after any refusal: a second try on it would be a
		// second guess (SERVICE: a rejected login is never hammered).
		return refusal(opLogin, s, b.account.Side, what)
	}
	if b.words == nil {
		if err := b.capability(ctx); err != nil {
			return err
		}
	}
	for _, word := range b.account.Missing {
		delete(b.words, word)
	}
	return b.identify()
}

// identify names the client (RFC 2971) where nothing opens without it: Coremail, which
// is 163.com, 126.com, 188.com and yeah.net, answers SELECT with "NO Unsafe Login". It is
// known by its greeting, or by the endpoint's preset.
// Section 3.3 forbids servers to make a difference by it; to all others it is not sent.
func (b *opening) identify() error {
	if !b.account.NeedsID && !(b.words["ID"] && strings.Contains(b.greeting, "Coremail")) {
		return nil
	}
	if _, err := b.command(`ID ("name" "mailhaul" "vendor" "mailhaul")`); err != nil {
		return b.lost("ID at " + b.address())
	}
	return nil // a refusal shows when a folder is opened
}

func (b *opening) authenticate(words capabilities) (status, error) {
	user, userOK := quote(b.account.User)
	password, passwordOK := quote(b.account.Password.Reveal())
	sasl := b.account.AuthorizationID != "" || words["LOGINDISABLED"] || words["AUTH=PLAIN"] && !(userOK && passwordOK)
	if sasl {
		return b.plain(words["SASL-IR"])
	}
	if userOK && passwordOK {
		return b.command("LOGIN " + user + " " + password)
	}
	return b.literals("LOGIN", b.account.User, b.account.Password.Reveal())
}

// plain is AUTHENTICATE PLAIN (RFC 4616), in one round trip with SASL-IR (RFC 4959).
func (b *opening) plain(initial bool) (status, error) {
	response := base64.StdEncoding.EncodeToString([]byte(
		b.account.AuthorizationID + "\x00" + b.account.User + "\x00" + b.account.Password.Reveal()))
	if initial {
		return b.command("AUTHENTICATE PLAIN " + response)
	}
	tag, err := b.send("AUTHENTICATE PLAIN")
	if err != nil {
		return status{}, err
	}
	s, more, err := b.await(tag)
	if err != nil || !more {
		return s, err
	}
	if _, err := b.conn.Write([]byte(response + "\r\n")); err != nil {
		return status{}, err
	}
	s, _, err = b.await(tag)
	return s, err
}

// literals sends a command whose arguments cannot be quoted strings, waiting before
// each until the server asks for it.
func (b *opening) literals(name string, args ...string) (status, error) {
	line := name
	var tag string
	for i, arg := range args {
		line = fmt.Sprintf("%s {%d}", line, len(arg))
		var err error
		if i == 0 {
			tag, err = b.send(line)
		} else {
			_, err = b.conn.Write([]byte(line + "\r\n"))
		}
		if err != nil {
			return status{}, err
		}
		s, more, err := b.await(tag)
		if err != nil || !more {
			return s, err
		}
		line = arg
	}
	if _, err := b.conn.Write([]byte(line + "\r\n")); err != nil {
		return status{}, err
	}
	s, _, err := b.await(tag)
	return s, err
}
