package migration

import (
	"testing"
	"time"
)

// TestAVerifyHidesNothingThatASyncReported, whatever the sync reported and however the
// verify ends.
func TestAVerifyHidesNothingThatASyncReported(t *testing.T) {
	next := NextSync(7, dayLong, noon)
	sch := Schedule{Interval: dayLong}
	for _, code := range Codes() {
		s := UserState{
			Status: UserFailed, Code: code, Reason: "why", VerifyDue: true, FirstSyncedAt: noon.Add(-dayLong), LastSyncedAt: noon.Add(-time.Hour),
		}
		if code == NeedsDecision {
			s.DeletionsAsked = 40
		}
		if code.Class() == Retry { // after a day of attempts
			s.Attempts, s.FailingSince = 30, noon.Add(-dayLong)
		}
		want := s
		if code == NeedsDecision || code.Class() == Retry {
			want.NextRunAt = next
		}
		given := func(change func(*UserState)) UserState { w := want; change(&w); return w }
		over := given(func(w *UserState) { w.VerifyDue = false })
		at := func(t time.Time) UserState { return given(func(w *UserState) { w.NextRunAt = t }) }
		fault := func(c Code, scope Scope) *Fault {
			return &Fault{Code: c, Scope: scope, RetryAfter: time.Minute, Reason: "of the verify"}
		}
		for _, x := range []struct {
			name   string
			result Result
			want   UserState
		}{
			{"all the same", Result{}, over},
			{"it is broken off", Result{Yielded: true}, at(noon)},
			{"the endpoint rests", Result{Yielded: true, Rest: &Rest{Until: noon.Add(time.Hour), Reason: "closed"}}, at(noon.Add(time.Hour))},
			{"the endpoint is parked", Result{Fault: fault(ConnectionFailed, ScopeEndpoint)}, at(noon)},
			{"throttled", Result{Fault: fault(Throttled, ScopeUser)}, at(noon.Add(time.Minute))},
			{"it fails for good", Result{Fault: fault(TargetNotFound, ScopeUser)}, over},
		} {
			x.result.Kind = Verify
			if got := Advance(7, s, x.result, sch, noon); got != x.want {
				t.Errorf("failed with %s, %s:\n%+v, want\n%+v", code, x.name, got, x.want)
			}
		}
		rejected := Result{Kind: Verify, Fault: fault(AuthFailed, ScopeUser)}
		if got := Advance(7, s, rejected, sch, noon); got.Status != UserNeedsCredentials || got.Code != AuthFailed || got.DeletionsAsked != s.DeletionsAsked {
			t.Errorf("failed with %s, and the credentials are rejected: %+v", code, got)
		}
		for _, asked := range []func(*UserState){func(s *UserState) { s.Stopping = true }, func(s *UserState) { s.Takeovers = 2 }} {
			u := s
			asked(&u)
			got := Advance(7, u, Result{Kind: Verify, Yielded: true}, sch, noon)
			if !u.Stopping {
				got = TakeOver(7, u, Verify, false, 1, sch, noon)
			}
			if got.Status != UserFailed || got.Code != code || got.Reason != "why" || got.Stopping || got.Takeovers != 0 {
				t.Errorf("failed with %s, stopped %v or its third worker dead: %+v", code, u.Stopping, got)
			}
		}
	}
}

// TestAVerifyPutsNoSyncOff: one that is due comes first, and one that failed for a while
// right after.
func TestAVerifyPutsNoSyncOff(t *testing.T) {
	sch := Schedule{Interval: dayLong}
	next := NextSync(7, dayLong, noon)
	in := UserState{Status: UserIncrementalSyncing, VerifyDue: true, FirstSyncedAt: noon}
	with := func(change func(*UserState)) UserState { s := in; change(&s); return s }
	lost := &Fault{Code: ConnectionFailed, Scope: ScopeUser, Reason: "lost"}
	for _, x := range []struct {
		name   string
		state  UserState
		result Result
		want   UserState // what tells
	}{
		{"in step", in, Result{Kind: Verify}, UserState{Status: UserSynced, NextRunAt: next}},
		{"in step, and broken off", in, Result{Kind: Verify, Yielded: true}, UserState{Status: UserSynced, VerifyDue: true, NextRunAt: noon}},
		{
			"in step, and the connection is lost", in,
			Result{Kind: Verify, Fault: lost},
			UserState{Status: UserWaiting, Code: ConnectionFailed, VerifyDue: true, NextRunAt: noon.Add(30 * time.Second)},
		},
		{
			"it was waiting for its next attempt", with(func(s *UserState) { s.Code, s.Attempts = ConnectionFailed, 3 }),
			Result{Kind: Verify},
			UserState{Status: UserQueued, Code: ConnectionFailed, NextRunAt: noon},
		},
		{
			"it was waiting for its endpoint, in the middle of a sync", with(func(s *UserState) { s.Yielded = true }),
			Result{Kind: Verify},
			UserState{Status: UserQueued, NextRunAt: noon},
		},
		{"deletions were confirmed in the middle", with(func(s *UserState) { s.DeletionsConfirmed = 4 }), Result{Kind: Verify}, UserState{Status: UserSynced, NextRunAt: noon}},
		{"a retry was asked for in the middle", with(func(s *UserState) { s.Again = true }), Result{Kind: Verify}, UserState{Status: UserSynced, NextRunAt: noon}},
		{"completion was asked in the middle", with(func(s *UserState) { s.Completing = true }), Result{Kind: Verify}, UserState{Status: UserCompleting, NextRunAt: noon}},
		{"the verify was asked in the middle of a sync", in, Result{Kind: Resync}, UserState{Status: UserSynced, VerifyDue: true, NextRunAt: noon}},
		{
			"the same, and the sync fails", in,
			Result{Kind: Resync, Fault: &Fault{Code: QuotaExceeded, Scope: ScopeUser}},
			UserState{Status: UserFailed, Code: QuotaExceeded, VerifyDue: true, NextRunAt: noon},
		},
	} {
		got := Advance(7, x.state, x.result, sch, noon)
		if got.Status != x.want.Status || got.Code != x.want.Code || got.VerifyDue != x.want.VerifyDue || !got.NextRunAt.Equal(x.want.NextRunAt) {
			t.Errorf("%s: %+v, want %+v", x.name, got, x.want)
		}
	}
	if kind := (UserState{Status: UserQueued, VerifyDue: true, FirstSyncedAt: noon}).Kind(); kind != Resync {
		t.Errorf("who is due for a sync has a %s first", kind)
	}
	for n, want := range []UserStatus{UserSynced, UserSynced, UserFailed} {
		if in = TakeOver(7, in, Verify, false, 1, sch, noon); in.Status != want || in.VerifyDue != (n < 2) {
			t.Errorf("worker %d dead: %+v", n+1, in)
		}
	}
}

// TestAPreflightThatKillsWorkersDoesNotHideWhyAUserFailed, nor does one that is stopped.
func TestAPreflightThatKillsWorkersDoesNotHideWhyAUserFailed(t *testing.T) {
	s := UserState{Status: UserValidating, PreflightFrom: UserFailed, Code: QuotaExceeded, Reason: "full", Takeovers: 2}
	for _, stopping := range []bool{true, false} {
		s.Stopping = stopping
		n := TakeOver(7, s, Preflighting, false, 1, Schedule{Interval: dayLong, Started: true}, noon)
		if n.Status != UserFailed || n.Code != QuotaExceeded || n.Reason != "full" || n.PreflightFrom != "" || n.Stopping || !n.NextRunAt.IsZero() {
			t.Errorf("stopping %v: %+v", stopping, n)
		}
	}
}
