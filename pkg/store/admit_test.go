package store

import (
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func kinds(leases []migration.Lease) map[migration.PassKind]int {
	n := map[migration.PassKind]int{}
	for _, l := range leases {
		n[l.Kind]++
	}
	return n
}

func testAdmissionLimits(t *testing.T, open opener) {
	s := open(t)
	w := newWorld(t, s, "acme")
	w.limit(&w.target, 5, 2)
	b := w.batch("pilot", many("first", 30)...)
	leases := w.admit(3)
	equal(t, "admitted with room for 3", len(leases), 3)
	leases = append(leases, w.admit(100)...)
	equal(t, "admitted with room for many", len(leases), 5)
	equal(t, "admitted while full", len(w.admit(100)), 0)
	for _, l := range leases {
		u, err := s.UserByID(t.Context(), l.UserID)
		w.ok(err)
		if u.Status != migration.UserQueued || !u.NextRunAt.IsZero() || l.State != migration.LeaseQueued || l.Token == 0 {
			t.Errorf("admitted: %+v, %+v", l, u.UserState)
		}
		equal(t, "kind", l.Kind, migration.FirstSync)
	}
	w.inStep(leases[0])
	equal(t, "admitted after one has ended", len(w.admit(100)), 1)

	w.limit(&w.target, 2, 2) // lowered: nobody until it is met
	for _, l := range w.live()[:3] {
		equal(t, "admitted while over the limit", len(w.admit(100)), 0)
		w.inStep(l)
	}
	equal(t, "admitted at the new limit", len(w.admit(100)), 0)
	w.inStep(w.live()[0])
	equal(t, "admitted below it", len(w.admit(100)), 1)

	slots, err := s.SlotsInUse(t.Context())
	w.ok(err)
	for _, v := range slots {
		if v.InUse != 2 || v.Kind != migration.FirstSync || v.Org != "acme" {
			t.Errorf("slots: %+v", v)
		}
	}
	equal(t, "endpoints with slots in use", len(slots), 2)
	sum, err := s.Summary(t.Context(), b.ID)
	w.ok(err)
	equal(t, "running", sum.Counts.Running, 2)
}

func testBothSides(t *testing.T, open opener) {
	s := open(t)
	w := newWorld(t, s, "acme")
	w.limit(&w.target, 3, 3)
	w.batchBetween("inside", w.target, w.target, many("u", 5)...)
	equal(t, "admitted", len(w.admit(10)), 3)
	slots, err := s.SlotsInUse(t.Context())
	w.ok(err)
	if len(slots) != 1 || slots[0].InUse != 3 {
		t.Errorf("slots: %+v, want 3 at one endpoint", slots)
	}
}

func testAdmissionOrder(t *testing.T, open opener) {
	s := open(t)
	w := newWorld(t, s, "acme")
	w.limit(&w.target, 1, 1)
	w.batch("pilot",
		due("6-verify", verifying), due("5-first"), due("4-resync", synced), due("2-yielded", yielded),
		due("1-complete", synced, completing), due("3-yielded-resync", synced, yielded))
	var got []string
	for range 6 {
		leases := w.admit(1)
		got = append(got, w.names(leases)...)
		for _, l := range leases {
			w.inStep(l)
		}
	}
	want := []string{"1-complete", "2-yielded", "3-yielded-resync", "5-first", "4-resync", "6-verify"}
	// With a single slot first syncs and resyncs take turns, hence 5 before 4.
	if !slices.Equal(got, want) {
		t.Errorf("order is %v, want %v", got, want)
	}
	// With more slots the order is that of the turns.
	w.limit(&w.target, 20, 10)
	w.batch("second", due("e-verify", verifying), due("d-first"), due("c-resync", synced), due("b-yielded", yielded), due("a-complete", completing))
	if got, want := w.names(w.admit(10)), []string{"a-complete", "b-yielded", "c-resync", "d-first", "e-verify"}; !slices.Equal(got, want) {
		t.Errorf("order is %v, want %v", got, want)
	}
	// Within a turn: who has been due longest.
	early := func(u *migration.User) { u.NextRunAt = noon.Add(-time.Hour) }
	w.batch("third", due("late"), due("early", early))
	if got, want := w.names(w.admit(10)), []string{"early", "late"}; !slices.Equal(got, want) {
		t.Errorf("order is %v, want %v", got, want)
	}
}

// testShare: where both wait resyncs get up to their limit, first syncs the rest.
func testShare(t *testing.T, open opener) {
	for _, tt := range []struct {
		name           string
		max, resyncs   int
		firsts, waits  int
		first, resync  int
		yieldedInstead bool
	}{
		{"both wait", 20, 10, 40, 40, 10, 10, false},
		{"few resyncs", 20, 10, 40, 4, 16, 4, false},
		{"few first syncs", 20, 10, 3, 40, 3, 10, false},
		{"no first syncs", 20, 10, 0, 40, 0, 10, false},
		{"no resyncs", 20, 10, 40, 0, 20, 0, false},
		{"limits alike", 5, 5, 40, 40, 1, 4, false},
		{"limits alike, no first syncs", 5, 5, 0, 40, 0, 5, false},
		{"one slot", 1, 1, 40, 40, 0, 1, false},
		{"yielded first syncs", 20, 10, 40, 40, 10, 10, true},
		{"yielded, limits alike", 2, 2, 40, 40, 1, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t)
			w := newWorld(t, s, "acme-"+tt.name)
			w.limit(&w.source, tt.max, tt.resyncs)
			firsts := many("first-"+tt.name, tt.firsts)
			if tt.yieldedInstead {
				firsts = many("first-"+tt.name, tt.firsts, yielded)
			}
			w.batch("a", firsts...)
			w.batch("b", many("resync-"+tt.name, tt.waits, synced)...)
			n := kinds(w.admit(100))
			if n[migration.FirstSync] != tt.first || n[migration.Resync] != tt.resync {
				t.Errorf("admitted %v, want %d first syncs and %d resyncs", n, tt.first, tt.resync)
			}
			for _, l := range w.live() {
				w.inStep(l)
			}
			for _, name := range []string{"a", "b"} {
				b, err := s.BatchByName(t.Context(), w.org.ID, name)
				w.ok(err)
				_, err = s.RemoveUsers(t.Context(), b.ID)
				w.ok(err)
			}
		})
	}
}

