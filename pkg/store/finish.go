package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Finish ends a pass: it writes the user's next state and counts, replaces the items
// listed of the user, appends events, counts usage and frees the lease, all or
// nothing. A pass that ended early and lists no items, or a verify, leaves those of
// the pass before, as a preflight does. The credentials of a user that is completed are erased with it.
// ErrLeaseLost means that nothing was written.
func (s *Store) Finish(ctx context.Context, token int64, next migration.UserState, totals migration.Totals, last migration.Tally,
	items []migration.Item, events []migration.Event,
) error {
	return s.write(ctx, "finish pass", func(tx *sql.Tx) error {
		if err := s.shareBatchOfLease(ctx, tx, token); err != nil {
			return err
		}
		h, err := s.held(ctx, tx, token, migration.LeaseRunning)
		if err != nil {
			return err
		}
		early := next.Code != "" || next.Yielded || h.Kind == migration.Verify || h.Kind == migration.Preflighting
		if len(items) > 0 || !early && h.listed {
			if err := replaceItems(ctx, tx, h, items); err != nil {
				return err
			}
		}
		for _, e := range events {
			if e.OrgID == 0 {
				e.OrgID, e.BatchID, e.UserID = h.orgID, h.batchID, h.UserID
			}
			if err := addEvent(ctx, tx, e); err != nil {
				return err
			}
		}
		known := h.totals
		if h.running {
			known = known.Add(h.last)
		}
		if err := s.countUsage(ctx, tx, h, totals.Copied-known.Copied, totals.Bytes-known.Bytes, !next.FirstSyncedAt.IsZero()); err != nil {
			return err
		}
		if h.Kind == migration.FirstSync {
			if err := s.countFirst(ctx, tx, h, totals); err != nil {
				return err
			}
		}
		unsettled := h.Unsettled
		if sends(h.Kind) {
			unsettled = unsettledAfter(h.Unsettled, next)
		}
		return s.end(ctx, tx, h, asked(next, h.state, h.Kind, s.now()), totals, last, unsettled)
	})
}

// Release ends a lease in its holder's place: of a holder that is gone (dead; the
// lease is running), or of a task that was lost (the lease is queued). What the dead
// pass had committed goes into the user's totals. A lease in any other state is
// somebody else's by now: ErrLeaseLost.
func (s *Store) Release(ctx context.Context, token int64, dead bool, next migration.UserState) error {
	return s.write(ctx, "release lease", func(tx *sql.Tx) error {
		state := migration.LeaseQueued
		if dead {
			state = migration.LeaseRunning
		}
		if err := s.shareBatchOfLease(ctx, tx, token); err != nil {
			return err
		}
		h, err := s.held(ctx, tx, token, state)
		if err != nil {
			return err
		}
		if h.running {
			h.totals = h.totals.Add(h.last)
		}
		next := asked(next, h.state, h.Kind, s.now())
		if next.Status == migration.UserFailed {
			if err := s.noteFailure(ctx, tx, h, next); err != nil {
				return err
			}
		}
		return s.end(ctx, tx, h, next, h.totals, h.last, h.Unsettled || dead && sends(h.Kind))
	})
}

// noteFailure adds the event of a user that failed because its passes died: there is no
// pass left that would.
func (s *Store) noteFailure(ctx context.Context, tx *sql.Tx, h *holder, next migration.UserState) error {
	var email string
	if err := tx.QueryRowContext(ctx, `SELECT email FROM users WHERE id = $1`, h.UserID).Scan(&email); err != nil {
		return err
	}
	return addEvent(ctx, tx, migration.Event{
		OrgID: h.orgID, BatchID: h.batchID, UserID: h.UserID, Kind: migration.EventUserFailed, At: s.now(),
		Data: map[string]any{"emailAddress": email, "status": string(next.Status), "pass": string(h.Kind), "code": string(next.Code), "reason": next.Reason},
	})
}

