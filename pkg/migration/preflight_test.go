package migration

import (
	"testing"
	"time"
)

func TestAfterAPreflight(t *testing.T) {
	asked := func(from UserStatus) UserState { return UserState{Status: UserValidating, PreflightFrom: from} }
	with := func(s UserState, change func(*UserState)) UserState { change(&s); return s }
	fault := func(code Code, scope Scope) *Fault {
		return &Fault{Code: code, Scope: scope, Side: Target, RetryAfter: time.Minute, Reason: "why"}
	}
	failed := UserState{Status: UserValidating, PreflightFrom: UserFailed, Code: QuotaExceeded, Reason: "full", Attempts: 2, FailingSince: noon}
	tests := []struct {
		name    string
		state   UserState
		result  Result
		started bool
		want    UserState
	}{
		{"back where it was", asked(UserCreated), Result{LoggedIn: true}, false, UserState{Status: UserCreated, LoggedInAt: noon}},
		{"back to stopped", asked(UserStopped), Result{LoggedIn: true}, true, UserState{Status: UserStopped, LoggedInAt: noon}},
		{
			"what failed once is told on", failed,
			Result{},
			true,
			with(failed, func(s *UserState) { s.Status, s.PreflightFrom = UserFailed, "" }),
		},
		{
			"a rejected login needs credentials", asked(UserCreated),
			Result{Fault: fault(AuthFailed, ScopeUser)},
			false,
			UserState{Status: UserNeedsCredentials, Code: AuthFailed, Reason: "why"},
		},
		{"the administrator's is the endpoint's", asked(UserCreated), Result{Fault: fault(AuthFailed, ScopeEndpoint)}, false, UserState{Status: UserCreated}},
		{"a server that is down is a finding", asked(UserCreated), Result{Fault: fault(ConnectionFailed, ScopeEndpoint)}, false, UserState{Status: UserCreated}},
		{"credentials that were mended", asked(UserNeedsCredentials), Result{LoggedIn: true}, false, UserState{Status: UserCreated, LoggedInAt: noon}},
		{"the same once the batch was started", asked(UserNeedsCredentials), Result{LoggedIn: true}, true, UserState{Status: UserStopped, LoggedInAt: noon}},
		{
			"throttled", asked(UserCreated),
			Result{Fault: fault(Throttled, ScopeUser)},
			false,
			UserState{Status: UserWaiting, PreflightFrom: UserCreated, NextRunAt: noon.Add(time.Minute), Code: Throttled, Reason: "why"},
		},
		{"the process drains", asked(UserCreated), Result{Yielded: true}, false, UserState{Status: UserQueued, PreflightFrom: UserCreated, NextRunAt: noon}},
		{
			"the endpoint rests", asked(UserCreated),
			Result{Yielded: true, Rest: &Rest{Reason: "closed", Until: noon.Add(time.Hour)}},
			false,
			UserState{Status: UserWaiting, Yielded: true, PreflightFrom: UserCreated, NextRunAt: noon.Add(time.Hour), Reason: "closed"},
		},
		{"started meanwhile", asked(""), Result{Yielded: true}, true, UserState{Status: UserQueued, NextRunAt: noon}},
		{
			"completion was asked meanwhile", with(asked(""), func(s *UserState) { s.Completing = true }),
			Result{Yielded: true},
			true,
			UserState{Status: UserCompleting, Completing: true, NextRunAt: noon},
		},
		{"stopped meanwhile", with(asked(UserCreated), func(s *UserState) { s.Stopping = true }), Result{Yielded: true}, false, UserState{Status: UserStopped}},
		{
			"stopped meanwhile, and failed before", with(failed, func(s *UserState) { s.Stopping = true }),
			Result{Yielded: true},
			true,
			with(failed, func(s *UserState) { s.Status, s.PreflightFrom = UserFailed, "" }),
		},
		{
			"removed meanwhile", with(asked(UserCreated), func(s *UserState) { s.Removing = true }),
			Result{},
			false,
			UserState{Status: UserRemoving, Removing: true},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.result.Kind = Preflighting
			if got := Advance(7, tt.state, tt.result, Schedule{Interval: dayLong, Started: tt.started}, noon); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestFindingsTheGravestFirst(t *testing.T) {
	var p Preflight
	p.Find(FindingLeftOut, LevelNote, Source, "a")
	p.Find(FindingRenamed, LevelWarning, Target, "b\r\nc")
	p.FindFault(&Fault{Code: AuthFailed, Side: Target, Reason: "no"})
	p.Find(FindingLeftOut, LevelNote, Source, "d")
	if p.Level != LevelFailing || len(p.Findings) != 4 || p.Findings[0].Code != "AuthFailed" || p.Findings[1].Text != "b c" || p.Findings[3].Text != "d" {
		t.Errorf("findings %+v of level %s", p.Findings, p.Level)
	}
	if got := p.Codes(); got != "AuthFailed:failing FoldersLeftOut:note FoldersRenamed:warning" {
		t.Errorf("codes %q", got)
	}
	codes := CodesOf(p.Codes())
	if len(codes) != 3 || codes["AuthFailed"] != LevelFailing || codes[FindingRenamed] != LevelWarning || codes[FindingLeftOut] != LevelNote {
		t.Errorf("codes read again: %v", codes)
	}
	for _, f := range p.Findings {
		if f.Code.Remedy() == "" {
			t.Errorf("%s has no remedy", f.Code)
		}
	}
}