// testNobodyStarves: with few slots, and more resyncs and yielding first syncs than
// can ever be done, everybody's turn still comes.
func testNobodyStarves(t *testing.T, open opener) {
	s := open(t)
	for _, limit := range []int{1, 2, 3} {
		w := newWorld(t, s, fmt.Sprint("acme", limit))
		w.limit(&w.source, limit, limit)
		b := w.batch("pilot", slices.Concat(many(fmt.Sprint("first", limit), 6), many(fmt.Sprint("resync", limit), 6, synced))...)
		done := map[int64]int{}
		for range 60/limit + 1 {
			for _, l := range w.admit(10) {
				done[l.UserID]++
				l = w.claim(l)
				u, err := s.UserByID(t.Context(), l.UserID)
				w.ok(err)
				// Due again at once: resyncs for ever, first syncs one slice after another.
				next := u.UserState
				next.NextRunAt, next.Yielded = noon, l.Kind == migration.FirstSync
				w.ok(s.Finish(t.Context(), l.Token, next, u.Totals, u.Last, nil, nil))
			}
		}
		firsts, resyncs := 0, 0
		for id, n := range done {
			if u, _ := s.UserByID(t.Context(), id); u.FirstSyncedAt.IsZero() {
				firsts += n
			} else {
				resyncs += n
			}
		}
		if firsts < 15 || resyncs < 15 {
			t.Errorf("limit %d: %d slices of first syncs and %d resyncs of about 60", limit, firsts, resyncs)
		}
		_, err := s.RemoveUsers(t.Context(), b.ID)
		w.ok(err)
	}
}

