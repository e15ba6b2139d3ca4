package dispatch

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/store"
	"github.com/mailhaul/mailhaul/pkg/store/storetest"
)

// fakeQueue keeps tasks in memory.
type fakeQueue struct {
	mu       sync.Mutex
	capacity int
	tasks    []int64 // tokens
	down     error
}

func (q *fakeQueue) Enqueue(_ context.Context, l migration.Lease) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down == nil && !slices.Contains(q.tasks, l.Token) {
		q.tasks = append(q.tasks, l.Token)
	}
	return q.down
}

func (q *fakeQueue) Missing(_ context.Context, leases []migration.Lease) ([]migration.Lease, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(leases), func(l migration.Lease) bool { return slices.Contains(q.tasks, l.Token) }), q.down
}

func (q *fakeQueue) Capacity(context.Context) (int, error) { return q.capacity, nil }

// newStore is a store with one started batch of n users that are due.
func newStore(t *testing.T, n int) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), storetest.SQLite(t, filepath.Join(t.TempDir(), "m.db")))
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	org, err := db.OrgByName(t.Context(), migration.DefaultOrg)
	must(t, err)
	ends := []migration.Endpoint{{OrgID: org.ID, Name: "old"}, {OrgID: org.ID, Name: "new"}}
	for i := range ends {
		ends[i].EndpointSpec = migration.EndpointSpec{Host: ends[i].Name + ".example", Port: 993, MaxConcurrentMigrations: 20, MaxConcurrentIncrementalSyncs: 10}
		must(t, db.CreateEndpoint(t.Context(), &ends[i]))
	}
	now := time.Now().UTC()
	b := migration.Batch{
		OrgID: org.ID, Name: "b", BatchSpec: migration.BatchSpec{SourceEndpoint: "old", TargetEndpoint: "new", ResyncInterval: time.Hour},
		SourceEndpointID: ends[0].ID, TargetEndpointID: ends[1].ID, CreatedAt: now, StartedAt: now,
	}
	_, err = db.CreateBatch(t.Context(), &b, func(yield func(migration.User, error) bool) {
		for i := range n {
			u := migration.User{
				OrgID: org.ID, EmailAddress: fmt.Sprintf("u%d@new.example", i), UserName: fmt.Sprintf("u%d", i),
				UserState: migration.UserState{Status: migration.UserQueued, NextRunAt: now},
			}
			if !yield(u, nil) {
				return
			}
		}
	})
	must(t, err)
	return db
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newReconciler(t *testing.T, db *store.Store, q *fakeQueue) *reconciler {
	return &reconciler{store: db, queue: q, log: zaptest.NewLogger(t), kick: func() {}, observer: observer{deadAfter: 0, lostAfter: 0}, roll: roll{goneAfter: time.Hour, forgetAfter: time.Hour}}
}

func leases(t *testing.T, db *store.Store) []migration.Lease {
	t.Helper()
	l, err := db.LiveLeases(t.Context())
	must(t, err)
	return l
}

func TestNoMoreIsAdmittedThanStartsSoon(t *testing.T) {
	db, q := newStore(t, 9), &fakeQueue{capacity: 2}
	a := NewAdmitter(db, q, 0, zaptest.NewLogger(t))
	for range 3 {
		must(t, a.admit(t.Context()))
	}
	if want := 2 + atHand(2); len(q.tasks) != want || len(leases(t, db)) != want {
		t.Errorf("%d tasks for %d leases, want %d", len(q.tasks), len(leases(t, db)), want)
	}
	l := leases(t, db)[0]
	must(t, db.Release(t.Context(), l.Token, false, migration.UserState{Status: migration.UserStopped}))
	must(t, a.admit(t.Context()))
	if want := 2 + atHand(2); len(leases(t, db)) != want || len(q.tasks) != want+1 {
		t.Errorf("after one ended: %d leases, %d tasks in all", len(leases(t, db)), len(q.tasks))
	}
}

