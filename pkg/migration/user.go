package migration

import (
	"hash/fnv"
	"strconv"
	"time"
)

// UserStatus is what is told of one user.
type UserStatus string

// The user's statuses.
const (
	UserCreated               UserStatus = "Created"
	UserValidating            UserStatus = "Validating" // preflight runs
	UserQueued                UserStatus = "Queued"     // due, or admitted and not yet claimed
	UserSyncing               UserStatus = "Syncing"
	UserSynced                UserStatus = "Synced"
	UserIncrementalSyncing    UserStatus = "IncrementalSyncing"
	UserWaiting               UserStatus = "Waiting" // see ResumesAt
	UserNeedsCredentials      UserStatus = "NeedsCredentials"
	UserFailed                UserStatus = "Failed"
	UserStopped               UserStatus = "Stopped"
	UserCompleting            UserStatus = "Completing"
	UserCompleted             UserStatus = "Completed"
	UserCompletedWithWarnings UserStatus = "CompletedWithWarnings"
	UserRemoving              UserStatus = "Removing"
)

// UserStatuses are all of them, in the order of a user's life.
var UserStatuses = []UserStatus{
	UserCreated, UserValidating, UserQueued, UserSyncing, UserSynced, UserIncrementalSyncing, UserWaiting,
	UserNeedsCredentials, UserFailed, UserStopped, UserCompleting, UserCompleted, UserCompletedWithWarnings, UserRemoving,
}

// User is one mailbox pair of a batch.
type User struct {
	ID      int64
	OrgID   int64
	BatchID int64

	EmailAddress   string // the target mailbox
	UserName       string // source login
	TargetUserName string // target login, "" for EmailAddress
	UserRoot       string
	TargetRoot     string
	SourceSecret   []byte // sealed; nil where the endpoint's administrator logs in
	TargetSecret   []byte

	UserState

	Totals Totals
	Last   Tally // of the latest pass, or of the running one so far
	// Running is set while Last is of a pass under way, whose numbers are not yet in
	// Totals. A pass that has not committed anything yet has left Last as it was.
	Running bool
	// Traffic is what passes copied for the user on a day.
	Traffic Traffic
	// Resumes is what ResumesAt told when the user was read for somebody; it is not kept.
	Resumes time.Time
}

// Messages tells the user's messages over all passes, the running one included.
func (u *User) Messages() Tally { return u.Totals.Messages(u.Last, u.Running) }

// UserState is the part of a user that Advance moves on.
type UserState struct {
	Status UserStatus
	Code   Code // of the last fault, "" without
	Reason string
	// NextRunAt is when the user is due; zero: not by itself.
	NextRunAt time.Time
	// Yielded users were in the middle and go before those not yet begun.
	Yielded bool
	// Attempts counts faults since the last progress, FailingSince dates the first.
	Attempts     int
	FailingSince time.Time
	// Takeovers counts passes that died in a row without a committed window.
	Takeovers int
	// Stopping, Completing and Removing are what an operator asked of this user while
	// a pass may still run.
	Stopping   bool
	Completing bool
	Removing   bool
	// VerifyDue is set when a verify was asked for and has not run yet.
	VerifyDue bool
	// Again is set when somebody says that what kept messages back is mended: the next sync
	// offers them once more.
	Again bool
	// DeletionsAsked is how many deletions the latest sync asks to have confirmed,
	// DeletionsConfirmed how many an operator has confirmed for the next one; 0: none.
	DeletionsAsked, DeletionsConfirmed int64
	// PreflightFrom is where the user was when a preflight was asked for that has not
	// run yet, and goes back to; "": none is due.
	PreflightFrom UserStatus

	FirstSyncedAt time.Time // zero: never
	LastSyncedAt  time.Time
	// LoggedInAt is when a pass last got in on both sides; zero: never with these
	// credentials, or rejected since.
	LoggedInAt time.Time
}

// WantsCredentials is whether new credentials bring the user on at once: those that it has
// were rejected, or (Internal) may be what could not be unsealed.
func (s UserState) WantsCredentials() bool {
	switch s.Status {
	case UserNeedsCredentials:
		return true
	case UserWaiting, UserFailed:
		return s.Code == AuthFailed || s.Code == Internal
	}
	return false
}

// Forgive clears what is held against a user: its last fault, and the tries that faults cost.
func (s *UserState) Forgive() {
	s.Code, s.Reason = "", ""
	s.Attempts, s.FailingSince, s.Takeovers = 0, time.Time{}, 0
}