func testRoundRobin(t *testing.T, open opener) {
	s := open(t)
	a, o := newWorld(t, s, "acme"), newWorld(t, s, "other")
	a.limit(&a.source, 1000, 1)
	a.limit(&a.target, 1000, 1)
	a.batch("a1", many("a1-", 50)...)
	a.batch("a2", many("a2-", 50)...)
	o.batchBetween("o1", o.source, o.endpoint("own", 20, 10), many("o1-", 5)...)
	var got []string
	for range 12 { // one at a time, as slots come free
		for _, name := range a.names(a.admit(1)) {
			got = append(got, name[:2])
		}
	}
	want := []string{"a1", "o1", "a2", "o1", "a1", "o1", "a2", "o1", "a1", "o1", "a2", "a1"}
	if !slices.Equal(got, want) {
		t.Errorf("one at a time: %v, want %v", got, want)
	}
	got = nil
	for _, name := range a.names(a.admit(4)) {
		got = append(got, name[:2])
	}
	if want := []string{"a2", "a1", "a2", "a1"}; !slices.Equal(got, want) {
		t.Errorf("four at once: %v, want %v", got, want)
	}
}

// testSlowOrganisation: one whose passes take long does not come to hold the slots
// that the others' passes give back.
func testSlowOrganisation(t *testing.T, open opener) {
	s := open(t)
	slow, quick := newWorld(t, s, "slow"), newWorld(t, s, "quick")
	slow.batch("s", many("slow", 50)...)
	quick.batch("q", many("quick", 50)...)
	live := slow.admit(8)
	for range 10 { // the quick one's passes end, the slow one's go on
		ended := slices.DeleteFunc(slices.Clone(live), func(l migration.Lease) bool { return l.SourceEndpointID != quick.source.ID })
		equal(t, "slots of the quick organisation", len(ended), 4)
		live = slices.DeleteFunc(live, func(l migration.Lease) bool { return l.SourceEndpointID == quick.source.ID })
		for _, l := range ended {
			quick.inStep(l)
		}
		live = append(live, slow.admit(8-len(live))...)
	}
}

func testFullEndpoint(t *testing.T, open opener) {
	s := open(t)
	w := newWorld(t, s, "acme")
	w.limit(&w.target, 1, 1)
	w.batch("slow", many("slow", 500)...)
	free := w.endpoint("free", 20, 10)
	w.batchBetween("fast", w.source, free, many("fast", 20)...)
	equal(t, "admitted", len(w.admit(100)), 20) // 20 at the source, which both use

	// Resyncs that wait for a full endpoint keep no slots elsewhere.
	other := newWorld(t, s, "other")
	full := other.endpoint("full", 1, 1)
	other.batchBetween("blocked", other.source, full, many("x", 30, synced)...)
	other.batch("first", many("y", 30)...)
	n := kinds(other.admit(100))
	if n[migration.Resync] != 1 || n[migration.FirstSync] != 19 {
		t.Errorf("admitted %v, want 1 resync and 19 first syncs", n)
	}
}

func testParked(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	w.batch("pilot", many("u", 10)...)
	park := migration.Park{Until: noon.Add(time.Second), Interval: 10 * time.Second, Code: migration.ConnectionFailed}
	w.ok(s.SetPark(ctx, w.target.ID, park))
	equal(t, "admitted while parked", len(w.admit(10)), 0)

	park.Until = noon
	w.ok(s.SetPark(ctx, w.target.ID, park))
	probe := w.admit(10)
	equal(t, "probes", len(probe), 1)
	equal(t, "admitted while the probe is queued", len(w.admit(10)), 0)
	l := w.claim(probe[0])
	equal(t, "admitted while the probe runs", len(w.admit(10)), 0)

	// The probe failed, the endpoint is parked for longer, the user is due as before.
	u, err := s.UserByID(ctx, l.UserID)
	w.ok(err)
	u.NextRunAt = noon
	w.ok(s.Finish(ctx, l.Token, u.UserState, u.Totals, u.Last, nil, nil))
	park.Until = noon.Add(20 * time.Second)
	w.ok(s.SetPark(ctx, w.target.ID, park))
	equal(t, "admitted while parked again", len(w.admit(10)), 0)
	later, err := s.Admit(ctx, noon.Add(20*time.Second), 10)
	w.ok(err)
	equal(t, "probes after the second park", len(later), 1)

	w.ok(s.SetPark(ctx, w.target.ID, migration.Park{})) // the probe got in
	equal(t, "admitted when open again", len(w.admit(10)), 9)

	held := newWorld(t, s, "held")
	held.batch("pilot", many("h", 3)...)
	w.ok(s.SetPark(ctx, held.source.ID, migration.Park{Until: noon.Add(-time.Hour), Held: true, Code: migration.AuthFailed}))
	equal(t, "admitted while held", len(w.admit(10)), 0)
}

