package migration

import (
	"slices"
	"strings"
	"time"
)

// Preflight is what was found out about one user before anything is copied. Nothing
// was changed anywhere to find it.
type Preflight struct {
	At    time.Time     `json:"at"`
	Level Level         `json:"level"` // of its gravest finding
	Took  time.Duration `json:"took"`  // nanoseconds

	// What is to be carried, as the batch's filters have it.
	Folders  int64 `json:"folders"`
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"`
	// ToCome is Bytes without what earlier passes delivered. What the target holds of
	// the mail without our having brought it is in it.
	ToCome  int64    `json:"toCome"`
	Largest *Largest `json:"largest,omitempty"` // nil: there is no message
	// SizeLimit is the largest message that will be carried; 0: no limit is known.
	SizeLimit int64 `json:"sizeLimit"`
	TooLarge  int64 `json:"tooLarge"` // messages above it

	TargetFolders  int64  `json:"targetFolders"`
	TargetMessages int64  `json:"targetMessages"`
	Quota          *Quota `json:"quota,omitempty"` // nil: the target tells none

	// Renamed and LeftOut name folders, at most MaxNamed each.
	Renamed []RenamedFolder `json:"renamed,omitempty"`
	LeftOut []string        `json:"leftOut,omitempty"`

	Findings []Finding `json:"findings"`
}

// MaxNamed bounds the lists of folders in a Preflight; its findings count all.
const MaxNamed = 20

// Largest is the largest message.
type Largest struct {
	Folder string `json:"folder"`
	Size   int64  `json:"size"`
}

// Quota is how much a mailbox may hold and holds, in bytes.
type Quota struct {
	Used  int64 `json:"used"`
	Limit int64 `json:"limit"`
}

// RenamedFolder is a source folder that has another name at the target.
type RenamedFolder struct {
	From string    `json:"from"`
	To   string    `json:"to"`
	Why  RenameWhy `json:"why"`
}

// RenameWhy is why a folder has another name at the target.
type RenameWhy string

// The reasons for another name.
const (
	RenamedByPlace    RenameWhy = "place"    // it goes to the folder for the same use, or where a rule of the batch says
	RenamedCharacters RenameWhy = "spelling" // the target cannot hold the name
	RenamedApart      RenameWhy = "apart"    // two names would be one there, by case or form
)

// Level is how much a finding is in the way.
type Level int

// The levels.
const (
	LevelNote    Level = iota // well to know
	LevelWarning              // the mailbox moves, with exceptions
	LevelFailing              // it does not, as things are
)

var levelNames = []string{"note", "warning", "failing"}

func (l Level) String() string { return levelNames[min(max(l, 0), LevelFailing)] }

// FindingCode names what was found: a Code of the failure catalogue that a sync would
// meet, or one of those below.
type FindingCode string

// The findings that are no fault.
const (
	FindingRenamed     FindingCode = "FoldersRenamed"
	FindingLongNames   FindingCode = "FolderNamesLong"
	FindingLeftOut     FindingCode = "FoldersLeftOut"
	FindingTargetHolds FindingCode = "TargetHoldsMail"
	FindingNoQuota     FindingCode = "QuotaNotTold"
	FindingEmpty       FindingCode = "NothingToCarry"
	FindingConnections FindingCode = "ConnectionLimit"
)

// remedies of the findings; those of faults are the catalogue's.
var findingRemedies = map[FindingCode]string{
	FindingCode(QuotaExceeded):   "Raise the quota of the target mailbox before the batch is started, or carry less (--since, --exclude).",
	FindingCode(MessageTooLarge): "They are skipped and listed. Raise the target's limit, or save them by hand; in Microsoft 365 the limit can be raised to 150 MB.",
	FindingRenamed:               "Tell the user, or rename the folders at the source: the names differ from the source's.",
	FindingLongNames:             "Nothing, or rename the folders at the source: those that the target refuses arrive under a shorter name, which the sync tells.",
	FindingLeftOut:               "Nothing, where it is meant; else change the batch's --exclude and --include.",
	FindingTargetHolds:           "Nothing: messages that are the source's are recognised and not copied again; others stay beside them.",
	FindingNoQuota:               "Look up the mailbox's size limit in the target's administration.",
	FindingEmpty:                 "Look whether the user name and the filters are the right ones, or leave the user out.",
	FindingConnections:           "Change the endpoint's limits (mailhaul endpoint set), or the server's.",
}

// Remedy says what the operator does about it.
func (c FindingCode) Remedy() string {
	if r, ok := findingRemedies[c]; ok {
		return r
	}
	return Code(c).Remedy()
}