// end writes what a pass leaves behind and frees its lease. The caller shares the lock
// of the batch.
func (s *Store) end(ctx context.Context, tx *sql.Tx, h *holder, next migration.UserState, totals migration.Totals, last migration.Tally,
	unsettled bool,
) error {
	args := append([]any{h.UserID}, stateArgs(&next)...)
	args = numbers(append(numbers(args, totalFields(&totals)), false), lastFields(&last))
	args = append(args, h.traffic.Day, h.traffic.Bytes)
	_, err := tx.ExecContext(ctx, `UPDATE users SET `+assign(stateColumns+`, `+totalColumns+`, running, `+lastColumns+`, `+trafficColumns, 2)+` WHERE id = $1`, args...)
	if err != nil {
		return err
	}
	if next.Status == migration.UserCompleted || next.Status == migration.UserCompletedWithWarnings {
		if err := s.eraseSecrets(ctx, tx, h.UserID); err != nil {
			return err
		}
	}
	if t := next.NextRunAt; !t.IsZero() && (h.batchDue.IsZero() || t.Before(h.batchDue)) {
		if err := lowerBound(ctx, tx, h.batchID, t); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, freeLease+`, unsettled = $2, counted_by = $3 WHERE token = $1`, h.Token, unsettled, h.countedBy)
	return err
}

// sends tells whether a pass of kind puts anything into the target.
func sends(kind migration.PassKind) bool {
	return kind != migration.Preflighting && kind != migration.Verify
}

// unsettledAfter tells whether something of a pass that ended with a word may still
// reach the target. A pass in step has every answer. One that an operator or a fault
// that may pass cut short may have left an APPEND without its answer: to wait for it
// costs the next pass seconds, to forget it a doubled message.
func unsettledAfter(before bool, next migration.UserState) bool {
	switch {
	case next.Status == migration.UserStopped || next.Status == migration.UserRemoving:
		return true
	case next.Yielded: // at the end of a window, with every answer there
		return before
	case next.Code != "" && (next.Code.Class() == migration.Retry || next.Code.Class() == migration.Wait):
		return true
	case next.Code != "":
		return before
	default:
		return false
	}
}

// asked carries into a pass's next state what an operator asked after the pass had
// looked last: cur is the user's state in the transaction that ends the pass.
func asked(next, cur migration.UserState, kind migration.PassKind, now time.Time) migration.UserState {
	ended := false
	switch next.Status {
	case migration.UserCompleted, migration.UserCompletedWithWarnings, migration.UserFailed, migration.UserNeedsCredentials:
		ended = true
	}
	if cur.VerifyDue && !next.VerifyDue && (kind == migration.FirstSync || kind == migration.Resync) {
		next.VerifyDue = true
		if next.Status == migration.UserSynced || next.Status == migration.UserFailed {
			next.NextRunAt = now
		}
	}
	retried := kind == migration.Verify && next.Status == migration.UserFailed
	if !cur.NextRunAt.IsZero() && (next.Status == migration.UserSynced || retried) { // to be synced now
		next.Status, next.NextRunAt, next.Code, next.Reason = migration.UserQueued, cur.NextRunAt, "", ""
	}
	if kind == migration.Preflighting && cur.PreflightFrom == "" { // started meanwhile
		next.PreflightFrom, next.Yielded, next.Takeovers = "", false, 0
		switch next.Status {
		case migration.UserCreated, migration.UserStopped, migration.UserFailed, migration.UserWaiting:
			next.Status, next.NextRunAt = migration.UserQueued, now
		}
	}
	if cur.Completing && !next.Completing {
		next.Completing = true
		if !ended && next.Status != migration.UserStopped {
			next.Status, next.NextRunAt = migration.UserCompleting, now
		}
	}
	switch {
	case cur.Removing:
		next.Removing, next.Status, next.NextRunAt = true, migration.UserRemoving, time.Time{}
	case cur.Stopping && next.Status != migration.UserStopped:
		next.Stopping = false
		if !ended {
			next.Status, next.NextRunAt = migration.UserStopped, time.Time{}
		}
	case next.Status == migration.UserStopped && !cur.Stopping && kind != migration.Preflighting: // started again
		next.Stopping, next.Status, next.NextRunAt = false, migration.UserQueued, now
	}
	return next
}
