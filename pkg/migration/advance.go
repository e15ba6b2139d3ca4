package migration

import (
	"fmt"
	"time"
)

// Result is how a pass ended.
type Result struct {
	Kind  PassKind
	Tally Tally
	// Progress is whether at least one window was committed.
	Progress bool
	// Again is whether it offered the messages once more that were skipped before.
	Again bool
	// LoggedIn is whether both sides let the pass in.
	LoggedIn bool
	// Yielded is set where the time slice ended or the process drains, with work left.
	Yielded bool
	// Rest is set beside Yielded where an endpoint of the pass rests.
	Rest *Rest
	// Fault is what ended it early, nil where nothing did.
	Fault *Fault
}

// Schedule is what Advance has to know of the user's batch.
type Schedule struct {
	Interval time.Duration // between resyncs
	Started  bool          // it was, once
}

// Backoff of the class retry.
const (
	minBackoff  = 30 * time.Second
	maxBackoff  = time.Hour
	giveUpAfter = 24 * time.Hour
	// defaultWait is how long a throttled user rests where the server named no time.
	defaultWait = 5 * time.Minute
	// Credentials that worked within trustLogin get one more try after a rejection, when
	// anotherTry is over: servers reject for a while what is right.
	trustLogin, anotherTry = 24 * time.Hour, 10 * time.Minute
	// maxTakeovers passes that died in a row without progress end the user, so that
	// one poisonous message cannot bring down a fleet for ever; accidentTakeovers where
	// workers die that had nothing to do with it, which is no message's doing.
	maxTakeovers      = 3
	accidentTakeovers = 2 * maxTakeovers
)

// Advance returns the user's next state after a pass. It is pure: what an operator
// asked meanwhile is in s.
func Advance(userID int64, s UserState, r Result, sch Schedule, now time.Time) UserState {
	switch r.Kind {
	case Preflighting:
		return afterPreflight(s, r, sch, now)
	case Verify:
		return afterVerify(userID, s, r, sch, now)
	}
	n := s
	n.Yielded = false
	n.Takeovers = 0
	n.NextRunAt = time.Time{}
	n.Code, n.Reason = "", ""
	if r.Progress || r.Fault == nil {
		n.Attempts, n.FailingSince = 0, time.Time{}
	}
	if r.LoggedIn {
		n.LoggedInAt = now
	}
	afterDeletions(&n, r)
	switch {
	case s.Removing:
		n.Status = UserRemoving
	case s.Stopping:
		n.stop()
	case r.Fault != nil:
		afterFault(userID, &n, r.Fault, sch, now)
		if n.Status == UserFailed && n.Kind() == Verify && !n.FirstSyncedAt.IsZero() { // asked in the middle of this pass, or before it
			n.NextRunAt = now
		}
	case r.Yielded && r.Rest != nil:
		n.Status, n.Yielded, n.NextRunAt = UserWaiting, true, r.Rest.Until
		n.Code, n.Reason = r.Rest.Code, r.Rest.Reason
	case r.Yielded:
		n.Status, n.Yielded, n.NextRunAt = UserQueued, true, now
	default:
		if n.FirstSyncedAt.IsZero() {
			n.FirstSyncedAt = now
		}
		n.LastSyncedAt, n.Again = now, s.Again && !r.Again
		if r.Kind == LastSync {
			n.Status = UserCompleted
			if r.Tally.Skipped+r.Tally.Failed > 0 {
				n.Status = UserCompletedWithWarnings
			}
			return n
		}
		n.Status = UserSynced
		n.NextRunAt = NextSync(userID, sch.Interval, now)
		if n.Again || n.VerifyDue { // asked in the middle of this pass
			n.NextRunAt = now
		}
		if s.Completing { // asked in the middle of this pass
			n.Status, n.NextRunAt = UserCompleting, now
		}
	}
	return n
}

// afterDeletions keeps what a sync asks about deletions. A confirmation is good for one
// sync that came to its end.
func afterDeletions(n *UserState, r Result) {
	asks := r.Fault != nil && r.Fault.Code == NeedsDecision
	n.DeletionsAsked = 0
	if asks {
		n.DeletionsAsked = r.Tally.ToDelete
	}
	if asks || r.Fault == nil && !r.Yielded {
		n.DeletionsConfirmed = 0
	}
}

