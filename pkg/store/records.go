package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// A folder's record is a head row and journal rows that are only ever added to, so
// that a window costs what it brings and not what went before it. The engine has the
// journal replaced when it has grown long.

// Records returns what is remembered of the folders of the lease's user.
func (s *Store) Records(ctx context.Context, token int64) ([]migration.FolderRecord, error) {
	tx, err := s.r.BeginTx(ctx, &s.dialect.oneMoment) // heads and journals
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	userID, err := s.holds(ctx, tx, token)
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	return recordsOf(ctx, tx, userID)
}

// recordsOf reads a user's records.
func recordsOf(ctx context.Context, tx querier, userID int64) ([]migration.FolderRecord, error) {
	var out []migration.FolderRecord
	at := map[int64]int{}
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		var r migration.FolderRecord
		if err := rows.Scan(&id, &r.Folder, &r.Head); err != nil {
			return err
		}
		r.Folder = folderName(r.Folder)
		at[id] = len(out)
		out = append(out, r)
		return nil
	}, `SELECT id, folder, head FROM records WHERE user_id = $1 ORDER BY folder`, userID)
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	err = each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		var data []byte
		if err := rows.Scan(&id, &data); err != nil {
			return err
		}
		if i, ok := at[id]; ok {
			out[i].Journal = append(out[i].Journal, data)
		}
		return nil
	}, `SELECT j.record_id, j.data FROM records r JOIN journal j ON j.record_id = r.id WHERE r.user_id = $1 ORDER BY j.record_id, j.seq`, userID)
	if err != nil {
		return nil, fmt.Errorf("read journals: %w", err)
	}
	return out, nil
}

// holds returns the user of a running lease.
func (s *Store) holds(ctx context.Context, q querier, token int64) (userID int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT user_id FROM leases WHERE token = $1 AND state = 'running'`, token).Scan(&userID)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, migration.ErrLeaseLost
	}
	return userID, err
}

// Commit writes one window of a pass, all or nothing: the folder's record, the
// user's count so far, the items that are new, and the bytes for usage.
func (s *Store) Commit(ctx context.Context, token int64, w migration.Window) error {
	return s.write(ctx, "commit window", func(tx *sql.Tx) error {
		h, err := s.held(ctx, tx, token, migration.LeaseRunning)
		if err != nil {
			return err
		}
		if w.Folder != "" {
			if err := writeRecord(ctx, tx, h, w); err != nil {
				return fmt.Errorf("record of folder %q: %w", w.Folder, err)
			}
		}
		if err := addItems(ctx, tx, h, w.Items); err != nil {
			return err
		}
		var known migration.Tally
		if h.running {
			known = h.last
		}
		if err := s.countUsage(ctx, tx, h, w.Tally.Copied-known.Copied, w.Tally.Bytes-known.Bytes, false); err != nil {
			return err
		}
		args := append(numbers([]any{h.UserID}, lastFields(&w.Tally)), h.traffic.Day, h.traffic.Bytes)
		if _, err := tx.ExecContext(ctx, `UPDATE users SET running = TRUE, `+assign(lastColumns+`, `+trafficColumns, 2)+` WHERE id = $1`, args...); err != nil {
			return err
		}
		// A record written over and over is no progress: a pass that always dies at the
		// same message may do that much each time.
		if w.Tally.Copied+w.Tally.Adopted == 0 && (len(w.Append) == 0 || w.Replace) {
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE leases SET progressed = TRUE WHERE token = $1 AND NOT progressed`, token)
		return err
	})
}

func writeRecord(ctx context.Context, tx *sql.Tx, h *holder, w migration.Window) error {
	folder := folderText(w.Folder)
	if w.Drop {
		_, err := tx.ExecContext(ctx, `DELETE FROM records WHERE user_id = $1 AND folder = $2`, h.UserID, folder)
		return err
	}
	var id int64
	err := tx.QueryRowContext(ctx, `SELECT id FROM records WHERE user_id = $1 AND folder = $2`, h.UserID, folder).Scan(&id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		err = tx.QueryRowContext(ctx, `INSERT INTO records (org_id, user_id, folder, head) VALUES ($1, $2, $3, $4) RETURNING id`,
			h.orgID, h.UserID, folder, sealed(w.Head)).Scan(&id)
	case err == nil && w.Head != nil:
		_, err = tx.ExecContext(ctx, `UPDATE records SET head = $2 WHERE id = $1`, id, w.Head)
	}
	if err != nil {
		return err
	}
	if w.Replace {
		if _, err := tx.ExecContext(ctx, `DELETE FROM journal WHERE record_id = $1`, id); err != nil {
			return err
		}
	}
	if len(w.Append) == 0 {
		return nil
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO journal (record_id, seq, org_id, data)
		SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3 FROM journal WHERE record_id = $1`, id, h.orgID, w.Append)
	return err
}