func TestWithoutWorkersNobodyIsAdmitted(t *testing.T) {
	db, q := newStore(t, 1), &fakeQueue{}
	must(t, NewAdmitter(db, q, 0, zaptest.NewLogger(t)).admit(t.Context()))
	if len(leases(t, db)) != 0 {
		t.Errorf("leases %v", leases(t, db))
	}
}

// ending is a queue whose process ends while it takes the first task.
type ending struct {
	*fakeQueue
	end context.CancelFunc
}

func (q ending) Enqueue(ctx context.Context, l migration.Lease) error {
	q.end()
	if err := ctx.Err(); err != nil {
		return err
	}
	return q.fakeQueue.Enqueue(ctx, l)
}

func TestAProcessThatEndsEnqueuesWhomItAdmitted(t *testing.T) {
	db, q := newStore(t, 3), &fakeQueue{capacity: 3}
	ctx, end := context.WithCancel(t.Context())
	must(t, NewAdmitter(db, ending{q, end}, 0, zaptest.NewLogger(t)).Run(ctx))
	if n := len(leases(t, db)); n != 3 || len(q.tasks) != n {
		t.Errorf("%d tasks for %d leases, want 3", len(q.tasks), n)
	}
}

func TestALostTaskIsAdmittedAgain(t *testing.T) {
	db, q := newStore(t, 1), &fakeQueue{capacity: 1}
	a := NewAdmitter(db, q, 0, zaptest.NewLogger(t))
	must(t, a.admit(t.Context()))
	first := leases(t, db)[0]
	r := newReconciler(t, db, q)
	must(t, r.reconcile(t.Context()))
	if got := leases(t, db); len(got) != 1 || got[0].Token != first.Token {
		t.Fatalf("a task that waits was taken for lost: %v", got)
	}
	q.tasks = nil // flushed
	must(t, r.reconcile(t.Context()))
	must(t, a.admit(t.Context()))
	got := leases(t, db)
	if len(got) != 1 || got[0].Token == first.Token || got[0].Unsettled || !slices.Contains(q.tasks, got[0].Token) {
		t.Errorf("leases %+v, tasks %v", got, q.tasks)
	}
	if _, err := db.Claim(t.Context(), first.Token, "w"); !errors.Is(err, migration.ErrLeaseLost) {
		t.Errorf("the lost task, turning up late, claims: %v", err)
	}
}

func TestAQueueThatIsDownDelaysAUserOnly(t *testing.T) {
	db, q := newStore(t, 1), &fakeQueue{capacity: 1, down: errors.New("connection refused")}
	a := NewAdmitter(db, q, 0, zaptest.NewLogger(t))
	if err := a.admit(t.Context()); !errors.Is(err, q.down) {
		t.Errorf("error %v", err)
	}
	q.down = nil
	must(t, newReconciler(t, db, q).reconcile(t.Context()))
	must(t, a.admit(t.Context()))
	if got := leases(t, db); len(got) != 1 || len(q.tasks) != 1 {
		t.Errorf("leases %v, tasks %v", got, q.tasks)
	}
}

// late is a store of which a dispatcher has the leases from before another one acted.
type late struct {
	*store.Store
	seen []migration.Lease
}

func (l *late) WatchLeases(context.Context) ([]migration.Lease, error) { return l.seen, nil }

