package imapmail

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// operation is what a server was asked to do: the same words mean different things
// in different answers.
type operation uint

const (
	opLogin operation = 1 << iota
	opList
	opSelect
	opFetch
	opStore
	opAppend
	opCreate
	opSubscribe
	opRename
	opExpunge

	opAny = ^operation(0)
)

// rule is one row of the table: the first one whose operation, kind, code and text
// all fit decides. Empty ones fit everything.
type rule struct {
	op    operation
	kind  string   // NO, BAD or BYE
	codes []string // response codes (RFC 5530 and others), any of them
	texts []string // parts of the text in lower case, any of them
	code  migration.Code
	scope migration.Scope
}

// rules turn a server's refusal into a fault. A new server's words get a row here
// and one in the test, and nowhere else.
var rules = []rule{
	// Asked to wait. Microsoft 365, also with BYE; Gmail; Yahoo; Dovecot's
	// mail_max_userip_connections; NetEase's "Too many concurrent connections"; the QQ
	// family's "System busy!", which comes to LOGIN, STORE and whatever else; RFC 5530
	// section 3.
	{op: opAny, texts: []string{"suggested backoff time", "too many simultaneous", "too many concurrent", "maximum number of connections", "too many connections", "rate limit", "throttl", "command or bandwidth limits", "system busy"}, code: migration.Throttled, scope: migration.ScopeUser},
	{op: opAny, codes: []string{"THROTTLED"}, code: migration.Throttled, scope: migration.ScopeUser},
	{op: opAny &^ opAppend &^ opStore &^ opCreate, codes: []string{"LIMIT"}, code: migration.Throttled, scope: migration.ScopeUser},
	{op: opAny &^ opAppend &^ opStore &^ opCreate, codes: []string{"OVERQUOTA"}, code: migration.Throttled, scope: migration.ScopeUser},
	// Another holds the mailbox, or one folder of it: the others go on.
	{op: opLogin | opList, codes: []string{"INUSE"}, code: migration.Throttled, scope: migration.ScopeUser},
	{op: opAny, codes: []string{"INUSE"}, code: migration.Throttled, scope: migration.ScopeFolder},

	// No room. Dovecot sends the code; Cyrus "Over quota" and Courier "[ALERT] You
	// exceeded your mail quota" do not.
	{op: opAppend | opCreate, codes: []string{"OVERQUOTA"}, code: migration.QuotaExceeded, scope: migration.ScopeUser},
	{op: opAppend | opCreate, texts: []string{"over quota", "exceeded your mail quota", "quota exceeded", "exceeds quota", "mailbox is full", "out of space", "not enough space"}, code: migration.QuotaExceeded, scope: migration.ScopeUser},

	// Login. "authenticated but not connected" is Microsoft's for a missing
	// permission; PRIVACYREQUIRED and LOGINDISABLED want TLS first.
	{op: opLogin, codes: []string{"AUTHORIZATIONFAILED", "NOPERM"}, code: migration.AuthorizationMissing, scope: migration.ScopeUser},
	{op: opAny, texts: []string{"authenticated but not connected"}, code: migration.AuthorizationMissing, scope: migration.ScopeUser},
	// IMAP is turned off for the account: the password may be right. Gmail's "Your account
	// is not enabled for IMAP use" and Zoho's "You are yet to enable IMAP for your account",
	// both with [ALERT]; Ipswitch's "Full IMAP support is not enabled for this account".
	// Yandex's "invalid credentials or IMAP is disabled" leaves it open, and is a rejection.
	{op: opLogin, texts: []string{"not enabled for imap", "yet to enable imap", "imap support is not enabled", "imap access is disabled"}, code: migration.AuthorizationMissing, scope: migration.ScopeUser},
	{op: opLogin, codes: []string{"PRIVACYREQUIRED"}, code: migration.TLSFailed, scope: migration.ScopeEndpoint},
	{op: opLogin, codes: []string{"AUTHENTICATIONFAILED", "EXPIRED"}, code: migration.AuthFailed, scope: migration.ScopeUser},
	{op: opLogin, codes: []string{"UNAVAILABLE", "SERVERBUG", "CONTACTADMIN"}, code: migration.ConnectionFailed, scope: migration.ScopeUser},
	{op: opLogin, texts: []string{"temporar", "try again", "internal error", "server error", "unavailable", "timeout", "timed out", "server busy"}, code: migration.ConnectionFailed, scope: migration.ScopeUser},
	{op: opLogin, kind: "NO", code: migration.AuthFailed, scope: migration.ScopeUser},
	{op: opLogin, code: migration.ConnectionFailed, scope: migration.ScopeUser},

	// A passing failure of the server's, in one folder: the others go on.
	{op: opAny &^ opList, codes: []string{"UNAVAILABLE"}, code: migration.ConnectionFailed, scope: migration.ScopeFolder},
	{op: opSelect | opCreate | opSubscribe | opRename, codes: []string{"SERVERBUG"}, code: migration.ConnectionFailed, scope: migration.ScopeFolder},
	{op: opSelect | opAppend | opList, texts: []string{"unsafe login"}, code: migration.AuthorizationMissing, scope: migration.ScopeUser}, // NetEase
	{op: opAny &^ opFetch, codes: []string{"NOPERM"}, code: migration.AuthorizationMissing, scope: migration.ScopeFolder},
	{op: opSelect | opAppend | opCreate | opStore, texts: []string{"permission denied", "access denied", "selected read-only"}, code: migration.AuthorizationMissing, scope: migration.ScopeFolder},

	// A listing is of no folder: whatever the reason, the whole pass waits.
	{op: opList, kind: "NO", code: migration.ConnectionFailed, scope: migration.ScopeUser},

	// Folders. A folder that is gone is found by the next survey.
	{op: opAppend, codes: []string{"TRYCREATE", "NONEXISTENT"}, code: migration.SourceChanged, scope: migration.ScopeFolder},
	{op: opAppend, texts: []string{"mailbox does not exist", "invalid mailbox name"}, code: migration.SourceChanged, scope: migration.ScopeFolder}, // Cyrus, Courier, without a code
	{op: opSelect, kind: "NO", code: migration.SourceChanged, scope: migration.ScopeFolder},

	// Messages.
	{op: opAppend, codes: []string{"TOOBIG"}, code: migration.MessageTooLarge, scope: migration.ScopeMessage},
	{op: opAppend, texts: []string{"too large", "too big", "message size exceeds", "maximum message size", "exceeds maximum size"}, code: migration.MessageTooLarge, scope: migration.ScopeMessage},
	{op: opAppend, code: migration.MessageRejected, scope: migration.ScopeMessage},
	{op: opFetch, kind: "NO", code: migration.MessageUnreadable, scope: migration.ScopeMessage},
	{op: opStore | opCreate | opSubscribe, code: migration.MessageRejected, scope: migration.ScopeFolder},
	{op: opAny, kind: "NO", code: migration.SourceChanged, scope: migration.ScopeFolder},
}

