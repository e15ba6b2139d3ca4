package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestWatchingWaitsAsBeatsDo: while another process holds the write lock of a SQLite
// database no beat gets through. Who watches the counters sees nothing then either, and
// afterwards what has happened meanwhile.
func TestWatchingWaitsAsBeatsDo(t *testing.T) {
	open := openerOf("sqlite://" + filepath.Join(t.TempDir(), "m.db"))
	s, other := open(t), open(t)
	w := newWorld(t, s, "acme")
	w.batch("pilot", due("ann"))
	l := w.one()

	held, let, over := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		over <- other.write(t.Context(), "hold the lock", func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(t.Context(), `UPDATE leases SET beat = beat + 1 WHERE token = $1`, l.Token); err != nil {
				return err
			}
			close(held)
			<-let
			return nil
		})
	}()
	<-held
	type look struct {
		leases []migration.Lease
		err    error
	}
	watch := func(of func(context.Context) ([]migration.Lease, error)) <-chan look {
		done := make(chan look, 1)
		go func() {
			leases, err := of(t.Context())
			done <- look{leases, err}
		}()
		return done
	}
	if got := <-watch(s.LiveLeases); got.err != nil || len(got.leases) != 1 {
		t.Errorf("reading waits for whoever writes: %v, %v", got.leases, got.err)
	}
	watched := watch(s.WatchLeases)
	for waits := false; !waits && len(watched) == 0; <-time.After(time.Millisecond) {
		waits = s.w.Stats().InUse > 0
	}
	close(let)
	w.ok(<-over)
	got := <-watched
	w.ok(got.err)
	if len(got.leases) != 1 || got.leases[0].Beat != l.Beat+1 {
		t.Errorf("it has not waited for beat %d: %+v", l.Beat+1, got.leases)
	}
}
