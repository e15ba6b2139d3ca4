package migration

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Code names what went wrong, for people and programs; the catalogue below says
// what is to be done. Codes are part of the API.
type Code string

// The failure catalogue.
const (
	AuthFailed            Code = "AuthFailed"
	AuthorizationMissing  Code = "AuthorizationMissing"
	ConnectionFailed      Code = "ConnectionFailed"
	TLSFailed             Code = "TLSFailed"
	CertificateInvalid    Code = "CertificateInvalid"
	Throttled             Code = "Throttled"
	BudgetExhausted       Code = "BudgetExhausted"
	QuotaExceeded         Code = "QuotaExceeded"
	TargetNotFound        Code = "TargetNotFound"
	TargetNotPrepared     Code = "TargetNotPrepared"
	DuplicateInOtherBatch Code = "DuplicateInOtherBatch"
	AlreadyBeingMoved     Code = "AlreadyBeingMoved"
	NotInScope            Code = "NotInScope"
	SourceChanged         Code = "SourceChanged"
	FolderNameCollision   Code = "FolderNameCollision"
	MessageTooLarge       Code = "MessageTooLarge"
	MessageRejected       Code = "MessageRejected"
	MessageUnreadable     Code = "MessageUnreadable"
	TooManyBadItems       Code = "TooManyBadItems"
	NotReadyToRemove      Code = "NotReadyToRemove"
	CsvEncoding           Code = "CsvEncoding"
	CsvInvalid            Code = "CsvInvalid"
	NeedsDecision         Code = "NeedsDecision"
	Internal              Code = "Internal"

	// Of a move between two tenants.
	SeatMissing       Code = "SeatMissing"
	MailboxOnHold     Code = "MailboxOnHold"
	NotAcceptedDomain Code = "NotAcceptedDomain"

	// Of folders, beside the others: nothing failed, and something stays behind.
	LeftOutByPreset Code = "LeftOutByPreset"
	FolderNotWhole  Code = "FolderNotWhole"

	// The API's own.
	NotFound        Code = "NotFound"
	Unauthorized    Code = "Unauthorized"
	Forbidden       Code = "Forbidden"
	Conflict        Code = "Conflict"
	InvalidArgument Code = "InvalidArgument"
)

// Class is what happens next, and who has to do it.
type Class string

// The remedy classes.
const (
	Retry        Class = "retry"          // by itself, with backoff
	FixAndResume Class = "fix-and-resume" // the operator mends it, then starts again
	Wait         Class = "wait"           // by itself, when the time has come
	Resubmit     Class = "resubmit"       // the request has to be made anew
	Decide       Class = "decide"         // listed; the operator decides what to do
)

// Scope is how much a fault stops.
type Scope string

// The scopes, from narrow to wide.
const (
	ScopeMessage  Scope = "message"
	ScopeFolder   Scope = "folder"
	ScopeUser     Scope = "user"
	ScopeEndpoint Scope = "endpoint" // the connection at least; of a service: all its users
)

// Side is the mailbox at which a fault arose.
type Side string

// The sides.
const (
	Source Side = "source"
	Target Side = "target"
)

type remedy struct {
	class  Class
	advice string
}