func testOneWriter(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	a := newWorld(t, s, "acme")
	// Two users of one target mailbox, in one batch.
	to := func(login string) func(*migration.User) {
		return func(u *migration.User) { u.TargetUserName = login }
	}
	b := a.batch("pilot", due("ann@example.org", to("Box")), due("bob@example.org", to("bOX")), due("cid@example.org", to("other")))
	first := a.admit(10)
	if got := a.names(first); !slices.Equal(got, []string{"ann@example.org", "cid@example.org"}) {
		t.Fatalf("admitted %v", got)
	}
	equal(t, "admitted while the mailbox is written", len(a.admit(10)), 0)
	a.inStep(first[0])
	if got := a.names(a.admit(10)); !slices.Equal(got, []string{"bob@example.org"}) {
		t.Errorf("admitted %v, want the other user of the mailbox", got)
	}
	// The lease outlives the batch: the user is removed while its pass runs, and a new
	// batch of another organisation has to wait for that pass.
	bob, found, err := s.LeaseOfUser(ctx, a.user(b, "bob@example.org").ID)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	bob = a.claim(bob)
	_, err = s.RemoveUsers(ctx, b.ID)
	a.ok(err)
	o := newWorld(t, s, "other") // its endpoint has the same host
	o.batch("theirs", due("zoe@example.org", to("box")))
	equal(t, "admitted while the removed user's pass runs", len(o.admit(10)), 0)
	a.inStep(bob)
	equal(t, "admitted when it has ended", len(o.admit(10)), 1)
}

func testNotAdmitted(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	stopped := w.batch("stopped", due("ann@example.org"))
	stopped.Stopped = true
	w.ok(s.UpdateBatch(ctx, stopped))
	removed := w.batch("removed", due("bob@example.org"))
	removed.Removing = true
	w.ok(s.UpdateBatch(ctx, removed))
	w.batch("later", due("cid@example.org", func(u *migration.User) { u.NextRunAt = noon.Add(time.Minute) }))
	w.batch("never", due("dan@example.org", func(u *migration.User) { u.NextRunAt = time.Time{} }))
	equal(t, "admitted", len(w.admit(10)), 0)
	equal(t, "admitted without room", len(w.admit(0)), 0)

	// A user that an operator makes due while its pass runs is not admitted twice, also
	// when its login was changed meanwhile, but once more afterwards.
	b := w.batch("running", due("eve@example.org"))
	l := w.one()
	_, err := s.ChangeUser(ctx, l.UserID, func(u *migration.User) error { u.NextRunAt, u.TargetUserName = noon, "eve2"; return nil })
	w.ok(err)
	equal(t, "admitted again", len(w.admit(10)), 0)
	w.inStep(l)
	if u := w.user(b, "eve@example.org"); u.Status != migration.UserQueued || !u.NextRunAt.Equal(noon) {
		t.Errorf("status %s, due at %s", u.Status, u.NextRunAt)
	}
	equal(t, "admitted afterwards", len(w.admit(10)), 1)
	stopped.Stopped = false
	w.ok(s.UpdateBatch(ctx, stopped))
	equal(t, "admitted when no longer stopped", len(w.admit(10)), 1)
}

