package store

import (
	"context"
	"database/sql"
	"fmt"
)

// RemoveUsers removes all users of a batch: at once where no pass runs, else when
// the pass has ended (PurgeRemoved). It returns how many were there.
func (s *Store) RemoveUsers(ctx context.Context, batchID int64) (n int, err error) {
	err = s.write(ctx, "remove users", func(tx *sql.Tx) error {
		if err := s.takeBatch(ctx, tx, batchID); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, freeLease+freeQueuedOfBatch, batchID); err != nil {
			return err
		}
		n, err = execN(ctx, tx, `UPDATE users SET removing = TRUE, status = 'Removing', next_run_at = NULL
			WHERE batch_id = $1 AND NOT removing`, batchID)
		return err
	})
	if err != nil {
		return 0, err
	}
	_, err = s.purgeUsers(ctx, ` AND batch_id = $1`, batchID)
	return n, err
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
		n, err := execN(ctx, tx, `UPDATE users SET removing = TRUE, status = 'Removing', next_run_at = NULL WHERE id = $1`, id)
		if err == nil && n == 0 {
			return notFound("there is no such user")
		}
		return err
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

// purgeUsers deletes users in pieces, so that no pass has to wait long for its turn
// to write. Deleting a user deletes its records, items and receipt.
func (s *Store) purgeUsers(ctx context.Context, which string, args ...any) (total int, err error) {
	const piece = 500
	for {
		ids, err := s.ids(ctx, `SELECT id FROM users WHERE removing`+which+` AND NOT`+leased+fmt.Sprintf(` LIMIT %d`, piece), args...)
		if err != nil || len(ids) == 0 {
			return total, err
		}
		var n int
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
		if err != nil {
			return total, err
		}
		total += n
	}
}

func (s *Store) purgeBatches(ctx context.Context) (total int, err error) {
	const empty = ` AND made_at IS NULL AND NOT EXISTS (SELECT 1 FROM users u WHERE u.batch_id = batches.id)`
	ids, err := s.ids(ctx, `SELECT id FROM batches WHERE removing`+empty)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		var n int
		err := s.write(ctx, "purge batch", func(tx *sql.Tx) (err error) {
			n, err = execN(ctx, tx, `DELETE FROM batches WHERE id = $1 AND removing`+empty, id)
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
