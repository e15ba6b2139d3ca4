package store

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// testRests: an endpoint outside its hours, or with the day's bytes used up, admits
// nobody and holds up nobody else; it admits again when the time has come.
func testRests(t *testing.T, open opener) {
	s := open(t)
	s.now = func() time.Time { return noon }
	w := newWorld(t, s, "acme")
	other := w.endpoint("other", 20, 10)
	w.batch("nights", many("a", 3)...)
	w.batchBetween("always", w.source, other, many("b", 2)...)
	w.target.Hours = "18:00-06:00"
	w.ok(s.UpdateEndpoint(t.Context(), &w.target))
	equal(t, "admitted by day", fmt.Sprint(w.names(w.admit(10))), "[b000@example.org b001@example.org]")
	evening, err := s.Admit(t.Context(), noon.Add(6*time.Hour), 1)
	w.ok(err)
	equal(t, "admitted in the evening", len(evening), 1)

	// The pass of the evening uses up the day at the target.
	l := w.claim(evening[0])
	w.target.Hours, w.target.DailyBytes = "", 1000
	w.ok(s.UpdateEndpoint(t.Context(), &w.target))
	window := func(l migration.Lease, bytes int64) {
		w.ok(s.Commit(t.Context(), l.Token, migration.Window{Tally: migration.Tally{Copied: 1, Bytes: bytes}}))
	}
	window(l, 600)
	window(l, 999) // since the beginning of the pass
	equal(t, "admitted with a byte left", len(w.admit(1)), 1)
	window(l, 1000)
	equal(t, "admitted with none left", len(w.admit(10)), 0)
	for _, e := range []migration.Endpoint{w.source, w.target} {
		got, err := s.EndpointByID(t.Context(), e.ID)
		w.ok(err)
		equal(t, "bytes today at "+e.Name, got.BytesToday(s.now()), 1000)
	}
	got, err := s.EndpointByName(t.Context(), w.org.ID, "other")
	w.ok(err)
	equal(t, "bytes today elsewhere", got.BytesToday(s.now()), 0)

	tomorrow := noon.Add(12 * time.Hour)
	leases, err := s.Admit(t.Context(), tomorrow, 10)
	w.ok(err)
	equal(t, "admitted the next day", len(leases), 1)
	s.now = func() time.Time { return tomorrow }
	window(l, 1005)
	got, err = s.EndpointByID(t.Context(), w.target.ID)
	w.ok(err)
	equal(t, "bytes the next day", got.BytesToday(s.now()), 5)
}