// ResumesAt is when a Waiting user goes on by itself: its own time, or when both endpoints
// have opened by then. Zero where it does not wait, where nothing but its turn keeps it,
// and where an endpoint is held: that takes somebody.
func (s UserState) ResumesAt(source, target *Endpoint, now time.Time) time.Time {
	if s.Status != UserWaiting || s.NextRunAt.IsZero() {
		return time.Time{}
	}
	t := s.NextRunAt
	if t.Before(now) {
		t = now
	}
	for range 2 { // what the second waits for may be a time at which the first is closed again
		for _, e := range []*Endpoint{source, target} {
			if e.Park.Held {
				return time.Time{}
			}
			if e.Park.Until.After(t) {
				t = e.Park.Until
			}
			if r := e.RestAt(t); r != nil {
				t = r.Until
			}
		}
	}
	if !t.After(now) {
		return time.Time{}
	}
	return t
}

// Totals are sums over all passes of a user.
type Totals struct {
	Copied, Adopted, Redelivered, Surplus, MovedAtSource, FlagsUpdated int64
	Deleted, KeptAtTarget                                              int64
	Bytes                                                              int64
}

// Add returns t with what a finished pass did.
func (t Totals) Add(p Tally) Totals {
	t.Copied += p.Copied
	t.Adopted += p.Adopted
	t.Redelivered += p.Redelivered
	t.Surplus += p.Surplus
	t.MovedAtSource += p.MovedAtSource
	t.FlagsUpdated += p.FlagsUpdated
	t.Deleted += p.Deleted
	t.KeptAtTarget += p.KeptAtTarget
	t.Bytes += p.Bytes
	return t
}

// Messages tells a user's messages over all passes: copied and adopted since the
// beginning, skipped and failed as the latest pass left them, unchanged what
// Mailhaul did not bring itself. Seen is their sum once a pass has ended; while
// messages are still to come it is the number surveyed.
//
// running says that last is the pass under way, whose numbers are not yet in t.
func (t Totals) Messages(last Tally, running bool) Tally {
	if running {
		t = t.Add(last)
	}
	m := last
	m.Copied, m.Adopted = t.Copied, t.Adopted
	m.Redelivered, m.Surplus, m.MovedAtSource, m.FlagsUpdated = t.Redelivered, t.Surplus, t.MovedAtSource, t.FlagsUpdated
	m.Deleted, m.KeptAtTarget = t.Deleted, t.KeptAtTarget
	m.Bytes = t.Bytes
	earlier := t.Copied - last.Copied + t.Adopted - last.Adopted
	m.Unchanged = max(0, last.Unchanged-earlier)
	m.Seen = max(last.Seen, m.Unchanged+m.Copied+m.Adopted+m.Skipped+m.Failed)
	return m
}

// PassKind is why a pass runs; it decides its place in the queue.
type PassKind string

// The kinds of pass.
const (
	FirstSync PassKind = "first"
	Resync    PassKind = "resync"
	LastSync  PassKind = "complete"
	Verify    PassKind = "verify"
	// Preflighting looks at both sides, and changes neither.
	Preflighting PassKind = "preflight"
)

// Kind returns what kind of pass the user is due for.
func (s UserState) Kind() PassKind {
	switch {
	case s.PreflightFrom != "" && !s.Completing:
		return Preflighting
	case s.VerifyDue && !s.Completing && s.Status != UserQueued: // who is has a sync to come first
		return Verify
	case s.Completing:
		return LastSync
	case s.FirstSyncedAt.IsZero():
		return FirstSync
	default:
		return Resync
	}
}

// RunningStatus is the status while a pass of kind k runs.
func RunningStatus(k PassKind) UserStatus {
	switch k {
	case LastSync:
		return UserCompleting
	case Resync, Verify:
		return UserIncrementalSyncing
	case Preflighting:
		return UserValidating
	default:
		return UserSyncing
	}
}

// NextSync returns the first time after now at which the user's turn comes round:
// each user has a fixed place in the interval, so that a batch's resyncs are spread
// over all of it. A turn less than a tenth of the interval away is passed over.
func NextSync(userID int64, interval time.Duration, now time.Time) time.Time {
	if interval <= 0 {
		return now
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(strconv.FormatInt(userID, 10)))
	place := time.Duration(h.Sum64() % uint64(interval))
	earliest := now.Add(interval / 10)
	since := earliest.Sub(time.Unix(0, 0)) - place
	turns := since / interval
	if since%interval > 0 {
		turns++
	}
	return time.Unix(0, 0).Add(place + turns*interval).In(now.Location())
}
