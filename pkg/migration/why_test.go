package migration

import (
	"strings"
	"testing"
	"time"
)

var whyNow = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// waiting is a user that is due for a first sync, where nothing is in its way.
func waiting() Standing {
	station := func(id int64, name string) *Station {
		e := Endpoint{ID: id, Name: name, EndpointSpec: EndpointSpec{MaxConcurrentMigrations: 4, MaxConcurrentIncrementalSyncs: 2}}
		return NewStations([]Endpoint{e}, nil, nil)[id]
	}
	return Standing{
		User:   User{EmailAddress: "ann@new.example", UserState: UserState{Status: UserQueued, NextRunAt: whyNow.Add(-time.Minute)}},
		Batch:  Batch{Name: "pilot", StartedAt: whyNow.Add(-time.Hour)},
		Source: station(1, "old"), Target: station(2, "new"), Capacity: 8,
	}
}

func TestWhy(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Standing)
		kinds  string // the reasons, the deciding one first
		what   string // part of the first
		remedy string // part of the first
		until  time.Duration
	}{
		{"nothing is in the way", func(*Standing) {}, "next", "dispatcher's next look", "readyz", 0},
		{"a pass runs", func(s *Standing) {
			s.Lease = &Lease{State: LeaseRunning, Kind: FirstSync, WorkerID: "w-1", Since: whyNow.Add(-time.Minute)}
			s.User.Running, s.User.Last = true, Tally{Folders: 5, FoldersDone: 2, Seen: 100, Copied: 40}
		}, "running", "first sync runs on worker w-1 since 2026-07-01T11:59:00Z: 2 of 5 folders done, 40 of 100 messages", "Nothing", 0},
		{"a pass runs and is stopped", func(s *Standing) {
			s.Lease, s.User.Stopping = &Lease{State: LeaseRunning, Kind: Resync, WorkerID: "w-1"}, true
		}, "running", "ends at its next window", "", 0},
		{"in the queue", func(s *Standing) { s.Lease = &Lease{State: LeaseQueued, Kind: Resync} }, "queued", "admitted for a resync", "", 0},
		{"in the queue of nobody", func(s *Standing) { s.Lease, s.Capacity = &Lease{State: LeaseQueued}, 0 }, "noWorker queued", "no worker", "bin/worker", 0},
		{"removing", func(s *Standing) { s.User.Status, s.User.Removing, s.User.NextRunAt = UserRemoving, true, time.Time{} }, "removing", "removed", "", 0},
		{"completed", func(s *Standing) { s.User.Status, s.User.NextRunAt = UserCompleted, time.Time{} }, "done", "completed", "", 0},
		{"completed with warnings", func(s *Standing) { s.User.Status, s.User.NextRunAt = UserCompletedWithWarnings, time.Time{} }, "done", "completed", "", 0},
		{"wrong password", func(s *Standing) {
			s.User.UserState = UserState{Status: UserNeedsCredentials, Code: AuthFailed, Reason: "NO no"}
		}, "credentials", "rejected", "user set-credentials ann@new.example --batch pilot", 0},
		{"failed", func(s *Standing) {
			s.User.UserState = UserState{Status: UserFailed, Code: QuotaExceeded, Reason: "NO full"}
		}, "failed", "QuotaExceeded: NO full", "user retry", 0},
		{"failed, and tried again", func(s *Standing) {
			s.User.UserState = UserState{Status: UserFailed, Code: ConnectionFailed, NextRunAt: whyNow.Add(time.Hour)}
		}, "failed", "once a resync interval", "user retry", time.Hour},
		{"stopped", func(s *Standing) { s.User.UserState = UserState{Status: UserStopped} }, "stopped", "operator", "user retry", 0},
		{"batch stopped", func(s *Standing) { s.User.UserState, s.Batch.Stopped = UserState{Status: UserStopped}, true }, "stopped", "batch pilot is stopped", "batch start pilot", 0},
		{"batch not started", func(s *Standing) {
			s.User.UserState, s.Batch.StartedAt = UserState{Status: UserCreated}, time.Time{}
		}, "notStarted", "not started", "batch start pilot", 0},
		{"batch starts later", func(s *Standing) {
			s.User.UserState, s.Batch.StartedAt, s.Batch.StartAt = UserState{Status: UserCreated}, time.Time{}, whyNow.Add(time.Hour)
		}, "notStarted", "by itself", "", time.Hour},
		{"in step", func(s *Standing) {
			s.User.UserState = UserState{Status: UserSynced, FirstSyncedAt: whyNow, NextRunAt: whyNow.Add(2 * time.Hour)}
		}, "inStep", "in step", "user retry", 2 * time.Hour},
		{"throttled", func(s *Standing) {
			s.User.UserState = UserState{Status: UserWaiting, Code: Throttled, Reason: "NO slow down", Attempts: 2, NextRunAt: whyNow.Add(time.Minute)}
		}, "waits", "after Throttled it waits for its next attempt: NO slow down (2 attempts so far)", "Fewer concurrent", time.Minute},
		{"waits for the hours", func(s *Standing) {
			s.User.UserState = UserState{Status: UserWaiting, Yielded: true, Reason: "endpoint new is used by night", NextRunAt: whyNow.Add(time.Hour)}
		}, "resting", "endpoint new is used by night", "endpoint set", time.Hour},
		{"caught between two looks", func(s *Standing) { s.User.NextRunAt = time.Time{} }, "next", "just changing", "", 0},
		{"source held", func(s *Standing) {
			s.Source.Park = Park{Held: true, Code: AuthFailed, Reason: "NO admin", Until: whyNow.Add(time.Minute)}
		}, "held", "endpoint old is held after AuthFailed: NO admin", "endpoint set old", 0},
		{"target parked, the user was the one to notice", func(s *Standing) {
			s.Target.Park = Park{Code: ConnectionFailed, Reason: "refused", Until: whyNow.Add(40 * time.Second)}
			s.User.Status, s.User.Code, s.User.Reason = UserWaiting, ConnectionFailed, "refused"
		}, "parked waits", "endpoint new is parked after ConnectionFailed: refused", "endpoint test", 40 * time.Second},
		{"outside the hours", func(s *Standing) { s.Target.Hours = "18:00-06:00" }, "resting", "endpoint new is used 18:00-06:00 only", "endpoint set new", 6 * time.Hour},
		{"asked for time", func(s *Standing) {
			s.Target.Working, s.Target.InUse[FirstSync] = Working{Limit: 2, At: whyNow}, 2
		}, "limit", "all 2 slots of endpoint new are taken: the server throttled, so its limit of 4 is lowered, and grows again by one a minute", "lower it: mailhaul endpoint set new", 2 * time.Minute},
		{"asked for time a while ago", func(s *Standing) {
			s.Target.Working, s.Target.InUse[FirstSync] = Working{Limit: 2, At: whyNow.Add(-90 * time.Second)}, 3
		}, "limit", "all 3 slots of endpoint new are taken: the server throttled", "a higher limit would change nothing", 30 * time.Second},
		{"asked for time long ago", func(s *Standing) {
			s.Target.Working, s.Target.InUse[FirstSync] = Working{Limit: 2, At: whyNow.Add(-2 * time.Minute)}, 4
		}, "limit", "all 4 slots of endpoint new are taken", "--max-concurrent-migrations 8", 0},
		{"the share of resyncs, lowered", func(s *Standing) {
			s.User.FirstSyncedAt, s.Target.InUse[Resync], s.Target.Due[FirstSync] = whyNow, 1, 1
			s.Target.Working = Working{Limit: 2, At: whyNow}
		}, "share", "the 1 slots of endpoint new that resyncs may have are taken: the server throttled", "a higher limit", 2 * time.Minute},
		{"the share of resyncs, full all the same", func(s *Standing) {
			s.User.FirstSyncedAt, s.Target.InUse[Resync] = whyNow, 2
			s.Target.Working = Working{Limit: 3, At: whyNow}
		}, "share", "the 2 slots of endpoint new that resyncs may have are taken", "incremental-syncs 4", 0},
		{"kept for resyncs, lowered", func(s *Standing) {
			s.Target.InUse[FirstSync], s.Target.Due[Resync], s.Target.Working = 1, 9, Working{Limit: 2, At: whyNow}
		}, "share", "kept for resyncs that wait too: the server throttled", "a higher limit", 2 * time.Minute},
		{"a probe runs", func(s *Standing) {
			s.Target.Park, s.Target.InUse[FirstSync] = Park{Code: ConnectionFailed, Until: whyNow.Add(-time.Second)}, 1
		}, "probe", "one pass goes first", "", 0},
		{"limit", func(s *Standing) { s.Source.InUse[FirstSync], s.Source.InUse[Resync] = 3, 1 }, "limit", "all 4 slots of endpoint old", "--max-concurrent-migrations 8", 0},
		{"share of resyncs", func(s *Standing) { s.User.FirstSyncedAt, s.Target.InUse[Resync] = whyNow, 2 }, "share", "2 slots of endpoint new that resyncs", "incremental-syncs 4", 0},
		{"a first sync is not kept by resyncs that run", func(s *Standing) { s.Target.InUse[Resync] = 2 }, "next", "", "", 0},
		{"kept for resyncs", func(s *Standing) { s.Target.InUse[FirstSync], s.Target.Due[Resync] = 2, 9 }, "share", "kept for resyncs", "", 0},
		{"a rival", func(s *Standing) { s.Rival = &Rival{Batch: "other", EmailAddress: "ann@new.example"} }, "mailbox", "ann@new.example in batch other", "by itself", 0},
		{"another organisation's", func(s *Standing) { s.Rival = &Rival{} }, "mailbox", "another organisation's migration", "", 0},
		{"no worker, and others first", func(s *Standing) { s.Capacity, s.Ahead = 0, 7 }, "noWorker turn", "no worker takes passes", "worker list", 0},
		{"busy", func(s *Standing) { s.Live, s.Ahead = 8, 3 }, "busy turn", "all slots of the workers", "more workers", 0},
		{"turn", func(s *Standing) { s.Ahead = 3 }, "turn", "3 users of its own batch pilot go before it; other batches that are due take turns", "mailhaul top", 0},
		{"one before it", func(s *Standing) { s.Ahead = 1 }, "turn", "1 user of its own batch pilot goes before it", "mailhaul top", 0},
		{"one endpoint for both sides is told once", func(s *Standing) { s.Target = s.Source; s.Source.InUse[Verify] = 4 }, "limit", "", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := waiting()
			tt.change(&s)
			got := Why(s, whyNow)
			var kinds []string
			for _, r := range got {
				kinds = append(kinds, string(r.Kind))
				if r.What == "" || r.Remedy == "" {
					t.Errorf("a reason without words: %+v", r)
				}
			}
			if k := strings.Join(kinds, " "); k != tt.kinds {
				t.Fatalf("reasons %s, want %s: %+v", k, tt.kinds, got)
			}
			if !strings.Contains(got[0].What, tt.what) || !strings.Contains(got[0].Remedy, tt.remedy) {
				t.Errorf("got %q, do %q; want %q, do %q", got[0].What, got[0].Remedy, tt.what, tt.remedy)
			}
			if until := got[0].Until; tt.until == 0 != until.IsZero() || tt.until != 0 && !until.Equal(whyNow.Add(tt.until)) {
				t.Errorf("until %s, want in %s", until, tt.until)
			}
		})
	}
}