// testTraffic: passes that cross between two endpoints count at both, and no two wait
// for each other.
func testTraffic(t *testing.T, open opener) {
	s := open(t)
	s.now = func() time.Time { return noon }
	w := newWorld(t, s, "acme")
	w.batch("there", many("a", 8)...)
	w.batchBetween("back", w.target, w.source, many("b", 8)...)
	var g errgroup.Group
	leases := w.admit(16)
	for _, l := range leases {
		l = w.claim(l)
		g.Go(func() error {
			for i := range int64(10) {
				if err := s.Commit(t.Context(), l.Token, migration.Window{Tally: migration.Tally{Bytes: 10 * (i + 1)}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	w.ok(g.Wait())
	// With these tokens all count in the same rows; and a deadlock is no more tried again.
	_, err := s.w.ExecContext(t.Context(), `UPDATE leases SET token = (token + 1000) * $1`, usageParts)
	w.ok(err)
	for _, l := range leases {
		g.Go(func() error {
			for range 10 {
				err := s.writeStream(t.Context(), "count", func(tx *sql.Tx) error {
					return s.countTraffic(t.Context(), tx, &holder{Lease: migration.Lease{Token: (l.Token + 1000) * usageParts}}, 10)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	w.ok(g.Wait())
	for _, name := range []string{"source", "target"} {
		e, err := s.EndpointByName(t.Context(), w.org.ID, name)
		w.ok(err)
		equal(t, "bytes at "+name, e.BytesToday(s.now()), 16*200)
	}
	w.batchBetween("within", w.target, w.target, due("c@example.org"))
	l := w.one()
	w.ok(s.Commit(t.Context(), l.Token, migration.Window{Tally: migration.Tally{Bytes: 7}}))
	e, err := s.EndpointByName(t.Context(), w.org.ID, "target")
	w.ok(err)
	equal(t, "bytes of a pass with both sides there", e.BytesToday(s.now()), 16*200+14)
}

// testUsersTraffic: what is copied for a user is counted by day, over its passes; a day
// begins with nothing, and what an operator changes of the user leaves the count alone.
func testUsersTraffic(t *testing.T, open opener) {
	s := open(t)
	s.now = func() time.Time { return noon }
	w := newWorld(t, s, "acme")
	w.source.DailyBytesPerMailbox, w.target.DailyBytesPerMailbox = 1000, migration.NoDailyBytes
	for _, e := range []*migration.Endpoint{&w.source, &w.target} {
		w.ok(s.UpdateEndpoint(t.Context(), e))
		got, err := s.EndpointByID(t.Context(), e.ID)
		w.ok(err)
		equal(t, "limit of "+e.Name, got.DailyBytesPerMailbox, e.DailyBytesPerMailbox)
	}
	b := w.batch("pilot", many("a", 2)...)
	today := migration.DayOf(noon)
	var u migration.User
	check := func(what string, want migration.Traffic) {
		t.Helper()
		got, err := s.UserByID(t.Context(), u.ID)
		w.ok(err)
		equal(t, what, got.Traffic, want)
	}
	l := w.claim(w.admit(1)[0])
	u, err := s.UserByID(t.Context(), l.UserID)
	w.ok(err)
	check("before", migration.Traffic{})
	window := func(bytes int64) {
		t.Helper()
		w.ok(s.Commit(t.Context(), l.Token, migration.Window{Tally: migration.Tally{Copied: 1, Bytes: bytes}}))
	}
	finish := func(bytes int64) {
		t.Helper()
		tally := migration.Tally{Copied: 1, Bytes: bytes}
		got, err := s.UserByID(t.Context(), u.ID)
		w.ok(err)
		next := migration.UserState{Status: migration.UserQueued, Yielded: true, NextRunAt: noon}
		w.ok(s.Finish(t.Context(), l.Token, next, got.Totals.Add(tally), tally, nil, nil))
	}
	window(600)
	window(900) // since the beginning of the pass
	check("two windows", migration.Traffic{Day: today, Bytes: 900})
	finish(950) // with what was in no window
	check("a pass", migration.Traffic{Day: today, Bytes: 950})
	_, err = s.ChangeUser(t.Context(), u.ID, func(u *migration.User) error { u.UserName = "other"; return nil })
	w.ok(err)
	w.ok(s.ResetUser(t.Context(), u.ID))
	check("changed and reset", migration.Traffic{Day: today, Bytes: 950})
	l = w.claim(w.admit(1)[0])
	equal(t, "who goes on", l.UserID, u.ID)
	window(50)
	check("the next pass", migration.Traffic{Day: today, Bytes: 1000})
	s.now = func() time.Time { return noon.Add(12 * time.Hour) }
	window(57)
	check("the next day", migration.Traffic{Day: today + 1, Bytes: 7})
	w.ok(s.Release(t.Context(), l.Token, true, migration.UserState{Status: migration.UserQueued, NextRunAt: noon}))
	check("taken over", migration.Traffic{Day: today + 1, Bytes: 7})
	other := w.user(b, "a000@example.org")
	if other.ID == u.ID {
		other = w.user(b, "a001@example.org")
	}
	equal(t, "the other user", other.Traffic, migration.Traffic{})
}

// testThrottle: admission goes by the working limit, where that is the lower one.
func testThrottle(t *testing.T, open opener) {
	s := open(t)
	w := newWorld(t, s, "acme")
	w.limit(&w.target, 6, 6)
	w.batch("pilot", many("a", 20)...)
	for i, halved := range []bool{true, false} {
		name, working, news, err := s.Throttle(t.Context(), w.target.ID, noon.Add(time.Duration(i)*time.Second))
		w.ok(err)
		if name != "acme/target" || working.Limit != 3 || !working.At.Equal(noon) || news != halved {
			t.Errorf("answer %d: %s, %+v, %v", i, name, working, news)
		}
	}
	equal(t, "admitted", len(w.admit(10)), 3)
	more, err := s.Admit(t.Context(), noon.Add(2*time.Minute), 10)
	w.ok(err)
	equal(t, "admitted two minutes later", len(more), 2)
	w.limit(&w.target, 7, 7) // to change the endpoint does not forget it
	more, err = s.Admit(t.Context(), noon.Add(2*time.Minute), 10)
	w.ok(err)
	equal(t, "admitted under a higher limit", len(more), 0)
}

// testOrders: what is asked of running passes, in one look.
func testOrders(t *testing.T, open opener) {
	s := open(t)
	s.now = func() time.Time { return noon }
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", many("a", 4)...)
	var tokens []int64
	for _, l := range w.admit(4)[:3] {
		tokens = append(tokens, w.claim(l).Token)
	}
	check := func(what string, want ...migration.Order) {
		t.Helper()
		got, err := s.Orders(t.Context(), append(tokens, 4711))
		w.ok(err)
		equal(t, what+": orders", len(got), len(tokens))
		for i, token := range tokens {
			o := got[token]
			if o.Stop != want[i].Stop || o.Yield != want[i].Yield || (o.Rest != nil) != (want[i].Rest != nil) {
				t.Errorf("%s: pass %d is told %+v, want %+v", what, i, o, want[i])
			}
		}
	}
	goOn, yields := migration.Order{}, migration.Order{Yield: true}
	rests := migration.Order{Yield: true, Rest: &migration.Rest{}}
	check("nothing was asked", goOn, goOn, goOn)
	w.limit(&w.target, 1, 1)
	check("limit lowered", goOn, yields, yields)
	w.target.DailyBytes = 5
	w.limit(&w.target, 4, 4)
	w.ok(s.Commit(t.Context(), tokens[0], migration.Window{Tally: migration.Tally{Bytes: 5}}))
	check("day used up", rests, rests, rests)
	w.target.DailyBytes = 0
	w.limit(&w.target, 4, 4)
	u := w.names([]migration.Lease{w.live()[1]})[0]
	_, err := s.ChangeUser(t.Context(), w.user(b, u).ID, func(u *migration.User) error { u.Stopping = true; return nil })
	w.ok(err)
	check("a user stopped", goOn, migration.Order{Stop: true}, goOn)
}

// testRouse: who waits for a rest to end is due when the endpoint is changed; who waits
// for something else is not.
func testRouse(t *testing.T, open opener) {
	s := open(t)
	s.now = func() time.Time { return noon }
	w := newWorld(t, s, "acme")
	later := noon.Add(time.Hour)
	b := w.batch("pilot", due("rests@x", func(u *migration.User) { u.Status, u.Yielded, u.NextRunAt = migration.UserWaiting, true, later }),
		due("throttled@x", func(u *migration.User) { u.Status, u.NextRunAt = migration.UserWaiting, later }))
	equal(t, "admitted before", len(w.admit(10)), 0)
	_, err := s.ChangeEndpoint(t.Context(), w.org.ID, w.source.ID, func(*migration.Endpoint) error { return nil })
	w.ok(err)
	equal(t, "admitted after", fmt.Sprint(w.names(w.admit(10))), "[rests@x]")
	equal(t, "who was throttled is due", w.user(b, "throttled@x").NextRunAt, later)
}
