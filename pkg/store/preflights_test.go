package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func created(u *migration.User) { u.Status, u.NextRunAt = migration.UserCreated, time.Time{} }

// unstarted makes a batch that nobody has started.
func (w *world) unstarted(name string, users ...migration.User) *migration.Batch {
	w.Helper()
	b := w.plan(name, w.source, w.target)
	b.StartedAt = time.Time{}
	_, err := w.s.CreateBatch(w.Context(), b, seq(users...))
	w.ok(err)
	return b
}

func (w *world) preflight(b *migration.Batch) int {
	w.Helper()
	n, err := w.s.PreflightUsers(w.Context(), b.ID, noon)
	w.ok(err)
	return n
}

// statusOf is the batch's, as everybody sees it.
func (w *world) statusOf(b *migration.Batch) migration.BatchStatus {
	w.Helper()
	now, err := w.s.BatchByID(w.Context(), b.ID)
	w.ok(err)
	sum, err := w.s.Summary(w.Context(), b.ID)
	w.ok(err)
	return now.Status(sum.Counts)
}

// found ends a preflight.
func (w *world) found(l migration.Lease, p migration.Preflight, r migration.Result) migration.User {
	w.Helper()
	w.ok(w.s.PutPreflight(w.Context(), l.Token, p))
	return w.ended(l, r)
}

func (w *world) ended(l migration.Lease, r migration.Result) migration.User {
	w.Helper()
	u, err := w.s.UserByID(w.Context(), l.UserID)
	w.ok(err)
	r.Kind = l.Kind
	next := migration.Advance(u.ID, u.UserState, r, migration.Schedule{Interval: 24 * time.Hour}, noon)
	w.ok(w.s.Finish(w.Context(), l.Token, next, u.Totals, u.Last, nil, nil))
	u, err = w.s.UserByID(w.Context(), l.UserID)
	w.ok(err)
	return u
}

// testPreflights: a preflight is a pass like others, in the limits of both endpoints,
// and leaves users and batch as they were.
func testPreflights(t *testing.T, open opener) {
	w := newWorld(t, open(t), "acme")
	w.limit(&w.source, 1, 1)
	b := w.unstarted("new", many("u", 3, created)...)
	if n := w.admit(10); len(n) != 0 {
		t.Fatalf("admitted %d users of a batch that was not started", len(n))
	}
	equal(t, "users asked", w.preflight(b), 3)
	running := w.batch("running", due("r@example.org"))
	verified := w.batch("verified", due("v@example.org", verifying))

	// Syncs and verifies go first; the one slot is theirs until they have ended.
	for _, who := range []string{"r@example.org", "v@example.org"} {
		l := w.admit(10)
		if got := w.names(l); !slices.Equal(got, []string{who}) {
			t.Fatalf("admitted %v, want %s", got, who)
		}
		w.inStep(l[0])
	}
	_, _ = running, verified
	l := w.one()
	equal(t, "kind", l.Kind, migration.Preflighting)
	u := w.user(b, "u000@example.org")
	equal(t, "status while it runs", u.Status, migration.UserValidating)
	equal(t, "status of the batch", w.statusOf(b), migration.BatchCreated)
	n, err := w.s.SyncUsersNow(t.Context(), running.ID, noon)
	w.ok(err)
	if equal(t, "users to be synced", n, 1); len(w.admit(10)) != 0 {
		t.Error("a second pass at an endpoint of one slot, beside a preflight")
	}
	p := migration.Preflight{Messages: 5, Bytes: 100, ToCome: 90, Folders: 2}
	p.Find(migration.FindingRenamed, migration.LevelWarning, migration.Target, "x")
	u = w.found(l, p, migration.Result{LoggedIn: true})
	if u.Status != migration.UserCreated || !u.NextRunAt.IsZero() || u.PreflightFrom != "" {
		t.Errorf("after its preflight: %+v", u.UserState)
	}
	if err := w.s.PutPreflight(t.Context(), l.Token, p); !errors.Is(err, migration.ErrLeaseLost) {
		t.Errorf("a stale token: %v", err)
	}
	w.inStep(w.admit(10)[0])
	w.found(w.one(), migration.Preflight{Messages: 7, Bytes: 1000, ToCome: 1000, Folders: 1}, migration.Result{LoggedIn: true})
	bad := migration.Preflight{}
	bad.FindFault(&migration.Fault{Code: migration.AuthFailed, Scope: migration.ScopeUser, Reason: "no"})
	u = w.found(w.one(), bad, migration.Result{Fault: &migration.Fault{Code: migration.AuthFailed, Scope: migration.ScopeUser, Reason: "no"}})
	equal(t, "status after a rejection", u.Status, migration.UserNeedsCredentials)
	if leases := w.admit(10); len(leases) != 0 {
		t.Errorf("admitted %d after all", len(leases))
	}
	w.preflightsAre(b, 0, "u002@example.org", "u000@example.org", "u001@example.org")

	groups, _, err := w.s.PreflightGroups(t.Context(), b.ID)
	w.ok(err)
	want := []migration.PreflightGroup{
		{Codes: "AuthFailed:failing", Level: migration.LevelFailing, Users: 1},
		{Codes: "FoldersRenamed:warning", Level: migration.LevelWarning, Users: 1, Folders: 2, Messages: 5, Bytes: 100, ToCome: 90, LargestBytes: 90, LargestMessages: 5},
		{Users: 1, Folders: 1, Messages: 7, Bytes: 1000, ToCome: 1000, LargestBytes: 1000, LargestMessages: 7},
	}
	if !slices.Equal(groups, want) {
		t.Errorf("groups %+v", groups)
	}
	w.ok(w.s.ResetUser(t.Context(), u.ID))
	w.preflightsAre(b, 0, "u000@example.org", "u001@example.org")
	equal(t, "users asked again", w.preflight(b), 3)
	w.preflightsAre(b, 3)
	w.ok(w.s.RemoveUser(t.Context(), u.ID))
	w.preflightsAre(b, 2)
}

