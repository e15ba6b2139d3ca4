package migration_test

import (
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func TestAnEndpointThatAsksForTimeIsGivenHalfAndThenOneMoreAMinute(t *testing.T) {
	var w migration.Working
	at := func(after time.Duration, want int) {
		t.Helper()
		if got := w.LimitAt(20, noon.Add(after)); got != want {
			t.Errorf("after %s the limit is %d, want %d", after, got, want)
		}
	}
	asks := func(after time.Duration, news bool) {
		t.Helper()
		var halved bool
		if w, halved = w.Throttle(20, noon.Add(after)); halved != news {
			t.Errorf("after %s: halved %v", after, halved)
		}
	}
	at(0, 20)
	asks(0, true)
	at(0, 10)
	at(-time.Hour, 10) // by a clock that is late
	asks(29*time.Second, false)
	at(29*time.Second, 10) // one burst is one answer
	asks(30*time.Second, true)
	at(30*time.Second, 5)
	at(89*time.Second, 5)
	at(90*time.Second, 6)
	at(15*time.Minute+29*time.Second, 19)
	at(time.Hour, 20)
	for i := range 10 {
		asks(time.Hour+time.Duration(i)*time.Minute, true)
	}
	at(time.Hour+9*time.Minute, 1)
	if got := w.LimitAt(3, noon.Add(2*time.Hour)); got != 3 {
		t.Errorf("the limit grows to %d, above the 3 that are allowed", got)
	}
}

func TestEndpointsRest(t *testing.T) {
	midnight := noon.Add(12 * time.Hour)
	for name, c := range map[string]struct {
		spec  migration.EndpointSpec
		used  int64
		code  migration.Code
		until time.Time // zero: does not rest
	}{
		"no limits":                            {migration.EndpointSpec{}, 1e12, "", time.Time{}},
		"below the budget":                     {migration.EndpointSpec{DailyBytes: 100}, 99, "", time.Time{}},
		"budget used up":                       {migration.EndpointSpec{DailyBytes: 100}, 100, migration.BudgetExhausted, midnight},
		"within the hours":                     {migration.EndpointSpec{Hours: "11:00-13:00"}, 0, "", time.Time{}},
		"outside the hours":                    {migration.EndpointSpec{Hours: "18:00-06:00"}, 0, "", noon.Add(6 * time.Hour)},
		"used up, and then outside":            {migration.EndpointSpec{DailyBytes: 1, Hours: "11:00-13:00"}, 1, migration.BudgetExhausted, midnight.Add(11 * time.Hour)},
		"used up outside, open after midnight": {migration.EndpointSpec{DailyBytes: 1, Hours: "18:00-06:00"}, 1, migration.BudgetExhausted, midnight},
	} {
		e := migration.Endpoint{Name: "old", EndpointSpec: c.spec, Traffic: migration.Traffic{Day: migration.DayOf(noon), Bytes: c.used}}
		r := e.RestAt(noon)
		if (r == nil) != c.until.IsZero() || r != nil && (r.Code != c.code || !r.Until.Equal(c.until) || r.Reason == "") {
			t.Errorf("%s: %+v, want %s until %s", name, r, c.code, c.until)
		}
	}
	short, long := &migration.Rest{Until: noon}, &migration.Rest{Until: midnight}
	if short.Later(long) != long || long.Later(short) != long || long.Later(nil) != long || (*migration.Rest)(nil).Later(short) != short {
		t.Error("of two rests it is not the later that counts")
	}
}

// The oldest passes stay where there are too many, whoever's they are.
func TestOrders(t *testing.T) {
	endpoint := func(limit, resyncs int, hours migration.Hours) *migration.Endpoint {
		return &migration.Endpoint{EndpointSpec: migration.EndpointSpec{MaxConcurrentMigrations: limit, MaxConcurrentIncrementalSyncs: resyncs, Hours: hours}}
	}
	lease := func(token int64, kind migration.PassKind, source, target int64) migration.Lease {
		return migration.Lease{Token: token, Kind: kind, SourceEndpointID: source, TargetEndpointID: target}
	}
	const first, resync = migration.FirstSync, migration.Resync
	live := []migration.Lease{ // in no order
		lease(5, first, 1, 2), lease(3, resync, 1, 2), lease(1, first, 1, 2), lease(4, resync, 1, 2), lease(2, migration.LastSync, 1, 1), lease(6, first, 3, 3),
	}
	for name, c := range map[string]struct {
		one, two, three *migration.Endpoint
		yield           []int64
		rest            int64 // whose order has a rest
	}{
		"as it was admitted":       {endpoint(5, 2, ""), endpoint(4, 2, ""), endpoint(1, 1, ""), nil, 0},
		"source lowered":           {endpoint(3, 3, ""), endpoint(4, 2, ""), endpoint(1, 1, ""), []int64{4, 5}, 0},
		"target lowered":           {endpoint(5, 2, ""), endpoint(1, 1, ""), endpoint(1, 1, ""), []int64{3, 4, 5}, 0},
		"resyncs lowered":          {endpoint(5, 1, ""), endpoint(4, 2, ""), endpoint(1, 1, ""), []int64{4}, 0},
		"one for both sides, once": {endpoint(2, 2, ""), endpoint(4, 2, ""), endpoint(1, 1, ""), []int64{3, 4, 5}, 0},
		"hours are over":           {endpoint(5, 2, ""), endpoint(4, 2, ""), endpoint(1, 1, "13:00-14:00"), []int64{6}, 6},
	} {
		got := migration.Orders([]int64{1, 2, 3, 4, 5, 6}, live, map[int64]*migration.Endpoint{1: c.one, 2: c.two, 3: c.three}, noon)
		want := map[int64]bool{}
		for _, token := range c.yield {
			want[token] = true
		}
		for token, o := range got {
			if o.Yield != want[token] || o.Stop || (o.Rest != nil) != (token == c.rest) {
				t.Errorf("%s: lease %d is told %+v", name, token, o)
			}
		}
	}
	if got := migration.Orders([]int64{4}, live, nil, noon); len(got) != 1 || got[4].Yield {
		t.Errorf("orders for one lease: %v", got)
	}
}

// What an endpoint's rest makes of a user counts as no attempt, and as no fault.
func TestAdvanceToTheEndOfARest(t *testing.T) {
	rest := &migration.Rest{Code: migration.BudgetExhausted, Reason: "used up", Until: noon.Add(12 * time.Hour)}
	s := migration.UserState{Status: migration.UserSyncing, Attempts: 2, FailingSince: noon}
	n := migration.Advance(1, s, migration.Result{Kind: migration.FirstSync, Yielded: true, Rest: rest}, migration.Schedule{}, noon)
	if n.Status != migration.UserWaiting || !n.Yielded || !n.NextRunAt.Equal(rest.Until) || n.Code != rest.Code || n.Reason != rest.Reason || n.Attempts != 0 {
		t.Errorf("user is %+v", n)
	}
	s.Stopping = true
	if n = migration.Advance(1, s, migration.Result{Yielded: true, Rest: rest}, migration.Schedule{}, noon); n.Status != migration.UserStopped {
		t.Errorf("a stopped user is %+v", n)
	}
}
