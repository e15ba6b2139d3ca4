package store

import (
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// testHeld: while a write under a lease is under way, nobody takes the lease away.
func testHeld(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	w.batch("pilot", due("ann@example.org"))
	l := w.one()
	tx, err := s.w.BeginTx(ctx, nil)
	w.ok(err)
	defer func() { _ = tx.Rollback() }()
	_, err = s.held(ctx, tx, l.Token, migration.LeaseRunning)
	w.ok(err)
	released := make(chan error, 1)
	go func() { released <- s.Release(ctx, l.Token, true, migration.UserState{Status: migration.UserQueued}) }()
	eventually(t, "somebody waits for a lock, or did not have to", func() bool {
		var waiting int
		w.ok(s.r.QueryRowContext(ctx, `SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND pid IN
			(SELECT pid FROM pg_stat_activity WHERE datname = current_database())`).Scan(&waiting))
		return waiting > 0 || len(released) > 0
	})
	if len(released) > 0 {
		t.Error("the lease was released in the middle of a write")
	}
	w.ok(tx.Rollback())
	w.ok(<-released)
}

// testBoundIsLeft: nobody raises the bound of a batch while another who saw it may be
// about to make somebody due.
func testBoundIsLeft(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"))
	_, err := s.w.ExecContext(ctx, `UPDATE users SET next_run_at = NULL`)
	w.ok(err)
	tx, err := s.w.BeginTx(ctx, nil)
	w.ok(err)
	defer func() { _ = tx.Rollback() }()
	w.ok(s.shareBatch(ctx, tx, b.ID))
	bound := func() (at time.Time) {
		t.Helper()
		equal(t, "admitted", len(w.admit(10)), 0)
		w.ok(s.r.QueryRowContext(ctx, `SELECT next_due_at FROM batches WHERE id = $1`, b.ID).Scan(timeInto{&at}))
		return at
	}
	equal(t, "bound while it is shared", bound(), noon)
	w.ok(tx.Rollback())
	equal(t, "bound afterwards", bound(), time.Time{})
}
