package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/app"
	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// pairFlags are what sync and verify have in common: two mailboxes and a state file.
type pairFlags struct {
	source, target                 string
	sourcePassword, targetPassword string // files
	state                          string
	exclude                        []string
	allowPlaintext                 bool
}

const pairHelp = `
A mailbox is a URL: imaps:// is TLS, imap:// is STARTTLS (refused where the server has
none), imap+plain:// is no protection at all, outside this machine only with
--allow-plaintext. User name and password are percent-encoded: user%40example.org. The
password is better given in MAILHAUL_SOURCE_PASSWORD and MAILHAUL_TARGET_PASSWORD or in
a file, where other users of this machine do not see it.`

func (p *pairFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.source, "source", "", "mailbox to read, such as imaps://anna%40example.org@old.example.org")
	f.StringVar(&p.target, "target", "", "mailbox to write, likewise")
	f.StringVar(&p.sourcePassword, "source-password-file", "", "file with the source's password")
	f.StringVar(&p.targetPassword, "target-password-file", "", "file with the target's password")
	f.StringVar(&p.state, "state", "", "file that remembers what was delivered, from pass to pass")
	f.StringArrayVar(&p.exclude, "exclude", nil, "folder to leave out: a name, a glob or a token such as #Junk# (repeatable)")
	f.BoolVar(&p.allowPlaintext, "allow-plaintext", false, "let imap+plain:// send passwords over a network unprotected")
}

func (p *pairFlags) pair(g *global) (app.Pair, error) {
	source, err := p.account(g, "source", p.source, p.sourcePassword)
	if err != nil {
		return app.Pair{}, usageError(err)
	}
	target, err := p.account(g, "target", p.target, p.targetPassword)
	if err != nil {
		return app.Pair{}, usageError(err)
	}
	return app.Pair{Source: source, Target: target, StateFile: p.state, Exclude: p.exclude}, nil
}

// account reads one side's URL and password. An error never quotes the URL: there
// may be a password in it.
func (p *pairFlags) account(g *global, side, text, passwordFile string) (imapmail.Account, error) {
	var a imapmail.Account
	if text == "" {
		return a, fmt.Errorf("--%s is missing: give a mailbox such as imaps://user@host", side)
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User == nil || u.User.Username() == "" {
		return a, fmt.Errorf("--%s is not imaps://user@host, imap://user@host or imap+plain://user@host (an @ in the user name is written %%40)", side)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return a, fmt.Errorf("--%s has something after the host: leave it out (special characters in a password are percent-encoded)", side)
	}
	a.Host, a.User = u.Hostname(), u.User.Username()
	switch u.Scheme {
	case "imaps":
		a.Security, a.Port = migration.TLS, 993
	case "imap":
		a.Security, a.Port = migration.StartTLS, 143
	case "imap+plain":
		a.Security, a.Port = migration.Plain, 143
		if !p.allowPlaintext && !loopback(a.Host) {
			return a, fmt.Errorf("--%s would send the password unprotected: use imaps:// or imap://, or say --allow-plaintext", side)
		}
	default:
		return a, fmt.Errorf("--%s starts with imaps://, imap:// or imap+plain://", side)
	}
	if u.Port() != "" {
		if a.Port, err = strconv.Atoi(u.Port()); err != nil || a.Port < 1 || a.Port > 65535 {
			return a, fmt.Errorf("--%s: %s is not a port", side, u.Port())
		}
	}
	a.Password, err = password(g, side, u, passwordFile)
	return a, err
}

func password(g *global, side string, u *url.URL, file string) (migration.Secret, error) {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return migration.Secret{}, fmt.Errorf("read the %s's password: %w", side, err)
		}
		return migration.NewSecret(strings.TrimRight(string(b), "\r\n")), nil
	}
	if value, ok := u.User.Password(); ok {
		g.say("mailhaul: a password on the command line can be seen by other users of this machine; better: %s", passwordVariable(side))
		return migration.NewSecret(value), nil
	}
	if value := os.Getenv(passwordVariable(side)); value != "" {
		return migration.NewSecret(value), nil
	}
	return migration.Secret{}, fmt.Errorf("the %s's password is missing: set %s or give --%s-password-file", side, passwordVariable(side), side)
}

func passwordVariable(side string) string {
	return "MAILHAUL_" + strings.ToUpper(side) + "_PASSWORD"
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// failure gives a pair's error the exit code of its cause.
func failure(err error) error {
	if err == nil {
		return nil
	}
	if fault := (*migration.Fault)(nil); errors.As(err, &fault) {
		return &exitError{codeOf(fault.Code), fmt.Errorf("%w\n  %s", err, fault.Code.Remedy())}
	}
	return err
}
