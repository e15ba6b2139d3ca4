package store

import (
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func testWorkers(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	clock := noon
	s.now = func() time.Time { return clock }
	me := migration.Worker{ID: "worker", Host: "h1", PID: 7, Version: "v1", Concurrency: 8, State: migration.WorkerRunning, StartedAt: noon, Tempo: migration.Tempo{}}
	beat := func(state migration.WorkerState) (drain bool) {
		t.Helper()
		me.State = state
		drain, err := s.BeatWorker(ctx, me)
		w.ok(err)
		return drain
	}
	look := func() migration.Worker {
		t.Helper()
		list, err := s.Workers(ctx)
		w.ok(err)
		if len(list) != 1 {
			t.Fatalf("workers: %+v", list)
		}
		one, err := s.Worker(ctx, list[0].ID)
		w.ok(err)
		equal(t, "found alone", one.Beat, list[0].Beat)
		return list[0]
	}
	equal(t, "asked to drain at once", beat(migration.WorkerRunning), false)
	w.batch("pilot", many("u", 3)...)
	for _, l := range w.admit(3)[:2] {
		w.claim(l) // by "worker"
	}
	clock = noon.Add(time.Minute)
	me.Tempo.Add(migration.FirstSync, 3*time.Second, true)
	beat(migration.WorkerRunning)
	got := look()
	equal(t, "running passes", got.Running, 2)
	equal(t, "beat", got.Beat, 2)
	equal(t, "since", got.Since, noon)
	equal(t, "capacity", migration.Capacity([]migration.Worker{got}), 8)
	equal(t, "tempo", got.Tempo[migration.FirstSync].Seconds, 3.0)
	equal(t, "name", got.Host+got.Version, "h1v1")

	refused(t, s.DrainWorker(ctx, "nobody"), migration.NotFound)
	w.ok(s.DrainWorker(ctx, "worker"))
	equal(t, "before it heard of it", look().State, migration.WorkerDraining)
	equal(t, "capacity when asked to drain", migration.Capacity([]migration.Worker{look()}), 0)
	equal(t, "it hears of it", beat(migration.WorkerRunning), true)
	beat(migration.WorkerDrained)
	equal(t, "drained since", look().Since, clock)

	// Gone by a look that was too old is not gone.
	w.ok(s.WorkerGone(ctx, "worker", 1))
	equal(t, "after an old look", look().State, migration.WorkerDrained)
	clock = noon.Add(2 * time.Minute)
	w.ok(s.WorkerGone(ctx, "worker", look().Beat))
	equal(t, "gone", look().State, migration.WorkerGone)
	equal(t, "gone since", look().Since, clock)
	clock = noon.Add(3 * time.Minute)
	w.ok(s.WorkerGone(ctx, "worker", look().Beat)) // by a second observer
	equal(t, "gone since, told twice", look().Since, noon.Add(2*time.Minute))
	beat(migration.WorkerDrained) // it was frozen
	equal(t, "back again", look().State, migration.WorkerDrained)
	equal(t, "back since", look().Since, clock)
	equal(t, "it was gone", look().LapsedAt, noon.Add(2*time.Minute))

	w.ok(s.ForgetWorker(ctx, "worker", 1))
	look() // an old look
	w.ok(s.ForgetWorker(ctx, "worker", look().Beat))
	beat(migration.WorkerRunning) // one that was forgotten makes itself known again
	look()
	w.ok(s.ForgetWorker(ctx, "worker", 0))
	list, err := s.Workers(ctx)
	w.ok(err)
	equal(t, "after its end", len(list), 0)
	_, err = s.Worker(ctx, "worker")
	refused(t, err, migration.NotFound)
}

func testBacklog(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	other := newWorld(t, s, "umbrella")
	other.batch("theirs", many("o", 4)...)
	later := func(u *migration.User) { synced(u); u.NextRunAt = noon.Add(time.Hour) }
	b := w.batch("pilot", due("a@example.org"), due("b@example.org"), due("c@example.org", yielded), due("d@example.org", synced),
		due("e@example.org", later), due("f@example.org", verifying))
	stopped := w.batch("stopped", many("s", 3)...)
	stopped.Stopped = true
	w.ok(s.UpdateBatch(ctx, stopped))
	count := func(org int64) map[migration.PassKind]int {
		t.Helper()
		list, err := s.Backlog(ctx, org, noon)
		w.ok(err)
		out := map[migration.PassKind]int{}
		for _, v := range list {
			out[v.Kind] += v.Users
			if org != 0 && (v.OrgID != org || v.SourceEndpointID != w.source.ID || v.TargetEndpointID != w.target.ID) {
				t.Errorf("backlog of another: %+v", v)
			}
		}
		return out
	}
	got := count(w.org.ID)
	if got[migration.FirstSync] != 3 || got[migration.Resync] != 1 || got[migration.Verify] != 1 || got[migration.LastSync] != 0 {
		t.Errorf("backlog %v", got)
	}
	equal(t, "of all organisations", count(0)[migration.FirstSync], 7)

	for email, want := range map[string]int{"c@example.org": 0, "d@example.org": 1, "a@example.org": 2, "b@example.org": 3, "f@example.org": 4, "e@example.org": 0} {
		n, err := s.Ahead(ctx, w.user(b, email).ID, noon)
		w.ok(err)
		equal(t, "ahead of "+email, n, want)
	}
	w.admit(2)
	live, err := s.LiveCount(ctx)
	w.ok(err)
	equal(t, "live", live, 2)
}

func testRival(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	other := newWorld(t, s, "umbrella")
	// The same mailbox, by another address: batches do not notice, leases do.
	mine := w.batch("mine", due("a@example.org", func(u *migration.User) { u.TargetUserName = "box" }))
	l := w.one()
	look := func(from *world, b *migration.Batch, email string) *migration.Rival {
		t.Helper()
		u := from.user(b, email)
		r, err := s.Rival(ctx, &u)
		w.ok(err)
		return r
	}
	if r := look(w, mine, "a@example.org"); r != nil {
		t.Errorf("the holder's rival: %+v", r)
	}
	// Users whose batches ended first are how two come to share a mailbox.
	second := w.batch("second", due("x@example.org"))
	theirs := other.batch("theirs", due("y@example.org"))
	for _, u := range []migration.User{w.user(second, "x@example.org"), other.user(theirs, "y@example.org")} {
		_, err := s.w.ExecContext(ctx, `UPDATE users SET target_user_name = 'box', target_login = 'box' WHERE id = $1`, u.ID)
		w.ok(err)
	}
	if r := look(w, second, "x@example.org"); r == nil || r.Batch != "mine" || r.EmailAddress != "a@example.org" {
		t.Errorf("rival of the same organisation: %+v", r)
	}
	if r := look(other, theirs, "y@example.org"); r == nil || *r != (migration.Rival{}) {
		t.Errorf("rival of another organisation: %+v", r)
	}
	w.inStep(l)
	if r := look(w, second, "x@example.org"); r != nil {
		t.Errorf("rival after its end: %+v", r)
	}
}

func testCopied(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	check := func(messages, size int64) {
		t.Helper()
		m, b, err := s.Copied(ctx, w.org.ID)
		w.ok(err)
		equal(t, "messages", m, messages)
		equal(t, "bytes", b, size)
	}
	w.batch("pilot", due("ann@example.org"))
	l := w.one()
	if l.Since.IsZero() || time.Since(l.Since) > time.Minute {
		t.Errorf("claimed %s", l.Since)
	}
	for n := int64(1); n <= 3; n++ {
		w.ok(s.Commit(ctx, l.Token, migration.Window{Tally: migration.Tally{Copied: 2 * n, Bytes: 20 * n}}))
		check(2*n, 20*n)
	}
	last := migration.Tally{Copied: 7, Bytes: 70}
	next := migration.UserState{Status: migration.UserSynced, FirstSyncedAt: noon, NextRunAt: noon}
	w.ok(s.Finish(ctx, l.Token, next, migration.Totals{}.Add(last), last, nil, nil))
	check(7, 70)
	l = w.one()
	w.ok(s.Finish(ctx, l.Token, next, migration.Totals{}.Add(last), migration.Tally{Seen: 7, Unchanged: 7}, nil, nil))
	check(7, 70)
	s.now = func() time.Time { return time.Now().Add(72 * time.Hour) }
	check(0, 0)
}