func (r rule) fits(op operation, s status) bool {
	text := strings.ToLower(s.text)
	return r.op&op != 0 && (r.kind == "" || r.kind == s.kind) &&
		(len(r.codes) == 0 || containsFunc(r.codes, func(c string) bool { return c == s.code })) &&
		(len(r.texts) == 0 || containsFunc(r.texts, func(t string) bool { return strings.Contains(text, t) }))
}

func containsFunc(list []string, f func(string) bool) bool {
	for _, x := range list {
		if f(x) {
			return true
		}
	}
	return false
}

// backoff is Microsoft's "Suggested Backoff Time: 5000 milliseconds".
var backoff = regexp.MustCompile(`(?i)suggested backoff time:?\s*(\d{1,9})\s*(millisecond|second)?`)

// refusal turns a NO, BAD or BYE into a fault; what says what was attempted.
func refusal(op operation, s status, side migration.Side, what string) *migration.Fault {
	for _, r := range rules {
		if !r.fits(op, s) {
			continue
		}
		f := migration.NewFault(r.code, r.scope, side, what+": "+s.words(), nil)
		if m := backoff.FindStringSubmatch(s.text); m != nil {
			n, _ := strconv.Atoi(m[1])
			unit := time.Millisecond
			if strings.EqualFold(m[2], "second") {
				unit = time.Second
			}
			f.RetryAfter = time.Duration(n) * unit
		}
		return f
	}
	return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, side, what+": "+s.words(), nil)
}

// lost turns the end of a connection into a fault: the server's farewell if it said
// one, else what happened. A cause with which this side ended it stays itself.
func lost(err error, bye status, side migration.Side, what string) error {
	var k killed
	if errors.As(err, &k) {
		return fmt.Errorf("%s: %w", what, k.error)
	}
	var f *migration.Fault
	if errors.As(err, &f) {
		return fmt.Errorf("%s: %w", what, err)
	}
	if bye.kind == "BYE" && bye.text != "" {
		for _, r := range rules {
			if r.code == migration.Throttled && r.fits(opFetch, bye) {
				return refusal(opFetch, bye, side, what)
			}
		}
		return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, side, what+": "+bye.words(), err)
	}
	return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, side, what+": "+err.Error(), err)
}

// answered turns what go-imap returned into an error of this package.
func (s *session) answered(err error, op operation, what string) error {
	if err == nil {
		return nil
	}
	var refused *imap.Error
	if errors.As(err, &refused) && refused.Type != imap.StatusResponseTypeBye {
		st := status{kind: string(refused.Type), code: string(refused.Code), text: refused.Text, hush: s.account.Password}
		return refusal(op, st, s.account.Side, what)
	}
	bye, cause := s.conn.failure()
	if cause == nil || errors.Is(cause, errUnreadable) {
		cause = fmt.Errorf("%w: %s", errUnreadable, s.account.Password.Redact(err.Error()))
	}
	return lost(cause, bye, s.account.Side, what)
}

// unreachable turns a failed look-up, dial or handshake into a fault; code is what it
// is where nothing more is known.
func (a Account) unreachable(err error, code migration.Code, what string) error {
	var f *migration.Fault
	if errors.As(err, &f) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", what, err)
	}
	reason := strings.ReplaceAll(err.Error(), "\n", ": ") // errors.Join's
	if safe := a.Password.Redact(reason); safe != migration.NewSecret("").Redact(reason) {
		reason, err = safe, errors.New(safe) // a certificate may say anything
	}
	return migration.NewFault(code, migration.ScopeEndpoint, a.Side, what+": "+reason, err)
}
