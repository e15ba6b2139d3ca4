package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// PutReceipt keeps what a verify found; the one before is forgotten.
func (s *Store) PutReceipt(ctx context.Context, userID int64, r migration.Receipt) error {
	body, err := jsonText(r)
	if err != nil {
		return fmt.Errorf("encode receipt: %w", err)
	}
	return s.write(ctx, "keep receipt", func(tx *sql.Tx) error {
		n, err := execN(ctx, tx, `INSERT INTO receipts (user_id, org_id, batch_id, body)
			SELECT id, org_id, batch_id, $2 FROM users WHERE id = $1
			ON CONFLICT (user_id) DO UPDATE SET body = excluded.body`, userID, body)
		if err == nil && n == 0 {
			return notFound("there is no such user")
		}
		return err
	})
}

// ListReceipts returns the receipts of a batch by address, those after an address.
func (s *Store) ListReceipts(ctx context.Context, batchID int64, after string, limit int) ([]migration.UserReceipt, error) {
	var out []migration.UserReceipt
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var v migration.UserReceipt
		if err := rows.Scan(&v.EmailAddress, jsonInto{&v.Receipt}); err != nil {
			return err
		}
		out = append(out, v)
		return nil
	}, `SELECT u.email, r.body FROM users u JOIN receipts r ON r.user_id = u.id
		WHERE u.batch_id = $1 AND u.email_key > $2 ORDER BY u.email_key LIMIT $3`, batchID, addressKey(after), limit)
	if err != nil {
		return nil, fmt.Errorf("list receipts: %w", err)
	}
	return out, nil
}

// KeepReport keeps a batch's final report beyond the batch.
func (s *Store) KeepReport(ctx context.Context, orgID int64, batch string, body []byte, now time.Time) error {
	return s.write(ctx, "keep report", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO reports (org_id, batch, body, at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (org_id, batch) DO UPDATE SET body = excluded.body, at = excluded.at`, orgID, batch, append([]byte{}, body...), at(now))
		return err
	})
}

// KeptReport returns a report that was kept.
func (s *Store) KeptReport(ctx context.Context, orgID int64, batch string) ([]byte, error) {
	var body []byte
	err := s.r.QueryRowContext(ctx, `SELECT body FROM reports WHERE org_id = $1 AND batch = $2`, orgID, batch).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("no report of a batch %q was kept", batch)
	}
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	return body, nil
}