var catalogue = map[Code]remedy{
	AuthFailed:            {FixAndResume, "Give the right user name and password; many providers want an app password or an authorization code from their settings, not the one for the web (see the server's words). A user of a batch gets it with mailhaul user set-credentials, an endpoint's administrator with mailhaul endpoint set --admin-password-file; then it goes on by itself."},
	AuthorizationMissing:  {FixAndResume, "The server knows the login and does not let it into this mailbox: turn IMAP on for the mailbox at its provider, give the account the permission, or mend the endpoint's login template, as the server's words say; then retry the user (mailhaul user retry)."},
	ConnectionFailed:      {Retry, "Check host, port, firewall and whether the server is up (mailhaul endpoint test); a batch tries again by itself."},
	TLSFailed:             {Retry, "Check the port and the security setting of the endpoint (tls, starttls; none on a network of your own); a batch tries again by itself."},
	CertificateInvalid:    {FixAndResume, "Let the server present a valid certificate for its name, or set the endpoint's host to the name in the certificate; an authority of your own is trusted with SSL_CERT_FILE in the environment of the process that connects. A certificate that cannot be mended is trusted by its key: compare the pin in the reason with the server's own, and set it as tlsPin (--tls-pin)."},
	Throttled:             {Wait, "The server asked for time; it goes on by itself. Fewer concurrent migrations at this endpoint make it rarer."},
	BudgetExhausted:       {Wait, "The daily budget of the endpoint, or of this mailbox there, is used up; it goes on by itself when the day (UTC) is over, or at once when the budget is raised (mailhaul endpoint set --daily-bytes, --daily-bytes-per-mailbox)."},
	QuotaExceeded:         {FixAndResume, "The target mailbox is full: raise its quota or make room, then retry the user (mailhaul user retry); it goes on where it stopped."},
	TargetNotFound:        {FixAndResume, "Create the target mailbox, then retry the user (mailhaul user retry)."},
	TargetNotPrepared:     {FixAndResume, "The target cannot do what the batch asks of it: prepare it, or change the batch's setting, as the reason says; then retry the user (mailhaul user retry)."},
	DuplicateInOtherBatch: {Resubmit, "Remove the user from the other batch or from this file, then submit again."},
	AlreadyBeingMoved:     {Wait, "Another migration holds this mailbox. A user of a batch goes on by itself when that one has ended; a file that was refused for it is submitted again then, or now without its line."},
	NotInScope:            {FixAndResume, "Ask the source's administrator to add the mailbox to the scope list, then retry the user."},
	SourceChanged:         {Retry, "The folder changed under the copy; the next pass looks at it anew."},
	FolderNameCollision:   {Decide, "Two folders would become one: change the mapping rules (mailhaul batch set --map-folder; sync --map-folder) or rename one of them, then retry the user."},
	MessageTooLarge:       {Decide, "The message is larger than the target takes: raise the target's limit (or the batch's --max-message-size) and retry the user (mailhaul user retry), or leave it behind."},
	MessageRejected:       {Decide, "The target refuses this message: see its words; mend the cause and retry the user (mailhaul user retry), or save the message by hand if it is needed."},
	MessageUnreadable:     {Decide, "The source does not deliver this message: repair it at the source and retry the user (mailhaul user retry), or leave it behind."},
	TooManyBadItems:       {Decide, "More messages were skipped than the batch allows: look at them (mailhaul user items), then raise the limit (mailhaul batch set --bad-item-limit) or mend the cause, and retry the user."},
	NotReadyToRemove:      {Decide, "A gate is not met: see which in the reason; meet it, or remove the batch all the same with --force."},
	CsvEncoding:           {Resubmit, "Save the file as UTF-8, or name its encoding (--encoding), and submit it again."},
	CsvInvalid:            {Resubmit, "Mend the lines that are listed and submit the file again."},
	NeedsDecision:         {Decide, "This cannot be undone: look at what the reason says, then give the command that it names, or repeat yours, with the confirmation that it asks for."},
	Internal:              {Retry, "It is tried again by itself. Where the reason does not say what to do, this is a fault of Mailhaul: please report it with the trace id."},
	SeatMissing:           {FixAndResume, "There is no move seat (licence) left for this mailbox: assign one on either side, then retry the user."},
	MailboxOnHold:         {FixAndResume, "The mailbox is on hold and must not move: have the hold lifted, then retry the user."},
	NotAcceptedDomain:     {FixAndResume, "The mailbox has an address of a domain that the target does not accept: add the domain there or take the address off, then retry the user."},
	LeftOutByPreset:       {Decide, "The preset of the source's endpoint leaves this folder out: ask for it with the batch's --include (--include '*' is every folder), or leave it behind."},
	FolderNotWhole:        {Decide, "The source shows no more messages of a folder: move those that show to another folder there once they are in step, and the rest comes with a further sync."},
	NotFound:              {Resubmit, "Check the name."},
	Unauthorized:          {Resubmit, "Give a valid token (--token or MAILHAUL_TOKEN); mailhaul up tells where its own is."},
	Forbidden:             {Resubmit, "Use a token with the role that this needs."},
	Conflict:              {Resubmit, "Look at the present state, then repeat what is still wanted."},
	InvalidArgument:       {Resubmit, "Correct the request."},
}

// Codes returns the whole catalogue, by name.
func Codes() []Code { return slices.Sorted(maps.Keys(catalogue)) }

// Known reports whether c is in the catalogue.
func (c Code) Known() bool { _, ok := catalogue[c]; return ok }

// Class returns the code's remedy class.
func (c Code) Class() Class { return catalogue[c].class }

// Remedy says in a sentence or two what the operator does about c.
func (c Code) Remedy() string { return catalogue[c].advice }

// Fault is an error with a meaning: the one kind of error that decisions are taken
// on. Everything else counts as Internal.
type Fault struct {
	Code  Code
	Scope Scope
	Side  Side // "" where it is neither's
	// RetryAfter is how long the server asked to be left alone; 0: it did not say.
	RetryAfter time.Duration
	// Reason is what was attempted and the server's own words, cleaned by Clean.
	Reason string
	Err    error // the cause, or nil
}

// NewFault returns a Fault; the reason is cleaned.
func NewFault(code Code, scope Scope, side Side, reason string, cause error) *Fault {
	return &Fault{Code: code, Scope: scope, Side: side, Reason: Clean(reason), Err: cause}
}

func (f *Fault) Error() string {
	s := string(f.Code)
	if f.Side != "" {
		s += " (" + string(f.Side) + ")"
	}
	if f.Reason != "" {
		s += ": " + f.Reason
	}
	if f.Err != nil && !strings.Contains(f.Reason, f.Err.Error()) {
		s += ": " + Clean(f.Err.Error())
	}
	return s
}

func (f *Fault) Unwrap() error { return f.Err }

// Class is the remedy class of the fault's code.
func (f *Fault) Class() Class { return f.Code.Class() }

// AsFault returns the Fault in err's chain, or an Internal one of scope user around
// err; nil for nil.
func AsFault(err error) *Fault {
	if err == nil {
		return nil
	}
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return &Fault{Code: Internal, Scope: ScopeUser, Reason: Clean(err.Error()), Err: err}
}

// Clean makes a stranger's words fit for a log, a report and a terminal: no control
// or format characters, valid UTF-8, at most 500 bytes.
func Clean(s string) string {
	s = printable(s)
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:497], "") + "..."
	}
	return s
}

// printable is Clean without the bound.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == unicode.ReplacementChar:
			return '?'
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.Join(strings.Fields(s), " ")
}

// ErrLeaseLost is the cause with which a pass's context ends when the lease on its
// target mailbox is no longer its own, and what the store answers to a stale token.
var ErrLeaseLost = fmt.Errorf("the lease on the target mailbox was lost")

// ErrDraining is the cause when the process has been asked to end.
var ErrDraining = fmt.Errorf("the process is draining")

// ErrStopped is the cause when an operator stopped or removed the user.
var ErrStopped = fmt.Errorf("stopped by an operator")