// TestEveryStateHasAReason: whatever the combination, there is an answer.
func TestEveryStateHasAReason(t *testing.T) {
	for _, status := range UserStatuses {
		for _, next := range []time.Time{{}, whyNow.Add(-time.Hour), whyNow.Add(time.Hour)} {
			for _, lease := range []*Lease{nil, {State: LeaseQueued}, {State: LeaseRunning}} {
				s := waiting()
				s.User.Status, s.User.NextRunAt, s.Lease = status, next, lease
				got := Why(s, whyNow)
				if len(got) == 0 || got[0].What == "" || got[0].Kind == "" {
					t.Errorf("%s due %s lease %v: %+v", status, next, lease, got)
				}
			}
		}
	}
}

func TestEstimate(t *testing.T) {
	ends := []Endpoint{
		{ID: 1, EndpointSpec: EndpointSpec{MaxConcurrentMigrations: 2}},
		{ID: 2, EndpointSpec: EndpointSpec{MaxConcurrentMigrations: 20}},
		{ID: 3, EndpointSpec: EndpointSpec{MaxConcurrentMigrations: 20}, Park: Park{Held: true}},
	}
	stations := NewStations(ends, nil, nil)
	tempo := Tempo{}
	for range 10 {
		tempo.Add(FirstSync, 20*time.Second, false) // a slice
		tempo.Add(FirstSync, 10*time.Second, true)
	}
	tests := []struct {
		name     string
		backlog  []Backlog
		capacity int
		want     time.Duration
		known    bool
	}{
		{"nobody is due", nil, 0, 0, true},
		{"the workers are the narrowest", []Backlog{{SourceEndpointID: 2, TargetEndpointID: 2, Kind: FirstSync, Users: 8}}, 4, time.Minute, true},
		{"the endpoint is", []Backlog{{SourceEndpointID: 1, TargetEndpointID: 2, Kind: FirstSync, Users: 8}}, 64, 2 * time.Minute, true},
		{"a kind never measured takes as long as the others", []Backlog{{SourceEndpointID: 2, TargetEndpointID: 2, Kind: Resync, Users: 4}}, 4, 30 * time.Second, true},
		{"nobody but those at a held endpoint", []Backlog{{SourceEndpointID: 3, TargetEndpointID: 2, Kind: FirstSync, Users: 80}}, 4, 0, false},
		{"those at a held endpoint are left out", []Backlog{
			{SourceEndpointID: 3, TargetEndpointID: 2, Kind: FirstSync, Users: 80},
			{SourceEndpointID: 2, TargetEndpointID: 2, Kind: FirstSync, Users: 4},
		}, 4, 30 * time.Second, true},
		{"no worker", []Backlog{{SourceEndpointID: 2, TargetEndpointID: 2, Kind: FirstSync, Users: 8}}, 0, 0, false},
	}
	for _, tt := range tests {
		if got, known := Estimate(tt.backlog, stations, tempo, tt.capacity, whyNow); got != tt.want || known != tt.known {
			t.Errorf("%s: %s %v, want %s %v", tt.name, got, known, tt.want, tt.known)
		}
	}
	if _, known := Estimate([]Backlog{{SourceEndpointID: 2, TargetEndpointID: 2, Kind: FirstSync, Users: 8}}, stations, Tempo{}, 4, whyNow); known {
		t.Error("an estimate without a measurement")
	}
}