func afterFault(userID int64, n *UserState, f *Fault, sch Schedule, now time.Time) {
	n.Code, n.Reason = f.Code, f.Reason
	if f.Scope == ScopeEndpoint && f.Class() != Wait {
		// The endpoint is parked, not the user: it is due as before, and no attempt counts.
		n.Status, n.NextRunAt = UserWaiting, now
		return
	}
	switch f.Class() {
	case Retry:
		n.Attempts++
		if n.FailingSince.IsZero() {
			n.FailingSince = now
		}
		if now.Sub(n.FailingSince) >= giveUpAfter {
			n.Status, n.NextRunAt = UserFailed, n.triedAgain(userID, sch, now)
			return
		}
		n.Status, n.NextRunAt = UserWaiting, now.Add(max(Backoff(n.Attempts), f.RetryAfter))
	case Wait:
		n.Status, n.NextRunAt = UserWaiting, now.Add(WaitFor(f))
	default:
		n.Status, n.NextRunAt = UserFailed, n.triedAgain(userID, sch, now)
		if f.Code == AuthFailed {
			n.Status = UserNeedsCredentials
			if !n.LoggedInAt.IsZero() && now.Sub(n.LoggedInAt) < trustLogin {
				n.Status, n.NextRunAt = UserWaiting, now.Add(anotherTry)
			}
			n.LoggedInAt = time.Time{} // once
		}
	}
}

// triedAgain is when a user that failed is synced all the same; zero: not by itself.
func (s *UserState) triedAgain(userID int64, sch Schedule, now time.Time) time.Time {
	// Where somebody has to decide all mail is carried, and goes on being so until then.
	if s.Code.Class() == Retry || s.Code == NeedsDecision {
		return NextSync(userID, sch.Interval, now)
	}
	return time.Time{}
}

// stop is what an operator's stop makes of a user whose pass has ended. Why it failed is
// told on where that pass was to look alone.
func (s *UserState) stop() {
	s.Stopping, s.NextRunAt = false, time.Time{}
	switch {
	case s.PreflightFrom != "":
		s.backFromPreflight()
		if s.Status == UserCreated {
			s.Status = UserStopped
		}
	case s.Status != UserFailed:
		s.Status, s.Code, s.Reason = UserStopped, "", ""
	}
}

// WaitFor is how long a mailbox is parked after a fault of the class wait.
func WaitFor(f *Fault) time.Duration {
	if f.RetryAfter > 0 {
		return f.RetryAfter
	}
	return defaultWait
}

// Backoff is the time to wait after the nth fault in a row: 30 s, doubling up to an
// hour.
func Backoff(n int) time.Duration {
	d := minBackoff
	for ; n > 1 && d < maxBackoff; n-- {
		d *= 2
	}
	return min(d, maxBackoff)
}

// TakeOver returns the user's state after its pass died without a word: it is due
// again at once and no attempt counts, unless too many have died so in a row.
// kind is the dead pass's, progress whether it had committed a window, died how many
// workers have died lately, this one among them.
func TakeOver(userID int64, s UserState, kind PassKind, progress bool, died int, sch Schedule, now time.Time) UserState {
	n := s
	n.Takeovers++
	if progress {
		n.Takeovers = 0
	}
	most := maxTakeovers
	if died > n.Takeovers {
		most = accidentTakeovers
	}
	switch {
	case s.Removing:
		n.Status, n.NextRunAt = UserRemoving, time.Time{}
	case s.Stopping:
		n.stop()
	case n.Takeovers >= most:
		n.VerifyDue = s.VerifyDue && kind != Verify
		if s.PreflightFrom == UserFailed || s.PreflightFrom == UserNeedsCredentials { // and says why
			n.EndPreflight()
			return n
		}
		if s.Status != UserFailed { // as during a verify, which does not hide why
			n.Status, n.Code, n.PreflightFrom = UserFailed, Internal, ""
			n.Reason = fmt.Sprintf("%d workers in a row died on this mailbox without getting on", n.Takeovers)
		}
		n.Takeovers, n.NextRunAt = 0, n.triedAgain(userID, sch, now)
	case kind == Verify:
		n.Status, n.NextRunAt = s.beforeVerify(), now
	default:
		n.Status, n.Yielded, n.NextRunAt = UserQueued, true, now
	}
	return n
}