func TestADeadWorkersMailboxIsTakenOverUnsettled(t *testing.T) {
	db, q := newStore(t, 1), &fakeQueue{capacity: 1}
	a := NewAdmitter(db, q, 0, zaptest.NewLogger(t))
	first, second, before := newReconciler(t, db, q), newReconciler(t, db, q), &late{Store: db}
	second.store = before
	for death := 1; death <= 3; death++ {
		must(t, a.admit(t.Context()))
		l := leases(t, db)[0]
		if l.Unsettled != (death > 1) {
			t.Errorf("before death %d: unsettled is %v", death, l.Unsettled)
		}
		_, err := db.Claim(t.Context(), l.Token, "w")
		must(t, err)
		before.seen = leases(t, db)
		must(t, first.reconcile(t.Context()))
		must(t, second.reconcile(t.Context())) // two dispatchers are one too many, and no harm
		u, err := db.UserByID(t.Context(), l.UserID)
		must(t, err)
		switch {
		case death < 3 && (u.Status != migration.UserQueued || !u.Yielded || u.Takeovers != death || u.Attempts != 0):
			t.Errorf("after death %d: %+v", death, u.UserState)
		case death == 3 && (u.Status != migration.UserFailed || u.Code != migration.Internal):
			t.Errorf("after death %d: %+v", death, u.UserState)
		}
	}
}

// TestAMailboxIsNotBlamedForAccidents: where another worker died as well, the third death
// of a mailbox's does not end it; nor where one of its own was frozen, and came back.
func TestAMailboxIsNotBlamedForAccidents(t *testing.T) {
	t.Run("another died", func(t *testing.T) { blamed(t, "") })
	t.Run("its first came back", func(t *testing.T) { blamed(t, "1") })
}

// blamed has the three workers of a mailbox die, of which one comes back, and another.
func blamed(t *testing.T, back string) {
	db, q := newStore(t, 1), &fakeQueue{capacity: 1}
	a, r := NewAdmitter(db, q, 0, zaptest.NewLogger(t)), newReconciler(t, db, q)
	beat := func(id string) {
		_, err := db.BeatWorker(t.Context(), migration.Worker{ID: id, Concurrency: 1, StartedAt: time.Now(), State: migration.WorkerRunning})
		must(t, err)
	}
	for _, id := range []string{"1", "2", "3", "another"} {
		beat(id)
	}
	must(t, db.WorkerGone(t.Context(), "another", 1))
	for _, id := range []string{"1", "2", "3"} {
		must(t, a.admit(t.Context()))
		l := leases(t, db)[0]
		_, err := db.Claim(t.Context(), l.Token, id)
		must(t, err)
		must(t, r.reconcile(t.Context()))
		must(t, db.WorkerGone(t.Context(), id, 1))
		if id == back {
			beat(id)
		}
		u, err := db.UserByID(t.Context(), l.UserID)
		must(t, err)
		if u.Status != migration.UserQueued {
			t.Errorf("after the death of worker %s: %+v", id, u.UserState)
		}
	}
}

func TestAStoreOfOnesOwnIsTakenOverAtOnce(t *testing.T) {
	db, q := newStore(t, 3), &fakeQueue{capacity: 2}
	d := New(Config{Store: db, Queue: q, Log: zaptest.NewLogger(t)})
	must(t, d.admitter.admit(t.Context()))
	claimed := leases(t, db)[0]
	_, err := db.Claim(t.Context(), claimed.Token, "the process before")
	must(t, err)
	must(t, d.TakeOverAll(t.Context()))
	if left := leases(t, db); len(left) != 0 {
		t.Errorf("leases left: %v", left)
	}
	must(t, d.admitter.admit(t.Context()))
	for _, l := range leases(t, db) {
		if l.Unsettled != (l.UserID == claimed.UserID) {
			t.Errorf("user %d, of whom %d ran: unsettled is %v", l.UserID, claimed.UserID, l.Unsettled)
		}
	}
}

func TestADispatcherRunsUntilItIsEnded(t *testing.T) {
	db, q := newStore(t, 1), &fakeQueue{capacity: 1}
	d := New(Config{Store: db, Queue: q, Log: zaptest.NewLogger(t)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	d.Kick()
	for deadline := time.Now().Add(time.Minute); ; {
		q.mu.Lock()
		n := len(q.tasks)
		q.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not admitted in a minute")
		}
		<-time.After(5 * time.Millisecond)
	}
	cancel()
	must(t, <-done)
}
