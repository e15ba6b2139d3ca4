package dispatch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// lockable is a store with one running lease, whose beats and looks both need the
// lock. Reading does not.
type lockable struct {
	Store
	lock     chan struct{} // whoever sends holds it
	lease    migration.Lease
	released int
}

func (l *lockable) LiveLeases(context.Context) ([]migration.Lease, error) {
	return []migration.Lease{l.lease}, nil
}

func (l *lockable) WatchLeases(ctx context.Context) ([]migration.Lease, error) {
	l.lock <- struct{}{}
	defer func() { <-l.lock }()
	return l.LiveLeases(ctx)
}

func (l *lockable) beat() {
	l.lock <- struct{}{}
	defer func() { <-l.lock }()
	l.lease.Beat++
}

func (*lockable) UserByID(context.Context, int64) (u migration.User, _ error)   { return u, nil }
func (*lockable) BatchByID(context.Context, int64) (b migration.Batch, _ error) { return b, nil }
func (*lockable) Progressed(context.Context, int64) (bool, error)               { return false, nil }
func (*lockable) Workers(context.Context) ([]migration.Worker, error)           { return nil, nil }
func (*lockable) PurgeRemoved(context.Context) (int, error)                     { return 0, nil }

func (l *lockable) Release(context.Context, int64, bool, migration.UserState) error {
	l.released++
	return nil
}

// TestALockedDatabaseIsABlink: whoever keeps a SQLite database locked keeps the
// holders from beating. They are none the deader for it.
func TestALockedDatabaseIsABlink(t *testing.T) {
	for _, row := range []struct {
		story  string
		locked time.Duration
		beats  bool // afterwards
		want   bool // taken over
	}{
		{"a short lock", 4 * time.Second, true, false},
		{"a long one", 10 * time.Second, true, false},
		{"a very long one", time.Minute, true, false},
		{"a long one, and a holder that has died", 10 * time.Second, false, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			db := &lockable{lock: make(chan struct{}, 1), lease: migration.Lease{Token: 1, State: migration.LeaseRunning, Beat: 1}}
			r := &reconciler{
				store: db, queue: &fakeQueue{}, log: zaptest.NewLogger(t), every: reconcileEvery, kick: func() {},
				observer: observer{deadAfter: deadAfter, lostAfter: lostAfter},
			}
			done := make(chan error, 1)
			go func() { done <- r.run(ctx) }()
			go func() {
				for tick := time.Tick(3 * time.Second); ; {
					select {
					case <-ctx.Done():
						return
					case <-tick:
						if db.beat(); !row.beats {
							return
						}
					}
				}
			}()
			<-time.After(8*time.Second + 500*time.Millisecond)
			db.lock <- struct{}{}
			<-time.After(row.locked)
			<-db.lock
			<-time.After(25 * time.Second)
			cancel()
			must(t, <-done)
			if got := db.released > 0; got != row.want {
				t.Errorf("%s: taken over is %v, want %v", row.story, got, row.want)
			}
		})
	}
}
