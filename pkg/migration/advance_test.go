package migration

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const dayLong = 24 * time.Hour

func TestAdvance(t *testing.T) {
	synced := UserState{Status: UserIncrementalSyncing, FirstSyncedAt: noon.Add(-dayLong), LastSyncedAt: noon.Add(-dayLong)}
	first := UserState{Status: UserSyncing}
	failing := UserState{Status: UserSyncing, Attempts: 3, FailingSince: noon.Add(-time.Hour)}
	fault := func(code Code, scope Scope, after time.Duration) *Fault {
		return &Fault{Code: code, Scope: scope, Side: Source, RetryAfter: after, Reason: "why"}
	}
	next := NextSync(7, dayLong, noon)
	tests := []struct {
		name   string
		state  UserState
		result Result
		want   UserState
	}{
		{
			"first sync done", first,
			Result{Kind: FirstSync},
			UserState{Status: UserSynced, FirstSyncedAt: noon, LastSyncedAt: noon, NextRunAt: next},
		},
		{
			"resync done", synced,
			Result{Kind: Resync},
			UserState{Status: UserSynced, FirstSyncedAt: synced.FirstSyncedAt, LastSyncedAt: noon, NextRunAt: next},
		},
		{
			"what was left behind was offered again",
			UserState{Again: true, FirstSyncedAt: noon},
			Result{Kind: Resync, Again: true},
			UserState{Status: UserSynced, FirstSyncedAt: noon, LastSyncedAt: noon, NextRunAt: next},
		},
		{
			"asked in the middle to offer again what was left behind",
			UserState{Again: true, FirstSyncedAt: noon},
			Result{Kind: Resync},
			UserState{Status: UserSynced, Again: true, FirstSyncedAt: noon, LastSyncedAt: noon, NextRunAt: noon},
		},
		{
			"skipped items do not change the status", first,
			Result{Kind: FirstSync, Tally: Tally{Skipped: 3}},
			UserState{Status: UserSynced, FirstSyncedAt: noon, LastSyncedAt: noon, NextRunAt: next},
		},
		{
			"yielded", first,
			Result{Kind: FirstSync, Yielded: true, Progress: true},
			UserState{Status: UserQueued, Yielded: true, NextRunAt: noon},
		},
		{
			"last sync",
			UserState{Status: UserCompleting, Completing: true, FirstSyncedAt: noon},
			Result{Kind: LastSync},
			UserState{Status: UserCompleted, Completing: true, FirstSyncedAt: noon, LastSyncedAt: noon},
		},
		{
			"last sync with skipped items",
			UserState{Completing: true, FirstSyncedAt: noon},
			Result{Kind: LastSync, Tally: Tally{Skipped: 1}},
			UserState{Status: UserCompletedWithWarnings, Completing: true, FirstSyncedAt: noon, LastSyncedAt: noon},
		},
		{
			"completion asked in mid-pass",
			UserState{Status: UserSyncing, Completing: true},
			Result{Kind: FirstSync},
			UserState{Status: UserCompleting, Completing: true, FirstSyncedAt: noon, LastSyncedAt: noon, NextRunAt: noon},
		},
		{
			"stopped in mid-pass",
			UserState{Status: UserSyncing, Stopping: true},
			Result{Kind: FirstSync, Yielded: true},
			UserState{Status: UserStopped},
		},
		{
			"removed in mid-pass",
			UserState{Status: UserSyncing, Removing: true},
			Result{Kind: FirstSync, Yielded: true},
			UserState{Status: UserRemoving, Removing: true},
		},
		{
			"a fault that passes", first,
			Result{Kind: FirstSync, Fault: fault(SourceChanged, ScopeUser, 0)},
			UserState{Status: UserWaiting, Code: SourceChanged, Reason: "why", Attempts: 1, FailingSince: noon, NextRunAt: noon.Add(30 * time.Second)},
		},
		{
			"the fourth in a row", failing,
			Result{Kind: FirstSync, Fault: fault(ConnectionFailed, ScopeUser, 0)},
			UserState{Status: UserWaiting, Code: ConnectionFailed, Reason: "why", Attempts: 4, FailingSince: noon.Add(-time.Hour), NextRunAt: noon.Add(4 * time.Minute)},
		},
		{
			"a fault after progress begins anew", failing,
			Result{Kind: FirstSync, Progress: true, Fault: fault(ConnectionFailed, ScopeUser, 0)},
			UserState{Status: UserWaiting, Code: ConnectionFailed, Reason: "why", Attempts: 1, FailingSince: noon, NextRunAt: noon.Add(30 * time.Second)},
		},
		{
			"24 h without progress",
			UserState{Attempts: 30, FailingSince: noon.Add(-dayLong)},
			Result{Kind: FirstSync, Fault: fault(ConnectionFailed, ScopeUser, 0)},
			UserState{Status: UserFailed, Code: ConnectionFailed, Reason: "why", Attempts: 31, FailingSince: noon.Add(-dayLong), NextRunAt: next},
		},
		{
			"a fault of the endpoint counts nobody's attempt", first,
			Result{Kind: FirstSync, Fault: fault(ConnectionFailed, ScopeEndpoint, 0)},
			UserState{Status: UserWaiting, Code: ConnectionFailed, Reason: "why", NextRunAt: noon},
		},
		{
			"throttled until the named time", synced,
			Result{Kind: Resync, Fault: fault(Throttled, ScopeUser, 7*time.Minute)},
			UserState{Status: UserWaiting, Code: Throttled, Reason: "why", FirstSyncedAt: synced.FirstSyncedAt, LastSyncedAt: synced.LastSyncedAt, NextRunAt: noon.Add(7 * time.Minute)},
		},
		{
			"a rejected login is not tried again", first,
			Result{Kind: FirstSync, Fault: fault(AuthFailed, ScopeUser, 0)},
			UserState{Status: UserNeedsCredentials, Code: AuthFailed, Reason: "why"},
		},
		{
			"nor one that worked, with yesterday's success",
			UserState{Status: UserSyncing, LoggedInAt: noon.Add(-24 * time.Hour)},
			Result{Kind: FirstSync, Fault: fault(AuthFailed, ScopeUser, 0)},
			UserState{Status: UserNeedsCredentials, Code: AuthFailed, Reason: "why"},
		},
		{
			"credentials that worked today get one more try",
			UserState{Status: UserSyncing, LoggedInAt: noon.Add(-23 * time.Hour)},
			Result{Kind: FirstSync, Fault: fault(AuthFailed, ScopeUser, 0)},
			UserState{Status: UserWaiting, Code: AuthFailed, Reason: "why", NextRunAt: noon.Add(10 * time.Minute)},
		},
		{
			"a pass that got in says so, whatever ended it", first,
			Result{Kind: FirstSync, LoggedIn: true, Fault: fault(QuotaExceeded, ScopeUser, 0)},
			UserState{Status: UserFailed, Code: QuotaExceeded, Reason: "why", LoggedInAt: noon},
		},
		{
			"a full target waits for the operator", synced,
			Result{Kind: Resync, Fault: fault(QuotaExceeded, ScopeUser, 0)},
			UserState{Status: UserFailed, Code: QuotaExceeded, Reason: "why", FirstSyncedAt: synced.FirstSyncedAt, LastSyncedAt: synced.LastSyncedAt},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Advance(7, tt.state, tt.result, Schedule{Interval: dayLong}, noon); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestThreeTakeoversEndTheUser(t *testing.T) {
	s := UserState{Status: UserSyncing}
	sch := Schedule{Interval: dayLong}
	for i := range 2 {
		if s = TakeOver(7, s, FirstSync, false, i+1, sch, noon); s.Status != UserQueued || !s.NextRunAt.Equal(noon) || s.Attempts != 0 {
			t.Fatalf("takeover %d: %+v", i+1, s)
		}
	}
	if kept := TakeOver(7, s, FirstSync, true, 3, sch, noon); kept.Status != UserQueued || kept.Takeovers != 0 {
		t.Errorf("with progress: %+v", kept)
	}
	if s = TakeOver(7, s, FirstSync, false, 3, sch, noon); s.Status != UserFailed || s.Code != Internal {
		t.Errorf("the third without progress: %+v", s)
	}
}

// TestAccidentsAreNobodysDoing: where other workers die too it is no message's doing, but
// not for ever.
func TestAccidentsAreNobodysDoing(t *testing.T) {
	s := UserState{Status: UserSyncing}
	sch := Schedule{Interval: dayLong}
	for i := range 5 {
		if s = TakeOver(7, s, FirstSync, false, i+2, sch, noon); s.Status != UserQueued {
			t.Fatalf("takeover %d, where another worker died: %+v", i+1, s)
		}
	}
	if s = TakeOver(7, s, FirstSync, false, 7, sch, noon); s.Status != UserFailed || s.Code != Internal {
		t.Errorf("the sixth: %+v", s)
	}
}

func TestNextSyncSpreadsOverTheInterval(t *testing.T) {
	const users = 50_000
	perMinute := map[int]int{}
	for id := range int64(users) {
		at := NextSync(id, dayLong, noon)
		wait := at.Sub(noon)
		if wait < dayLong/10 || wait > dayLong+dayLong/10 {
			t.Fatalf("user %d waits %s", id, wait)
		}
		if again := NextSync(id, dayLong, at); again.Sub(at) != dayLong {
			t.Fatalf("user %d is synced again after %s", id, again.Sub(at))
		}
		perMinute[int(at.Unix()/60)%(24*60)]++
	}
	mean := users / (24 * 60)
	for minute, n := range perMinute {
		if n > 2*mean+10 {
			t.Errorf("minute %d has %d resyncs, the mean is %d", minute, n, mean)
		}
	}
}

func TestBatchStatus(t *testing.T) {
	started := Batch{StartedAt: noon}
	with := func(f func(*Batch)) Batch {
		b := started
		f(&b)
		return b
	}
	counts := func(unsynced, synced, running int, by ...any) UserCounts {
		c := UserCounts{ByStatus: map[UserStatus]int{}, Unsynced: unsynced, Synced: synced, Running: running}
		for i := 0; i < len(by); i += 2 {
			c.ByStatus[by[i].(UserStatus)] = by[i+1].(int)
		}
		return c
	}
	tests := []struct {
		name   string
		batch  Batch
		counts UserCounts
		want   BatchStatus
	}{
		{"never started", Batch{}, counts(2, 0, 0, UserCreated, 2), BatchCreated},
		{"started", started, counts(2, 0, 1, UserSyncing, 1, UserQueued, 1), BatchSyncing},
		{"one waits for its first sync", started, counts(1, 1, 0, UserSynced, 1, UserWaiting, 1), BatchSyncing},
		{"all in step", started, counts(0, 2, 0, UserSynced, 2), BatchSynced},
		{"a resync runs", started, counts(0, 2, 1, UserSynced, 1, UserIncrementalSyncing, 1), BatchSynced},
		{"a resync waits", started, counts(0, 2, 0, UserSynced, 1, UserWaiting, 1), BatchSynced},
		{"one failed", started, counts(0, 1, 0, UserSynced, 1, UserFailed, 1), BatchSyncedWithErrors},
		{"one needs credentials", started, counts(0, 1, 0, UserSynced, 1, UserNeedsCredentials, 1), BatchSyncedWithErrors},
		{"all failed", started, counts(0, 0, 0, UserFailed, 2), BatchFailed},
		{"no users", started, counts(0, 0, 0), BatchSynced},
		{"stopping", with(func(b *Batch) { b.Stopped = true }), counts(1, 0, 1, UserSyncing, 1), BatchStopping},
		{"stopped", with(func(b *Batch) { b.Stopped = true }), counts(0, 0, 0, UserStopped, 1), BatchStopped},
		{"completing", with(func(b *Batch) { b.Completing = true }), counts(0, 2, 1, UserCompleted, 1, UserCompleting, 1), BatchCompleting},
		{"completed", with(func(b *Batch) { b.Completing = true }), counts(0, 2, 0, UserCompleted, 1, UserCompletedWithWarnings, 1), BatchCompleted},
		{"completed with a failure", with(func(b *Batch) { b.Completing = true }), counts(0, 2, 0, UserCompleted, 1, UserFailed, 1), BatchCompletedWithErrors},
		{"completed, stopped before", with(func(b *Batch) { b.Completing, b.Stopped = true, true }), counts(0, 1, 0, UserCompleted, 1), BatchCompleted},
		{"removing beats all", with(func(b *Batch) { b.Removing, b.Completing = true, true }), counts(0, 1, 1, UserRemoving, 1), BatchRemoving},
	}
	for _, tt := range tests {
		if got := tt.batch.Status(tt.counts); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestTotalsTellTheWholeStory(t *testing.T) {
	var totals Totals
	passes := []struct {
		name string
		last Tally
		want Tally // seen, unchanged, copied, adopted, skipped, failed
	}{
		{"first", Tally{Seen: 50, Copied: 45, Adopted: 3, Skipped: 2}, Tally{Seen: 50, Copied: 45, Adopted: 3, Skipped: 2}},
		{"nothing new", Tally{Seen: 50, Unchanged: 48, Skipped: 2}, Tally{Seen: 50, Copied: 45, Adopted: 3, Skipped: 2}},
		{"two new", Tally{Seen: 52, Unchanged: 48, Copied: 2, Skipped: 2}, Tally{Seen: 52, Copied: 47, Adopted: 3, Skipped: 2}},
		{"the source shrank", Tally{Seen: 10, Unchanged: 9, Skipped: 1}, Tally{Seen: 51, Copied: 47, Adopted: 3, Skipped: 1}},
	}
	for _, p := range passes {
		live := totals.Messages(p.last, true)
		totals = totals.Add(p.last)
		got := totals.Messages(p.last, false)
		if got != live {
			t.Errorf("%s: %+v while it ran, %+v afterwards", p.name, live, got)
		}
		if got != p.want {
			t.Errorf("%s: %+v, want %+v", p.name, got, p.want)
		}
	}
}
