package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	all, err := recordsOfAll(ctx, tx, []int64{userID})
	return all[userID], err
}

// recordsOfAll reads the records of some users.
func recordsOfAll(ctx context.Context, tx querier, users []int64) (map[int64][]migration.FolderRecord, error) {
	out := make(map[int64][]migration.FolderRecord, len(users))
	at := map[int64]recordPlace{}
	var ids []int64
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var id, user int64
		var r migration.FolderRecord
		if err := rows.Scan(&id, &user, &r.Folder, &r.Head); err != nil {
			return err
		}
		r.Folder = folderName(r.Folder)
		at[id] = recordPlace{user, len(out[user])}
		ids = append(ids, id)
		out[user] = append(out[user], r)
		return nil
	}, `SELECT id, user_id, folder, head FROM records WHERE user_id IN (`+values(1, len(users))+`) ORDER BY user_id, folder`, anys(users)...)
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	for part := range slices.Chunk(ids, askAtOnce) {
		err = each(ctx, tx, func(rows *sql.Rows) error {
			var id int64
			var data []byte
			if err := rows.Scan(&id, &data); err != nil {
				return err
			}
			r := &out[at[id].user][at[id].index]
			r.Journal = append(r.Journal, data)
			return nil
		}, `SELECT record_id, data FROM journal WHERE record_id IN (`+values(1, len(part))+`) ORDER BY record_id, seq`, anys(part)...)
		if err != nil {
			return nil, fmt.Errorf("read journals: %w", err)
		}
	}
	return out, nil
}

// recordPlace is a record among those of its user.
type recordPlace struct {
	user  int64
	index int
}

// insertRecords writes the records of users who have none, at most rowsAtOnce of them a
// statement.
func insertRecords(ctx context.Context, tx querier, orgID int64, of map[int64][]migration.FolderRecord, rowsAtOnce int) error {
	var heads, entries [][]any
	var users []int64
	journals := map[string][][]byte{} // by user and folder
	key := func(user int64, folder string) string { return fmt.Sprint(user, " ", folder) }
	for user, records := range of {
		users = append(users, user)
		for _, r := range records {
			folder := folderText(r.Folder)
			heads = append(heads, []any{orgID, user, folder, sealed(r.Head)})
			journals[key(user, folder)] = r.Journal
		}
	}
	if len(heads) == 0 {
		return nil
	}
	if err := insertRows(ctx, tx, `INSERT INTO records (org_id, user_id, folder, head) VALUES `, heads, rowsAtOnce); err != nil {
		return err
	}
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var id, user int64
		var folder string
		if err := rows.Scan(&id, &user, &folder); err != nil {
			return err
		}
		for i, data := range journals[key(user, folder)] {
			entries = append(entries, []any{id, i + 1, orgID, data})
		}
		return nil
	}, `SELECT id, user_id, folder FROM records WHERE user_id IN (`+values(1, len(users))+`)`, anys(users)...)
	if err != nil {
		return err
	}
	return insertRows(ctx, tx, `INSERT INTO journal (record_id, seq, org_id, data) VALUES `, entries, rowsAtOnce)
}

// insertRows inserts rows of one length, some of them a statement.
func insertRows(ctx context.Context, tx querier, insert string, rows [][]any, atOnce int) error {
	for part := range slices.Chunk(rows, atOnce) {
		var text strings.Builder
		text.WriteString(insert)
		var args []any
		for i, row := range part {
			if i > 0 {
				text.WriteString(", ")
			}
			text.WriteString("(" + values(len(args)+1, len(row)) + ")")
			args = append(args, row...)
		}
		if _, err := tx.ExecContext(ctx, text.String(), args...); err != nil {
			return err
		}
	}
	return nil
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
