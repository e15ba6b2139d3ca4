package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// usageParts is over how many rows a day of an organisation is spread.
const usageParts = 16

// countUsage adds a pass's messages and bytes to its organisation's day. With synced the user had
// a first sync: its mailbox counts once for the organisation, also when it is removed
// and comes again.
func (s *Store) countUsage(ctx context.Context, tx *sql.Tx, h *holder, messages, bytes int64, synced bool) error {
	messages, bytes = max(messages, 0), max(bytes, 0)
	mailboxes := 0
	if synced && h.countedBy != h.orgID {
		mailboxes, h.countedBy = 1, h.orgID // written with the lease
	}
	if messages == 0 && bytes == 0 && mailboxes == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO usage (org_id, day, part, bytes, mailboxes, messages) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (org_id, day, part) DO UPDATE SET bytes = usage.bytes + excluded.bytes, mailboxes = usage.mailboxes + excluded.mailboxes,
			messages = usage.messages + excluded.messages`,
		h.orgID, s.today(), h.Token%usageParts, bytes, mailboxes, messages)
	if err != nil {
		return fmt.Errorf("count usage: %w", err)
	}
	return s.countTraffic(ctx, tx, h, bytes)
}

// Usage tells what an organisation has moved since the beginning, day by day; days
// without anything are left out. It outlives batches.
func (s *Store) Usage(ctx context.Context, orgID int64) ([]migration.DayUsage, error) {
	var out []migration.DayUsage
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var d migration.DayUsage
		err := rows.Scan(&d.Day, &d.Mailboxes, &d.Messages, &d.Bytes)
		out = append(out, d)
		return err
	}, `SELECT day, CAST(SUM(mailboxes) AS BIGINT), CAST(SUM(messages) AS BIGINT), CAST(SUM(bytes) AS BIGINT)
		FROM usage WHERE org_id = $1 GROUP BY day ORDER BY day`, orgID)
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	return out, nil
}

// today is the day that usage is counted on.
func (s *Store) today() int64 { return migration.DayOf(s.now()) }