func (w *world) preflightsAre(b *migration.Batch, left int, want ...string) {
	w.Helper()
	got := []string{}
	level, after := migration.LevelFailing+1, ""
	for {
		list, err := w.s.ListPreflights(w.Context(), b.ID, level, after, 2)
		w.ok(err)
		for _, p := range list {
			got = append(got, p.EmailAddress)
			level, after = p.Level, p.EmailAddress
		}
		if len(list) < 2 {
			break
		}
	}
	if !slices.Equal(got, append([]string{}, want...)) {
		w.Errorf("preflights of %v, want %v", got, want)
	}
	_, n, err := w.s.PreflightGroups(w.Context(), b.ID)
	w.ok(err)
	equal(w, "users whose preflight is to come", n, left)
}

// testPreflightsAndVerbs: a start goes before preflights, a stop ends them, and in a
// stopped batch nothing else runs.
func testPreflightsAndVerbs(t *testing.T, open opener) {
	w := newWorld(t, open(t), "acme")
	b := w.unstarted("pilot", many("u", 3, created)...)
	w.preflight(b)
	leases := w.admit(2)
	l := w.claim(leases[0])
	o, err := w.s.Orders(t.Context(), []int64{l.Token})
	w.ok(err)
	equal(t, "order", o[l.Token], migration.Order{})
	b.StartedAt = noon
	w.ok(w.s.UpdateBatch(t.Context(), b))
	n, err := w.s.StartUsers(t.Context(), b.ID, noon)
	w.ok(err)
	equal(t, "users started", n, 2) // the third goes on when its preflight has ended
	o, err = w.s.Orders(t.Context(), []int64{l.Token})
	w.ok(err)
	equal(t, "order", o[l.Token], migration.Order{Stop: true})
	if _, err := w.s.Claim(t.Context(), leases[1].Token, "worker"); !errors.Is(err, migration.ErrLeaseLost) {
		t.Errorf("a preflight in the queue is claimed after the start: %v", err)
	}
	u := w.ended(l, migration.Result{Yielded: true})
	if u.Status != migration.UserQueued || u.Kind() != migration.FirstSync || u.NextRunAt.IsZero() || u.Yielded {
		t.Errorf("after the start: %+v", u.UserState)
	}
	leases = w.admit(10)
	if len(leases) != 3 || slices.ContainsFunc(leases, func(l migration.Lease) bool { return l.Kind != migration.FirstSync }) {
		t.Fatalf("admitted after the start: %+v", leases)
	}

	// A stopped batch: one user is in the middle of a pass, one failed with a time.
	w.inStep(leases[0])
	stopped := w.claim(leases[1])
	b.Stopped = true
	w.ok(w.s.UpdateBatch(t.Context(), b))
	_, err = w.s.StopUsers(t.Context(), b.ID)
	w.ok(err)
	equal(t, "status of the batch", w.statusOf(b), migration.BatchStopping)
	equal(t, "users asked", w.preflight(b), 2)
	w.ended(stopped, migration.Result{Yielded: true})
	failed, err := w.s.ChangeUser(t.Context(), stopped.UserID, func(u *migration.User) error {
		u.Status, u.NextRunAt = migration.UserFailed, noon
		return nil
	})
	w.ok(err)
	leases = w.admit(10)
	if len(leases) != 2 || slices.ContainsFunc(leases, func(l migration.Lease) bool { return l.Kind != migration.Preflighting || l.UserID == failed.ID }) {
		t.Fatalf("admitted of a stopped batch: %+v", leases)
	}
	equal(t, "status of the batch", w.statusOf(b), migration.BatchStopped)
	u = w.ended(w.claim(leases[0]), migration.Result{LoggedIn: true})
	if u.Status != migration.UserStopped || u.PreflightFrom != "" {
		t.Errorf("after its preflight: %+v", u.UserState)
	}
	// Its worker dies, and the batch is stopped once more.
	l = w.claim(leases[1])
	u, err = w.s.UserByID(t.Context(), l.UserID)
	w.ok(err)
	w.ok(w.s.Release(t.Context(), l.Token, true, migration.TakeOver(u.ID, u.UserState, l.Kind, false, 1, migration.Schedule{}, noon)))
	if leases = w.admit(10); len(leases) != 1 || leases[0].Kind != migration.Preflighting || leases[0].Unsettled {
		t.Fatalf("after a takeover: %+v", leases)
	}
	_, err = w.s.StopUsers(t.Context(), b.ID)
	w.ok(err)
	u, err = w.s.UserByID(t.Context(), l.UserID)
	w.ok(err)
	if u.Status != migration.UserStopped || u.PreflightFrom != "" || len(w.admit(10)) != 0 {
		t.Errorf("after the stop: %+v", u.UserState)
	}
}

