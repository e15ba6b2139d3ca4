package migration

import "time"

// afterVerify is Advance for a verify. It compares and mends nothing, so what the latest
// sync reported stands: a user that failed stays so before, during and after it, and one
// that waits for its next attempt still has that to come. Only a rejected login is news
// that goes before: see AuthFailed.
func afterVerify(userID int64, s UserState, r Result, sch Schedule, now time.Time) UserState {
	n := s
	n.Takeovers, n.NextRunAt = 0, time.Time{}
	if r.LoggedIn {
		n.LoggedInAt = now
	}
	switch {
	case s.Removing:
		n.Status = UserRemoving
		return n
	case s.Stopping:
		n.stop()
		return n
	case r.Fault != nil:
		n.afterVerifyFault(userID, r.Fault, sch, now)
		return n
	case r.Yielded && r.Rest != nil:
		n.NextRunAt = r.Rest.Until
		if s.Status != UserFailed {
			n.Status, n.Yielded, n.Code, n.Reason = UserWaiting, true, r.Rest.Code, r.Rest.Reason
		}
	case r.Yielded:
		n.Status, n.NextRunAt = s.beforeVerify(), now
	default:
		n.verified(userID, s.beforeVerify(), sch, now)
	}
	if s.Completing && n.Status != UserFailed { // asked in the middle of this pass
		n.Status, n.NextRunAt = UserCompleting, now
	}
	return n
}

// beforeVerify is the status of a user before its verify began: nobody else than these is
// verified (see Kind), and one that is synced has nothing to tell.
func (s *UserState) beforeVerify() UserStatus {
	switch {
	case s.Status == UserFailed: // all the while
		return UserFailed
	case s.Code != "" || s.Yielded:
		return UserWaiting
	default:
		return UserSynced
	}
}

// verified is after a verify that came to its end.
func (s *UserState) verified(userID int64, from UserStatus, sch Schedule, now time.Time) {
	s.VerifyDue = false
	if s.Code.Class() != Retry {
		s.Attempts, s.FailingSince = 0, time.Time{}
	}
	switch from {
	case UserFailed:
		s.Status, s.NextRunAt = UserFailed, s.triedAgain(userID, sch, now)
	case UserWaiting:
		s.Status, s.NextRunAt = UserQueued, now
	default:
		s.Status, s.NextRunAt = UserSynced, NextSync(userID, sch.Interval, now)
		if s.Again || s.DeletionsConfirmed > 0 { // asked in the middle of this pass
			s.NextRunAt = now
		}
	}
}

// afterVerifyFault has a verify tried again as long as a sync would be. One that fails for
// good is given up: it is asked for again when what it met is mended.
func (s *UserState) afterVerifyFault(userID int64, f *Fault, sch Schedule, now time.Time) {
	n := *s
	n.Yielded = false
	afterFault(userID, &n, f, sch, now)
	switch {
	case s.Status != UserFailed || n.Status == UserNeedsCredentials:
		n.VerifyDue = n.Status != UserFailed
		*s = n
	case n.Status == UserWaiting:
		s.NextRunAt, s.Attempts, s.FailingSince, s.LoggedInAt = n.NextRunAt, n.Attempts, n.FailingSince, n.LoggedInAt
	default:
		s.VerifyDue, s.NextRunAt = false, s.triedAgain(userID, sch, now)
	}
}