// Finding is one thing that a preflight found.
type Finding struct {
	Code  FindingCode `json:"code"`
	Level Level       `json:"level"`
	Side  Side        `json:"side,omitempty"`
	Text  string      `json:"text"`
}

// FindFault adds what a sync would end with.
func (p *Preflight) FindFault(f *Fault) {
	p.Find(FindingCode(f.Code), LevelFailing, f.Side, f.Reason)
}

// Find adds a finding; the gravest stand first.
func (p *Preflight) Find(code FindingCode, level Level, side Side, text string) {
	at := slices.IndexFunc(p.Findings, func(f Finding) bool { return f.Level < level })
	if at < 0 {
		at = len(p.Findings)
	}
	p.Findings = slices.Insert(p.Findings, at, Finding{code, level, side, Clean(text)})
	p.Level = max(p.Level, level)
}

// Codes are the codes of its findings with their levels, each once and sorted, as one
// word: users with the same are counted together.
func (p *Preflight) Codes() string {
	words := make([]string, 0, len(p.Findings))
	for _, f := range p.Findings {
		words = append(words, string(f.Code)+":"+f.Level.String())
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " ")
}

// CodesOf reads what Codes wrote.
func CodesOf(words string) map[FindingCode]Level {
	out := map[FindingCode]Level{}
	for _, w := range strings.Fields(words) {
		code, level, _ := strings.Cut(w, ":")
		out[FindingCode(code)] = max(out[FindingCode(code)], Level(slices.Index(levelNames, level)))
	}
	return out
}

// UserPreflight is a Preflight with its user.
type UserPreflight struct {
	EmailAddress string
	Preflight
}

// PreflightGroup is the users of a batch whose preflights found the same things.
type PreflightGroup struct {
	Codes                    string // as Preflight.Codes
	Level                    Level
	Users                    int
	Folders, Messages, Bytes int64
	ToCome                   int64
	// LargestBytes and LargestMessages are of the largest mailbox among them.
	LargestBytes, LargestMessages int64
}

// afterPreflight is Advance for a preflight: whatever it found, the user is back where
// it was, or where an operator wants it by now. Attempts are a sync's, and stay.
func afterPreflight(s UserState, r Result, sch Schedule, now time.Time) UserState {
	n := s
	n.Yielded, n.Takeovers, n.NextRunAt = false, 0, time.Time{}
	if r.LoggedIn {
		n.LoggedInAt = now
	}
	rejected := r.Fault != nil && r.Fault.Code == AuthFailed && r.Fault.Scope != ScopeEndpoint
	switch {
	case s.Removing:
		n.Status, n.PreflightFrom = UserRemoving, ""
	case s.Stopping:
		n.stop()
	case rejected:
		n.Status, n.PreflightFrom, n.Code, n.Reason, n.LoggedInAt = UserNeedsCredentials, "", r.Fault.Code, r.Fault.Reason, time.Time{}
	case s.PreflightFrom == "": // started meanwhile
		n.Status, n.NextRunAt, n.Code, n.Reason = UserQueued, now, "", ""
		if s.Completing {
			n.Status = UserCompleting
		}
	case r.Fault != nil && r.Fault.Class() == Wait:
		n.Status, n.NextRunAt = UserWaiting, now.Add(WaitFor(r.Fault))
		n.why(r.Fault.Code, r.Fault.Reason)
	case r.Yielded && r.Rest != nil:
		n.Status, n.Yielded, n.NextRunAt = UserWaiting, true, r.Rest.Until
		n.why(r.Rest.Code, r.Rest.Reason)
	case r.Yielded:
		n.Status, n.NextRunAt = UserQueued, now
		n.why("", "")
	default:
		if n.PreflightFrom == UserNeedsCredentials && r.LoggedIn { // they were mended
			n.PreflightFrom, n.Code, n.Reason = UserCreated, "", ""
			if sch.Started {
				n.PreflightFrom = UserStopped
			}
		}
		n.backFromPreflight()
	}
	return n
}

// why says what a preflight waits for. Why a user failed earlier is told on.
func (s *UserState) why(code Code, reason string) {
	if s.PreflightFrom != UserFailed && s.PreflightFrom != UserNeedsCredentials {
		s.Code, s.Reason = code, reason
	}
}

func (s *UserState) backFromPreflight() {
	if s.PreflightFrom == "" {
		s.PreflightFrom = UserStopped
	}
	s.why("", "")
	s.Status, s.PreflightFrom = s.PreflightFrom, ""
}

// EndPreflight takes the user back from a preflight that no pass is at.
func (s *UserState) EndPreflight() {
	if s.PreflightFrom == "" {
		return
	}
	s.backFromPreflight()
	s.Yielded, s.Takeovers, s.NextRunAt = false, 0, time.Time{}
}
