package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// ListItems returns the messages of a batch that were skipped or failed, of one code
// or with "" of all, those after an ID.
func (s *Store) ListItems(ctx context.Context, batchID int64, code migration.Code, afterID int64, limit int) ([]migration.UserItem, error) {
	var out []migration.UserItem
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var v migration.UserItem
		if err := rows.Scan(&v.ID, &v.EmailAddress, &v.Folder, &v.UID, &v.MessageID, timeInto{&v.Date}, &v.Size, &v.Code, &v.Reason); err != nil {
			return err
		}
		out = append(out, v)
		return nil
	}, `SELECT i.id, u.email, i.folder, i.uid, i.message_id, i.date, i.size, i.code, i.reason
		FROM items i JOIN users u ON u.id = i.user_id
		WHERE i.batch_id = $1 AND i.id > $2 AND ($3 = '' OR i.code = $3) ORDER BY i.id LIMIT $4`, batchID, afterID, string(code), limit)
	if err != nil {
		return nil, fmt.Errorf("list items: %w", err)
	}
	return out, nil
}

// addItems lists items of a user. One that is listed already is told anew.
func addItems(ctx context.Context, tx *sql.Tx, h *holder, items []migration.Item) error {
	if len(items) == 0 {
		return nil
	}
	stmt, err := tx.PrepareContext(ctx, `INSERT INTO items (org_id, batch_id, user_id, folder, uid, message_id, date, size, code, reason)
		VALUES (`+values(1, 10)+`) ON CONFLICT (user_id, folder, uid) DO UPDATE SET message_id = excluded.message_id, date = excluded.date,
			size = excluded.size, code = excluded.code, reason = excluded.reason`)
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }()
	for _, it := range items {
		_, err := stmt.ExecContext(ctx, h.orgID, h.batchID, h.UserID, plain(it.Folder), int64(it.UID), plain(it.MessageID), at(it.Date), it.Size,
			string(it.Code), plain(it.Reason))
		if err != nil {
			return fmt.Errorf("list item: %w", err)
		}
	}
	return nil
}

// replaceItems makes items all that is listed of a user.
func replaceItems(ctx context.Context, tx *sql.Tx, h *holder, items []migration.Item) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM items WHERE user_id = $1`, h.UserID); err != nil {
		return err
	}
	return addItems(ctx, tx, h, items)
}
