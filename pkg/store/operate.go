package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// What operators ask of all users of a batch. A user whose lease is running is in
// the hands of its pass: it gets a flag, which the pass's end acts on.
const (
	leased  = ` EXISTS (SELECT 1 FROM leases l WHERE l.user_id = users.id)`
	running = ` EXISTS (SELECT 1 FROM leases l WHERE l.user_id = users.id AND l.state = 'running')`

	startUsers = `UPDATE users SET status = 'Queued', next_run_at = $2, code = '', reason = '', attempts = 0, failing_since = NULL, takeovers = 0,
		stopping = FALSE, again = again OR status = 'Failed' WHERE batch_id = $1 AND NOT removing AND status IN ('Created', 'Stopped', 'Failed') AND NOT` + leased
	unstopUsers = `UPDATE users SET stopping = FALSE WHERE batch_id = $1 AND NOT removing AND stopping`

	stopRunning = `UPDATE users SET stopping = TRUE WHERE batch_id = $1 AND NOT removing AND NOT stopping AND` + running
	stopWaiting = `UPDATE users SET status = CASE WHEN preflight_from = '' THEN 'Stopped' ELSE preflight_from END, preflight_from = '',
		next_run_at = NULL WHERE batch_id = $1 AND NOT removing
		AND status NOT IN ('Created', 'Stopped', 'Failed', 'NeedsCredentials', 'Completed', 'CompletedWithWarnings') AND NOT` + leased
	// Of one user, whatever it waits for.
	stopUser = `UPDATE users SET
		status = CASE WHEN` + leased + ` THEN status ELSE 'Stopped' END,
		stopping =` + leased + `,
		preflight_from = CASE WHEN` + leased + ` THEN preflight_from ELSE '' END,
		next_run_at = CASE WHEN` + leased + ` THEN next_run_at END
		WHERE id = $1 AND NOT removing AND status NOT IN ('Completed', 'CompletedWithWarnings')`
	restFailed = `UPDATE users SET next_run_at = NULL WHERE batch_id = $1 AND status = 'Failed' AND next_run_at IS NOT NULL`

	// A user in the middle of a resync or a verify is due again when that ends: it has
	// looked at some folders already. So is one whose verify awaits its worker.
	syncUsers = `UPDATE users SET status = CASE WHEN` + leased + ` THEN status ELSE 'Queued' END, next_run_at = $2
		WHERE batch_id = $1 AND NOT removing
		AND (status IN ('Synced', 'Waiting') AND NOT` + leased + ` OR status = 'IncrementalSyncing'
			OR status = 'Queued' AND EXISTS (SELECT 1 FROM leases l WHERE l.user_id = users.id AND l.kind = 'verify'))`

	completeUsers = `UPDATE users SET completing = TRUE,
		status = CASE WHEN` + leased + ` THEN status ELSE 'Completing' END,
		next_run_at = CASE WHEN` + leased + ` THEN next_run_at ELSE $2 END
		WHERE batch_id = $1 AND NOT removing AND NOT completing
		AND status NOT IN ('Completed', 'CompletedWithWarnings', 'Failed', 'NeedsCredentials')`

	verifyUsers = `UPDATE users SET verify_due = TRUE,
		next_run_at = CASE WHEN status IN ('Synced', 'Failed') AND NOT` + leased + ` THEN $2 ELSE next_run_at END
		WHERE batch_id = $1 AND NOT removing AND NOT completing AND first_synced_at IS NOT NULL
		AND status NOT IN ('NeedsCredentials', 'Stopped')`
)

// operate runs do over a batch's users in one transaction; do returns how many it
// changed. With a time the batch is due from then.
func (s *Store) operate(ctx context.Context, what string, batchID int64, now time.Time, do func(tx *sql.Tx) (int, error)) (n int, err error) {
	err = s.write(ctx, what, func(tx *sql.Tx) error {
		if err := s.takeBatch(ctx, tx, batchID); err != nil {
			return err
		}
		if n, err = do(tx); err != nil || n == 0 {
			return err
		}
		return s.dueFrom(ctx, tx, batchID, now)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// StartUsers makes users due that were never started, stopped or failed, and takes
// a stop back that a running pass has not acted on. Their attempts are forgotten; of
// those that failed, messages that were skipped are offered once more.
func (s *Store) StartUsers(ctx context.Context, batchID int64, now time.Time) (int, error) {
	return s.operate(ctx, "start users", batchID, now, func(tx *sql.Tx) (int, error) {
		if err := s.endPreflightsOf(ctx, tx, batchID); err != nil {
			return 0, err
		}
		resumed, err := execN(ctx, tx, unstopUsers, batchID)
		if err != nil {
			return 0, err
		}
		n, err := execN(ctx, tx, startUsers, batchID, at(now))
		return n + resumed, err
	})
}

// StopUsers stops users: at once where no pass runs (one that only awaits its worker
// loses its lease), else when the pass has ended.
func (s *Store) StopUsers(ctx context.Context, batchID int64) (int, error) {
	return s.operate(ctx, "stop users", batchID, time.Time{}, func(tx *sql.Tx) (int, error) {
		if _, err := tx.ExecContext(ctx, freeLease+freeQueuedOfBatch, batchID); err != nil {
			return 0, err
		}
		if _, err := tx.ExecContext(ctx, restFailed, batchID); err != nil {
			return 0, err
		}
		stopped, err := execN(ctx, tx, stopWaiting, batchID)
		if err != nil {
			return 0, err
		}
		stopping, err := execN(ctx, tx, stopRunning, batchID)
		return stopped + stopping, err
	})
}

// StopUser is StopUsers for one user, who is stopped also while it rests.
func (s *Store) StopUser(ctx context.Context, id int64) (u migration.User, err error) {
	err = s.write(ctx, "stop user", func(tx *sql.Tx) error {
		if err := s.takeBatchOfUser(ctx, tx, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, freeLease+freeQueuedOfUser, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, stopUser, id); err != nil {
			return err
		}
		u, err = oneUser(ctx, tx, "such user", ` WHERE id = $1`, id)
		return err
	})
	return u, err
}

// SyncUsersNow makes users due that are synced or wait.
func (s *Store) SyncUsersNow(ctx context.Context, batchID int64, now time.Time) (int, error) {
	return s.operate(ctx, "sync users", batchID, now, func(tx *sql.Tx) (int, error) {
		return execN(ctx, tx, syncUsers, batchID, at(now))
	})
}

// CompleteUsers asks for the last sync of all users but those that are completed,
// have failed or need credentials.
func (s *Store) CompleteUsers(ctx context.Context, batchID int64, now time.Time) (int, error) {
	return s.operate(ctx, "complete users", batchID, now, func(tx *sql.Tx) (int, error) {
		if err := s.endPreflightsOf(ctx, tx, batchID); err != nil {
			return 0, err
		}
		return execN(ctx, tx, completeUsers, batchID, at(now))
	})
}

// VerifyUsers asks for a verify of all users that had a first sync and still take
// part. A user that waits for a time is verified when it has come.
func (s *Store) VerifyUsers(ctx context.Context, batchID int64, now time.Time) (int, error) {
	return s.operate(ctx, "verify users", batchID, now, func(tx *sql.Tx) (int, error) {
		return execN(ctx, tx, verifyUsers, batchID, at(now))
	})
}
