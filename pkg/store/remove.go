package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// What is removed goes in pieces, because others have to write meanwhile:
//
//  1. Users are marked: nothing is begun with them any more, and their secrets are erased.
//  2. Marked users whose passes have ended are deleted, each with all that hangs on it.
//  3. A batch that is removed and has no users left is deleted; then the files are scrubbed.
//
// Whoever dies in between leaves a batch that is removed, or users that are: any process
// goes on with those (PurgeRemoved), from the first step.
const (
	markedAtOnce = 1000
	erasedAtOnce = 500

	remove = `UPDATE users SET removing = TRUE, status = 'Removing', next_run_at = NULL, source_secret = NULL, target_secret = NULL`

	// A piece of a batch's users is those after an address up to another.
	pieceEnd     = `SELECT COUNT(*), COALESCE(MAX(email_key), '') FROM (SELECT email_key FROM users WHERE batch_id = $1 AND email_key > $2 ORDER BY email_key LIMIT $3) AS piece`
	removePiece  = remove + ` WHERE batch_id = $1 AND email_key > $2 AND email_key <= $3 AND NOT removing`
	queuedPieces = ` WHERE user_id IS NOT NULL AND state = 'queued'
		AND EXISTS (SELECT 1 FROM users u WHERE u.id = leases.user_id AND u.batch_id = $1 AND u.email_key > $2 AND u.email_key <= $3)`

	removed    = `SELECT id FROM batches WHERE removing AND made_at IS NULL`
	notMarked  = `SELECT EXISTS (SELECT 1 FROM users WHERE batch_id = $1 AND NOT removing)`
	removable  = `SELECT id FROM users WHERE removing AND NOT` + leased
	emptyBatch = ` AND made_at IS NULL AND NOT EXISTS (SELECT 1 FROM users u WHERE u.batch_id = batches.id)`
)

// RemoveUsers removes all users of a batch: at once where no pass runs, else when
// the pass has ended (PurgeRemoved). It returns how many were there.
func (s *Store) RemoveUsers(ctx context.Context, batchID int64) (n int, err error) {
	if n, err = s.markUsers(ctx, batchID); err != nil {
		return n, err
	}
	_, err = s.purgeUsers(ctx, ` AND batch_id = $1`, batchID)
	return n, err
}

// markUsers marks all users of a batch, and returns how many were not yet.
func (s *Store) markUsers(ctx context.Context, batchID int64) (total int, err error) {
	for after, more := "", true; more; {
		began := time.Now()
		var n int
		if n, after, more, err = s.markPiece(ctx, batchID, after); err != nil {
			return total, err
		}
		total += n
		if !more {
			break
		}
		if err := s.giveWay(ctx, began); err != nil {
			return total, failed("remove users", err)
		}
	}
	return total, nil
}

// markPiece marks the users after an address; upTo is the last one's.
func (s *Store) markPiece(ctx context.Context, batchID int64, after string) (n int, upTo string, more bool, err error) {
	err = s.write(ctx, "remove users", func(tx *sql.Tx) error {
		if err := s.takeBatch(ctx, tx, batchID); err != nil {
			return err
		}
		var found int
		err := tx.QueryRowContext(ctx, pieceEnd, batchID, after, markedAtOnce).Scan(&found, &upTo)
		if more = found == markedAtOnce; err != nil || found == 0 {
			return err
		}
		if _, err := tx.ExecContext(ctx, freeLease+queuedPieces, batchID, after, upTo); err != nil {
			return err
		}
		if n, err = execN(ctx, tx, removePiece, batchID, after, upTo); err != nil {
			return err
		}
		return s.scrubLater(ctx, tx)
	})
	return n, upTo, more, err
}

// RemoveUser is RemoveUsers for one user.
func (s *Store) RemoveUser(ctx context.Context, id int64) error {
	err := s.write(ctx, "remove user", func(tx *sql.Tx) error {
		if err := s.takeBatchOfUser(ctx, tx, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, freeLease+freeQueuedOfUser, id); err != nil {
			return err
		}
		n, err := execN(ctx, tx, remove+` WHERE id = $1`, id)
		if err == nil && n == 0 {
			return notFound("there is no such user")
		}
		if err != nil {
			return err
		}
		return s.scrubLater(ctx, tx)
	})
	if err != nil {
		return err
	}
	_, err = s.purgeUsers(ctx, ` AND id = $1`, id)
	return err
}