// testTurnWhileWaiting: who yielded while an admission waited for its turn to write
// goes before those that have not begun.
func testTurnWhileWaiting(t *testing.T, open opener) {
	s, other, ctx := open(t), open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("fresh"), due("yielded", yielded, func(u *migration.User) { u.NextRunAt = noon.Add(time.Millisecond) }))
	held, let := make(chan struct{}), make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		return other.write(ctx, "hold", func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, `SELECT id FROM endpoints`+s.dialect.forUpdate); err != nil {
				return err
			}
			close(held)
			<-let
			return nil
		})
	})
	<-held
	var admitted []migration.Lease
	g.Go(func() (err error) {
		admitted, err = s.Admit(ctx, noon, 1)
		return err
	})
	eventually(t, "the admission waits", func() bool { return s.w.Stats().InUse > 0 })
	<-time.After(10 * time.Millisecond) // while it waits, at least
	close(let)
	w.ok(g.Wait())
	if len(admitted) != 1 || admitted[0].UserID != w.user(b, "yielded").ID {
		t.Errorf("admitted %v, want the one who yielded", w.names(admitted))
	}
}

// testBound: a batch of which nobody is due costs an admission nothing, and is found
// again as soon as somebody is.
func testBound(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", slices.Concat(many("now", 2), many("later", 2, func(u *migration.User) { u.NextRunAt = noon.Add(time.Hour) }))...)
	bound := func() (at time.Time) {
		t.Helper()
		w.ok(s.r.QueryRowContext(ctx, `SELECT next_due_at FROM batches WHERE id = $1`, b.ID).Scan(timeInto{&at}))
		return at
	}
	equal(t, "bound at first", bound(), noon)
	leases := w.admit(10)
	equal(t, "admitted", len(leases), 2)
	equal(t, "bound when nobody is due", bound(), noon.Add(time.Hour))
	_, err := s.ChangeUser(ctx, leases[0].UserID, func(u *migration.User) error { u.NextRunAt = noon.Add(time.Minute); return nil })
	w.ok(err)
	equal(t, "bound when one is due earlier", bound(), noon.Add(time.Minute))
	w.inStep(leases[1])
	_, err = s.SyncUsersNow(ctx, b.ID, noon)
	w.ok(err)
	equal(t, "bound after sync now", bound(), noon)
	equal(t, "admitted after sync now", len(w.admit(10)), 1)
}

// testConcurrent: eight at once, in two processes, admit, claim, commit and finish;
// never more than the limit run, and no mailbox is written by two.
func testConcurrent(t *testing.T, open opener) {
	stores := []*Store{open(t), open(t)} // as of two processes
	w := newWorld(t, stores[0], "acme")
	const limit, users = 3, 60
	w.limit(&w.target, limit, limit)
	w.batch("pilot", many("u", users)...)
	var running, most, done atomic.Int64
	var mu sync.Mutex
	writers := map[int64]bool{}
	pass := func(s *Store, l migration.Lease, worker string) error {
		l, err := s.Claim(t.Context(), l.Token, worker)
		if err != nil {
			return err
		}
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		mu.Lock()
		twice := writers[l.UserID]
		writers[l.UserID] = true
		mu.Unlock()
		if twice {
			return fmt.Errorf("user %d has two passes", l.UserID)
		}
		if err := s.Commit(t.Context(), l.Token, migration.Window{Folder: "INBOX", Append: []byte("x"), Tally: migration.Tally{Copied: 1}}); err != nil {
			return err
		}
		u, err := s.UserByID(t.Context(), l.UserID)
		if err != nil {
			return err
		}
		next := migration.Advance(u.ID, u.UserState, migration.Result{Kind: l.Kind}, migration.Schedule{Interval: time.Hour}, noon)
		running.Add(-1)
		done.Add(1)
		return s.Finish(t.Context(), l.Token, next, u.Totals.Add(u.Last), u.Last, nil, nil)
	}
	g, ctx := errgroup.WithContext(t.Context())
	for i := range 8 {
		s := stores[i%2]
		g.Go(func() error {
			for done.Load() < users && ctx.Err() == nil {
				leases, err := s.Admit(ctx, noon, 2)
				if err != nil {
					return err
				}
				if len(leases) == 0 {
					<-time.After(10 * time.Millisecond) // who looks without a pause keeps SQLite's lock from who has work
				}
				for _, l := range leases {
					if err := pass(s, l, fmt.Sprint("worker", i)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	w.ok(g.Wait())
	if most.Load() > limit {
		t.Errorf("%d at once, the limit is %d", most.Load(), limit)
	}
	equal(t, "passes", done.Load(), users)
}