// TestTempoForgets: what was long ago counts less and less.
func TestTempoForgets(t *testing.T) {
	tempo := Tempo{}
	for range 1000 {
		tempo.Add(Resync, time.Hour, true)
	}
	for range 3000 {
		tempo.Add(Resync, time.Second, true)
	}
	if mean, _ := tempo.Mean(Resync); mean > 2*time.Second {
		t.Errorf("mean %s after 3000 passes of a second", mean)
	}
}

// TestWhenAWaitingUserGoesOn: the time told of the user is the time told of what keeps it.
func TestWhenAWaitingUserGoesOn(t *testing.T) {
	park := func(d time.Duration) Park {
		return Park{Code: ConnectionFailed, Reason: "refused", Until: whyNow.Add(d)}
	}
	const midday = "12:30-20:00" // whyNow is noon
	for _, x := range []struct {
		name   string
		change func(*Standing)
		want   time.Duration // 0: no time is told
	}{
		{"it is its turn", func(*Standing) {}, 0},
		{"its own time", func(s *Standing) { s.User.NextRunAt = whyNow.Add(time.Hour) }, time.Hour},
		{"the source is parked", func(s *Standing) { s.Source.Park = park(4 * time.Minute) }, 4 * time.Minute},
		{"the target is, for longer than it waits", func(s *Standing) {
			s.User.NextRunAt, s.Target.Park = whyNow.Add(time.Minute), park(4*time.Minute)
		}, 4 * time.Minute},
		{"the target is, and for less", func(s *Standing) {
			s.User.NextRunAt, s.Target.Park = whyNow.Add(time.Hour), park(4*time.Minute)
		}, time.Hour},
		{"the park is over, and one goes first", func(s *Standing) {
			s.Target.Park, s.Target.InUse[FirstSync] = park(-time.Second), 1
		}, 0},
		{"the target is held", func(s *Standing) {
			s.Target.Park, s.User.NextRunAt = Park{Held: true, Code: CertificateInvalid}, whyNow.Add(time.Hour)
		}, 0},
		{"outside the hours", func(s *Standing) { s.Source.Hours = midday }, 30 * time.Minute},
		{"its own time is outside the hours", func(s *Standing) {
			s.User.NextRunAt, s.Source.Hours = whyNow.Add(9*time.Hour), midday
		}, 24*time.Hour + 30*time.Minute},
	} {
		s := waiting()
		s.User.Status, s.User.Code = UserWaiting, ConnectionFailed
		x.change(&s)
		got := s.User.ResumesAt(&s.Source.Endpoint, &s.Target.Endpoint, whyNow)
		if x.want == 0 && !got.IsZero() || x.want != 0 && !got.Equal(whyNow.Add(x.want)) {
			t.Errorf("%s: it goes on at %v, want %s from noon", x.name, got, x.want)
		}
		var latest time.Time
		for _, r := range Why(s, whyNow) {
			if r.Until.After(latest) {
				latest = r.Until
			}
		}
		if !latest.Equal(got) {
			t.Errorf("%s: why says %v, the user %v", x.name, latest, got)
		}
	}
	s := waiting()
	if at := s.User.ResumesAt(nil, nil, whyNow); !at.IsZero() {
		t.Errorf("one that is queued goes on at %v", at)
	}
	// The one's day is over at midnight, when the other is closed.
	s.User.Status, s.Source.Hours, s.Target.DailyBytes, s.Target.Traffic = UserWaiting, midday, 1, Traffic{DayOf(whyNow), 5}
	if at := s.User.ResumesAt(&s.Source.Endpoint, &s.Target.Endpoint, whyNow); !at.Equal(whyNow.Add(24*time.Hour + 30*time.Minute)) {
		t.Errorf("with two endpoints at rest it goes on at %v", at)
	}
}
