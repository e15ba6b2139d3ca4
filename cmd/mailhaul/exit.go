package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitExceptions  = 3 // finished, but items were skipped or failed
	exitUnreachable = 10
	exitAuth        = 11
	exitConflict    = 12
	exitInterrupted = 130
)

// exitCodes are told by help and by the reference.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitDone, "in step, or done"},
	{exitFailed, "failed"},
	{exitUsage, "usage or configuration"},
	{exitExceptions, "finished with exceptions (items skipped or failed)"},
	{exitUnreachable, "unreachable"},
	{exitAuth, "authentication"},
	{exitConflict, "conflict"},
	{exitInterrupted, "interrupted"},
}

// exitHelp is the list of them, for help.
func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, c := range exitCodes {
		fmt.Fprintf(&b, "  %-4d %s\n", c.code, c.meaning)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// exitError ends the program with a code. Err may be nil: all has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError marks what the caller of the program got wrong; nil stays nil.
func usageError(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{exitUsage, err}
}

func exitCode(err error) int {
	var exit *exitError
	var p *client.Problem
	var f *migration.Fault
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, new(*config.Error)), ofCobra(err):
		return exitUsage
	case errors.Is(err, client.ErrUnreachable):
		return exitUnreachable
	case errors.As(err, &p):
		return codeOfProblem(p)
	case errors.As(err, &f):
		return codeOf(f.Code)
	}
	return exitFailed
}

// ofCobra recognises the errors that cobra makes without a hook of ours.
func ofCobra(err error) bool {
	for _, begin := range []string{"unknown command", "required flag(s)", "if any flags in the group"} {
		if strings.HasPrefix(err.Error(), begin) {
			return true
		}
	}
	return false
}

// codeOfProblem goes by the status: the code may speak of a mail server, which is not
// what 10 and 11 mean for a client of the API; but for a test of that server, which
// tells its stages.
func codeOfProblem(p *client.Problem) int {
	switch {
	case len(p.Stages) > 0:
		return codeOf(migration.Code(p.Code))
	case p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden:
		return exitAuth
	case p.Status == http.StatusConflict && p.Code != string(migration.NeedsDecision) && p.Code != string(migration.NotReadyToRemove):
		return exitConflict
	case p.Code == string(migration.InvalidArgument):
		return exitUsage
	}
	return exitFailed
}

// codeOf is for commands that speak to mail servers themselves.
func codeOf(c migration.Code) int {
	switch c {
	case migration.Unauthorized, migration.Forbidden, migration.AuthFailed, migration.AuthorizationMissing:
		return exitAuth
	case migration.Conflict, migration.DuplicateInOtherBatch, migration.AlreadyBeingMoved:
		return exitConflict
	case migration.InvalidArgument:
		return exitUsage
	case migration.ConnectionFailed, migration.TLSFailed, migration.CertificateInvalid:
		return exitUnreachable
	}
	return exitFailed
}

// explain tells an error, with all that the API said about it and what to do.
func (g *global) explain(err error) {
	var exit *exitError
	if err == nil || errors.As(err, &exit) && exit.err == nil {
		return
	}
	g.say("mailhaul: %v", err)
	if errors.Is(err, client.ErrUnreachable) {
		g.say("  Start the service (mailhaul up), or tell where it is (MAILHAUL_API or --api; now %s).", g.api)
	}
	var p *client.Problem
	if !errors.As(err, &p) {
		return
	}
	for _, x := range p.Problems {
		if len(p.Problems) == 1 && p.More == 0 && strings.Contains(p.Detail, x.Reason) {
			break // it was all that the first line told
		}
		where := x.Column
		if x.Line > 0 {
			where = strings.TrimSuffix(fmt.Sprintf("line %d, %s", x.Line, x.Column), ", ")
		}
		g.say("  %s: %s", where, x.Reason)
	}
	if p.More > 0 {
		g.say("  and %d more", p.More)
	}
	for _, s := range p.Stages {
		if s.Detail != "" && strings.Contains(p.Detail, s.Detail) {
			s.Detail = "" // the first line told it
		}
		g.say("  %s", stageLine(s))
	}
	if p.TraceID != "" {
		g.say("  trace id: %s", p.TraceID)
	}
	if p.Remedy != "" {
		g.say("  %s", p.Remedy)
	}
}

// say writes a line for people. What servers said is made fit for a terminal.
func (g *global) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for line := range strings.SplitSeq(text, "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		_, _ = fmt.Fprintln(g.err, indent+migration.Clean(line))
	}
}