// PurgeRemoved deletes the users that are to be removed and whose passes have ended,
// then the batches that are to be removed and have no users left, and returns how
// many of both. Of them stay audit lines, usage totals, a report that was kept, and
// free lease rows; endpoints are the organisation's and stay too. It also sees to it
// that nothing of what was deleted is left in the database's files.
func (s *Store) PurgeRemoved(ctx context.Context) (int, error) {
	if err := s.giveUpDead(ctx); err != nil {
		return 0, err
	}
	if err := s.markRemoved(ctx); err != nil {
		return 0, err
	}
	users, err := s.purgeUsers(ctx, ``)
	if err != nil {
		return users, err
	}
	batches, err := s.purgeBatches(ctx)
	if err != nil {
		return users + batches, err
	}
	return users + batches, s.scrub(ctx)
}

// markRemoved marks who is left unmarked of batches that are removed: whoever removed
// them died over it.
func (s *Store) markRemoved(ctx context.Context) error {
	ids, err := s.ids(ctx, removed)
	if err != nil {
		return err
	}
	for _, id := range ids {
		var left bool
		if err := s.r.QueryRowContext(ctx, notMarked, id).Scan(&left); err != nil {
			return failed("find what is to be removed", err)
		}
		if !left {
			continue
		}
		if _, err := s.markUsers(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// purgeUsers deletes the marked users whose passes have ended.
func (s *Store) purgeUsers(ctx context.Context, which string, args ...any) (total int, err error) {
	for {
		began := time.Now()
		n, more, err := s.purgePiece(ctx, which, args...)
		if total += n; err != nil || !more {
			return total, err
		}
		if err := s.giveWay(ctx, began); err != nil {
			return total, failed("purge users", err)
		}
	}
}

// purgePiece deletes some of them, and reports whether there may be more. Deleting a user
// deletes its records, items and receipt.
func (s *Store) purgePiece(ctx context.Context, which string, args ...any) (n int, more bool, err error) {
	ids, err := s.ids(ctx, removable+which+fmt.Sprintf(` LIMIT %d`, erasedAtOnce), args...)
	if err != nil || len(ids) == 0 {
		return 0, false, err
	}
	err = s.write(ctx, "purge users", func(tx *sql.Tx) (err error) {
		in := ` IN (` + values(1, len(ids)) + `)`
		if _, err := tx.ExecContext(ctx, `DELETE FROM events WHERE user_id`+in+` AND user_id <> 0 AND actor = ''`, anys(ids)...); err != nil {
			return err
		}
		n, err = execN(ctx, tx, `DELETE FROM users WHERE removing AND id`+in+` AND NOT`+leased, anys(ids)...)
		if err != nil {
			return err
		}
		return s.scrubLater(ctx, tx)
	})
	return n, len(ids) == erasedAtOnce, err
}

func (s *Store) purgeBatches(ctx context.Context) (total int, err error) {
	ids, err := s.ids(ctx, `SELECT id FROM batches WHERE removing`+emptyBatch)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		var n int
		err := s.write(ctx, "purge batch", func(tx *sql.Tx) (err error) {
			n, err = execN(ctx, tx, `DELETE FROM batches WHERE id = $1 AND removing`+emptyBatch, id)
			if err != nil || n == 0 {
				return err
			}
			// What is still on its way goes out, and is deleted then (EndDelivery).
			if _, err := tx.ExecContext(ctx, `DELETE FROM deliveries WHERE batch_id = $1 AND due_at IS NULL`, id); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM events WHERE batch_id = $1 AND batch_id <> 0 AND actor = ''`, id); err != nil {
				return err
			}
			return s.scrubLater(ctx, tx)
		})
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

func (s *Store) ids(ctx context.Context, query string, args ...any) ([]int64, error) {
	var ids []int64
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("find what is to be removed: %w", err)
	}
	return ids, nil
}
