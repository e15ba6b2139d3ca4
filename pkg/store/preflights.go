package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	// A user whose pass runs takes part in no preflight: it knows more by itself.
	preflightUsers = `UPDATE users SET preflight_from = CASE WHEN preflight_from = '' THEN status ELSE preflight_from END,
		status = 'Queued', next_run_at = $2, yielded = FALSE, takeovers = 0
		WHERE batch_id = $1 AND NOT removing AND NOT completing
		AND (status IN ('Created', 'Stopped', 'Failed', 'NeedsCredentials') OR preflight_from <> '') AND NOT` + leased
	forgetPreflights = `DELETE FROM preflights WHERE batch_id = $1
		AND EXISTS (SELECT 1 FROM users u WHERE u.id = preflights.user_id AND u.preflight_from <> '')`

	// What goes before a start: preflights that wait are taken back, those under way end
	// at once (Orders), and their users go on as asked.
	freeQueuedPreflights = freeQueuedOfBatch + ` AND kind = 'preflight'`
	endPreflights        = `UPDATE users SET status = preflight_from, preflight_from = '', next_run_at = NULL, yielded = FALSE, takeovers = 0
		WHERE batch_id = $1 AND preflight_from <> '' AND NOT removing AND NOT` + leased
	outrunPreflights = `UPDATE users SET preflight_from = '' WHERE batch_id = $1 AND preflight_from <> '' AND NOT removing`

	stillPreflighting = `SELECT COUNT(*) FROM users WHERE batch_id = $1 AND preflight_from <> ''`

	preflightGroups = `SELECT codes, level, COUNT(*), CAST(SUM(folders) AS BIGINT), CAST(SUM(messages) AS BIGINT), CAST(SUM(bytes) AS BIGINT),
		CAST(SUM(to_come) AS BIGINT), MAX(to_come), MAX(messages) FROM preflights WHERE batch_id = $1 GROUP BY codes, level ORDER BY level DESC, codes`
	listPreflights = `SELECT u.email, p.body FROM preflights p JOIN users u ON u.id = p.user_id
		WHERE p.batch_id = $1 AND (p.level < $2 OR p.level = $2 AND u.email_key > $3) ORDER BY p.level DESC, u.email_key LIMIT $4`
)

// PreflightUsers asks for a preflight of all users that rest, and forgets what earlier
// ones found of them. It is for a batch that does not run.
func (s *Store) PreflightUsers(ctx context.Context, batchID int64, now time.Time) (int, error) {
	return s.operate(ctx, "preflight users", batchID, now, func(tx *sql.Tx) (int, error) {
		n, err := execN(ctx, tx, preflightUsers, batchID, at(now))
		if err == nil && n > 0 {
			_, err = tx.ExecContext(ctx, forgetPreflights, batchID)
		}
		return n, err
	})
}

// endPreflightsOf makes way for a sync of the batch's users. The caller has the batch.
func (s *Store) endPreflightsOf(ctx context.Context, tx *sql.Tx, batchID int64) error {
	for _, statement := range []string{freeLease + freeQueuedPreflights, endPreflights, outrunPreflights} {
		if _, err := tx.ExecContext(ctx, statement, batchID); err != nil {
			return err
		}
	}
	return nil
}

// PutPreflight keeps what a preflight found, written with the token of its lease; the
// one before is forgotten.
func (s *Store) PutPreflight(ctx context.Context, token int64, p migration.Preflight) error {
	body, err := jsonText(p)
	if err != nil {
		return fmt.Errorf("encode preflight: %w", err)
	}
	return s.write(ctx, "keep preflight", func(tx *sql.Tx) error {
		n, err := execN(ctx, tx, `INSERT INTO preflights (user_id, org_id, batch_id, level, codes, folders, messages, bytes, to_come, body)
			SELECT u.id, u.org_id, u.batch_id, $2, $3, $4, $5, $6, $7, $8 FROM users u JOIN leases l ON l.user_id = u.id
			WHERE l.token = $1 AND l.state = 'running'
			ON CONFLICT (user_id) DO UPDATE SET level = excluded.level, codes = excluded.codes, folders = excluded.folders,
				messages = excluded.messages, bytes = excluded.bytes, to_come = excluded.to_come, body = excluded.body`,
			token, int64(p.Level), p.Codes(), p.Folders, p.Messages, p.Bytes, p.ToCome, body)
		if err == nil && n == 0 {
			return migration.ErrLeaseLost
		}
		return err
	})
}

// PreflightGroups sums up what preflights of a batch found, and tells how many of its
// users still wait for theirs or have it run.
func (s *Store) PreflightGroups(ctx context.Context, batchID int64) (groups []migration.PreflightGroup, left int, err error) {
	if err := s.r.QueryRowContext(ctx, stillPreflighting, batchID).Scan(&left); err != nil {
		return nil, 0, fmt.Errorf("count preflights that are due: %w", err)
	}
	err = each(ctx, s.r, func(rows *sql.Rows) error {
		var g migration.PreflightGroup
		err := rows.Scan(&g.Codes, &g.Level, &g.Users, &g.Folders, &g.Messages, &g.Bytes, &g.ToCome, &g.LargestBytes, &g.LargestMessages)
		groups = append(groups, g)
		return err
	}, preflightGroups, batchID)
	if err != nil {
		return nil, 0, fmt.Errorf("sum up preflights: %w", err)
	}
	return groups, left, nil
}

// ListPreflights returns what preflights of a batch found, the gravest first, then by
// address: those after an address of a level.
func (s *Store) ListPreflights(ctx context.Context, batchID int64, level migration.Level, after string, limit int) ([]migration.UserPreflight, error) {
	var out []migration.UserPreflight
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var v migration.UserPreflight
		if err := rows.Scan(&v.EmailAddress, jsonInto{&v.Preflight}); err != nil {
			return err
		}
		out = append(out, v)
		return nil
	}, listPreflights, batchID, int64(level), addressKey(after), limit)
	if err != nil {
		return nil, fmt.Errorf("list preflights: %w", err)
	}
	return out, nil
}
