package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// countFirst adds up what the passes of a user's first sync took and brought: totals
// are with the pass that ends.
func (s *Store) countFirst(ctx context.Context, tx *sql.Tx, h *holder, totals migration.Totals) error {
	var took time.Duration
	if !h.Since.IsZero() {
		took = max(0, s.now().Sub(h.Since))
	}
	_, err := tx.ExecContext(ctx, `UPDATE users SET first_time = first_time + $2, first_messages = first_messages + $3, first_bytes = first_bytes + $4
		WHERE id = $1`, h.UserID, took.Microseconds(), max(0, totals.Copied-h.totals.Copied), max(0, totals.Bytes-h.totals.Bytes))
	return err
}

// pilots looks at the latest batches between two endpoints that were started, and in
// them at the users whose first sync has ended.
const pilots = `SELECT latest.name, latest.id, latest.started_at, COUNT(*), COUNT(u.first_synced_at), MAX(u.first_synced_at),
	CAST(COALESCE(SUM(CASE WHEN u.status IN ('Failed', 'NeedsCredentials') THEN 1 ELSE 0 END), 0) AS BIGINT),
	CAST(COALESCE(SUM(CASE WHEN u.first_synced_at IS NOT NULL THEN u.first_messages ELSE 0 END), 0) AS BIGINT),
	CAST(COALESCE(SUM(CASE WHEN u.first_synced_at IS NOT NULL THEN u.first_bytes ELSE 0 END), 0) AS BIGINT),
	CAST(COALESCE(SUM(CASE WHEN u.first_synced_at IS NOT NULL THEN u.first_time ELSE 0 END), 0) AS BIGINT)
	FROM (SELECT id, name, started_at FROM batches
		WHERE source_endpoint_id = $2 AND target_endpoint_id = $3 AND org_id = $1 AND started_at IS NOT NULL AND NOT removing ORDER BY id DESC LIMIT 20) AS latest
	JOIN users u ON u.batch_id = latest.id GROUP BY latest.name, latest.id, latest.started_at HAVING COUNT(u.first_synced_at) > 0 ORDER BY latest.id DESC`

// Pilots tells how the first syncs of an organisation's latest batches between two
// endpoints went, those of which a mailbox is in step.
func (s *Store) Pilots(ctx context.Context, orgID, sourceID, targetID int64) ([]migration.Pilot, error) {
	var out []migration.Pilot
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var p migration.Pilot
		err := rows.Scan(&p.Batch, &p.BatchID, timeInto{&p.StartedAt}, &p.Users, &p.Synced, timeInto{&p.LastAt}, &p.Failed, &p.Messages, &p.Bytes, spanInto{&p.Work})
		out = append(out, p)
		return err
	}, pilots, orgID, sourceID, targetID)
	if err != nil {
		return nil, fmt.Errorf("look for pilots: %w", err)
	}
	return out, nil
}