// testPilots: what first syncs took and brought is added up by batch, whatever came
// after them.
func testPilots(t *testing.T, open opener) {
	w := newWorld(t, open(t), "acme")
	clock := noon
	w.s.now = func() time.Time { return clock }
	b := w.batch("pilot", many("u", 2)...)
	for i, l := range w.admit(10) {
		l = w.claim(l)
		clock = clock.Add(10 * time.Second)
		u, err := w.s.UserByID(t.Context(), l.UserID)
		w.ok(err)
		next := migration.Advance(u.ID, u.UserState, migration.Result{Kind: l.Kind}, migration.Schedule{Interval: time.Hour}, clock)
		w.ok(w.s.Finish(t.Context(), l.Token, next, migration.Totals{Copied: 30, Bytes: int64(1000 * (i + 1))}, u.Last, nil, nil))
	}
	_, err := w.s.SyncUsersNow(t.Context(), b.ID, clock)
	w.ok(err)
	resyncs, err := w.s.Admit(t.Context(), clock, 1)
	w.ok(err)
	w.inStep(resyncs[0])
	got, err := w.s.Pilots(t.Context(), w.org.ID, w.source.ID, w.target.ID)
	w.ok(err)
	want := migration.Pilot{
		Batch: "pilot", BatchID: b.ID, Users: 2, Synced: 2, Messages: 60, Bytes: 3000, Work: 20 * time.Second,
		StartedAt: noon, LastAt: noon.Add(20 * time.Second),
	}
	if !slices.Equal(got, []migration.Pilot{want}) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got, err = w.s.Pilots(t.Context(), w.org.ID, w.target.ID, w.source.ID); err != nil || len(got) != 0 {
		t.Errorf("of the other direction: %+v, %v", got, err)
	}
}
