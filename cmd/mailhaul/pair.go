package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"runtime/debug"
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
	exclude, include               []string
	since, before                  string
	mapFolders                     []migration.FolderRule
	namespaces                     []string
	allowPlaintext                 bool
	sourceTrust, targetTrust       migration.Trust
}

const pairHelp = `
A mailbox is a URL: imaps:// is TLS, imap:// is STARTTLS (refused where the server has
none), imap+plain:// is no protection at all, outside this machine only with
--allow-plaintext. User name and password are percent-encoded: user%40example.org. The
password is better given in MAILHAUL_SOURCE_PASSWORD and MAILHAUL_TARGET_PASSWORD or in
a file, where other users of this machine do not see it.

A certificate that no authority vouches for is refused, and the refusal names its pin:
compare it with the server's own, and give it as --source-tls-pin or --target-tls-pin.`

func (p *pairFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.source, "source", "", "mailbox to read, such as imaps://anna%40example.org@old.example.org")
	f.StringVar(&p.target, "target", "", "mailbox to write, likewise")
	f.StringVar(&p.sourcePassword, "source-password-file", "", "file with the source's password")
	f.StringVar(&p.targetPassword, "target-password-file", "", "file with the target's password")
	f.StringVar(&p.state, "state", "", "file that remembers what was delivered, from pass to pass")
	f.StringArrayVar(&p.exclude, "exclude", nil, "folder to leave out: a name, a glob or a token such as #Junk# (repeatable)")
	f.StringArrayVar(&p.include, "include", nil, "only this folder, likewise (repeatable)")
	f.Var(&folderRules[migration.FolderRule]{to: &p.mapFolders}, "map-folder", mapFolderHelp+" (repeatable)")
	f.StringSliceVar(&p.namespaces, "namespaces", nil, namespacesHelp+"; of the source")
	f.StringVar(&p.since, "since", "", sinceHelp)
	f.StringVar(&p.before, "before", "", beforeHelp)
	for side, t := range map[string]*migration.Trust{"source": &p.sourceTrust, "target": &p.targetTrust} {
		f.StringVar(&t.TLSPin, side+"-tls-pin", "", "accept the "+side+"'s certificate with this key and no other, whoever signed it")
		f.BoolVar(&t.TLSInsecure, side+"-tls-insecure", false, "accept every certificate of the "+side+": whoever stands between can read the password")
	}
	f.BoolVar(&p.allowPlaintext, "allow-plaintext", false, "let imap+plain:// send passwords over a network unprotected")
}

// staySmall has memory that is of no use any more collected earlier than usual: one
// mailbox is copied beside other work, and makes little of it.
func staySmall() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

func (p *pairFlags) pair(g *global) (app.Pair, error) {
	source, err := p.account(g, "source", p.source, p.sourcePassword, p.sourceTrust)
	if err != nil {
		return app.Pair{}, usageError(err)
	}
	target, err := p.account(g, "target", p.target, p.targetPassword, p.targetTrust)
	if err != nil {
		return app.Pair{}, usageError(err)
	}
	if source.Namespaces, err = migration.CheckNamespaces(p.namespaces); err != nil {
		return app.Pair{}, usageError(fmt.Errorf("--namespaces: %w", err))
	}
	out := app.Pair{Source: source, Target: target, StateFile: p.state}
	out.Include, out.Exclude, out.MapFolders = p.include, p.exclude, p.mapFolders
	if problems := migration.FolderRuleProblems(p.mapFolders); problems != nil {
		return out, usageError(fmt.Errorf("--map-folder: %s", strings.Join(problems, "\n  ")))
	}
	if out.Since, err = migration.ParseMoment(p.since); err != nil {
		return out, usageError(fmt.Errorf("--since: %w", err))
	}
	if out.Before, err = migration.ParseMoment(p.before); err != nil {
		return out, usageError(fmt.Errorf("--before: %w", err))
	}
	if !out.Since.IsZero() && !out.Before.IsZero() && !out.Since.Before(out.Before) {
		return out, usageError(fmt.Errorf("no message is from the time since %s and before %s", p.since, p.before))
	}
	return out, nil
}

// account reads one side's URL and password. An error never quotes the URL: there
// may be a password in it.
func (p *pairFlags) account(g *global, side, text, passwordFile string, trust migration.Trust) (imapmail.Account, error) {
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
	if err := checkTrust(side, trust, a.Security); err != nil {
		return a, err
	}
	if a.Trust = trust; trust.TLSInsecure {
		g.say("mailhaul: the %s's certificate is not checked (--%[1]s-tls-insecure): whoever stands between can read the password; better: --%[1]s-tls-pin", side)
	}
	a.Password, err = password(g, side, u, passwordFile)
	return a, err
}

func checkTrust(side string, t migration.Trust, s migration.Security) error {
	switch {
	case t == migration.Trust{}:
		return nil
	case s == migration.Plain:
		return fmt.Errorf("--%s-tls-pin and --%[1]s-tls-insecure need imaps:// or imap://: without TLS there is no certificate", side)
	case t.TLSPin != "" && t.TLSInsecure:
		return fmt.Errorf("--%s-tls-pin and --%[1]s-tls-insecure exclude each other", side)
	case t.TLSInsecure:
		return nil
	}
	if _, err := migration.ParsePin(t.TLSPin); err != nil {
		return fmt.Errorf("--%s-tls-pin: %w", side, err)
	}
	return nil
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
