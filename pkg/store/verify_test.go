package store

import (
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// testVerifyHidesNothing: a user that failed shows so while its verify waits and runs, one
// that has a sync to come has that first, and what was under way to the target stays
// unsettled whatever a verify says.
func testVerifyHidesNothing(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	s.now = func() time.Time { return noon }
	w := newWorld(t, s, "acme")
	failed := func(u *migration.User) {
		synced(u)
		u.Status, u.Code, u.Reason, u.DeletionsAsked = migration.UserFailed, migration.NeedsDecision, "40 are gone", 40
		u.NextRunAt = noon.Add(time.Hour)
	}
	b := w.batch("pilot", due("asks@x", failed), due("owed@x", synced, func(u *migration.User) { u.Status = migration.UserQueued }),
		due("waits@x", synced, func(u *migration.User) { u.Status, u.Code = migration.UserWaiting, migration.ConnectionFailed }))
	_, err := s.VerifyUsers(ctx, b.ID, noon)
	w.ok(err)
	kinds := map[string]migration.PassKind{}
	var asks migration.Lease
	for _, l := range w.admit(10) {
		email := w.names([]migration.Lease{l})[0]
		kinds[email] = l.Kind
		if email == "asks@x" {
			asks = l
		}
	}
	if kinds["asks@x"] != migration.Verify || kinds["owed@x"] != migration.Resync || kinds["waits@x"] != migration.Verify {
		t.Errorf("they have %v", kinds)
	}
	shown := func(when string) migration.User {
		t.Helper()
		u := w.user(b, "asks@x")
		if u.Status != migration.UserFailed || u.Code != migration.NeedsDecision || u.Reason != "40 are gone" || u.DeletionsAsked != 40 {
			t.Errorf("%s: %+v", when, u.UserState)
		}
		sum, err := s.Summary(ctx, b.ID)
		w.ok(err)
		equal(t, when+": failed", sum.Counts.ByStatus[migration.UserFailed], 1)
		return u
	}
	shown("admitted")
	_, err = s.SyncUsersNow(ctx, b.ID, noon)
	w.ok(err)
	asks = w.claim(asks)
	u := shown("while it runs")
	end := func(u migration.User, l migration.Lease) {
		t.Helper()
		next := migration.Advance(u.ID, u.UserState, migration.Result{Kind: l.Kind}, migration.Schedule{Interval: 24 * time.Hour}, noon)
		w.ok(s.Finish(ctx, l.Token, next, u.Totals, u.Last, nil, nil))
	}
	end(u, asks)
	if u := shown("afterwards"); u.VerifyDue || !u.NextRunAt.After(noon) {
		t.Errorf("afterwards: %+v", u.UserState)
	}

	// Somebody decides between the verify's last look and its end: the sync comes next.
	_, err = s.VerifyUsers(ctx, b.ID, noon)
	w.ok(err)
	asks = w.one()
	u = w.user(b, "asks@x")
	_, err = s.ChangeUser(ctx, u.ID, func(u *migration.User) error {
		u.Status, u.NextRunAt, u.Code, u.Reason, u.DeletionsAsked, u.DeletionsConfirmed = migration.UserQueued, noon, "", "", 0, 40
		return nil
	})
	w.ok(err)
	end(u, asks)
	if u := w.user(b, "asks@x"); u.Status != migration.UserQueued || !u.NextRunAt.Equal(noon) || u.Code != "" || u.Kind() != migration.Resync {
		t.Errorf("decided meanwhile: %+v", u.UserState)
	}
}

// testSyncBehindAVerify: a sync that is asked for while a verify awaits its worker, or
// runs, comes next.
func testSyncBehindAVerify(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	s.now = func() time.Time { return noon }
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("awaits@x", synced), due("runs@x", synced))
	_, err := s.VerifyUsers(ctx, b.ID, noon)
	w.ok(err)
	leases := w.admit(10)
	equal(t, "verifies", len(leases), 2)
	for i, l := range leases {
		if w.names([]migration.Lease{l})[0] == "runs@x" {
			leases[i] = w.claim(l)
		}
	}
	n, err := s.SyncUsersNow(ctx, b.ID, noon)
	w.ok(err)
	equal(t, "asked of", n, 2)
	for _, l := range leases {
		if w.names([]migration.Lease{l})[0] == "awaits@x" {
			l = w.claim(l)
		}
		u, err := s.UserByID(ctx, l.UserID)
		w.ok(err)
		next := migration.Advance(u.ID, u.UserState, migration.Result{Kind: l.Kind}, migration.Schedule{Interval: 24 * time.Hour}, noon)
		w.ok(s.Finish(ctx, l.Token, next, u.Totals, u.Last, nil, nil))
		u, err = s.UserByID(ctx, l.UserID)
		w.ok(err)
		if u.Status != migration.UserQueued || !u.NextRunAt.Equal(noon) || u.Kind() != migration.Resync {
			t.Errorf("%s after its verify: %+v", u.EmailAddress, u.UserState)
		}
	}
}

// testVerifySettlesNothing: it sends nothing, and so has no answer to what was sent.
func testVerifySettlesNothing(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@x", synced))
	due := migration.UserState{Status: migration.UserWaiting, NextRunAt: noon, Code: migration.ConnectionFailed, FirstSyncedAt: noon}
	w.ok(s.Finish(ctx, w.one().Token, due, migration.Totals{}, migration.Tally{}, nil, nil))
	_, err := s.VerifyUsers(ctx, b.ID, noon)
	w.ok(err)
	l := w.one()
	if l.Kind != migration.Verify || !l.Unsettled {
		t.Fatalf("%+v", l)
	}
	w.ok(s.Finish(ctx, l.Token, migration.UserState{Status: migration.UserQueued, NextRunAt: noon, FirstSyncedAt: noon}, migration.Totals{}, migration.Tally{}, nil, nil))
	l = w.one()
	if l.Kind != migration.Resync || !l.Unsettled {
		t.Errorf("after its verify: %+v", l)
	}
}
