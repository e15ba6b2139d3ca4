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

// Usage tells what an organisation has moved since the beginning, in mailboxes that
// had a first sync and in bytes copied. It outlives batches.
func (s *Store) Usage(ctx context.Context, orgID int64) (mailboxes, bytes int64, err error) {
	err = s.r.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(mailboxes), 0) AS BIGINT), CAST(COALESCE(SUM(bytes), 0) AS BIGINT)
		FROM usage WHERE org_id = $1`, orgID).Scan(&mailboxes, &bytes)
	if err != nil {
		return 0, 0, fmt.Errorf("read usage: %w", err)
	}
	return mailboxes, bytes, nil
}

// today is the day that usage is counted on.
func (s *Store) today() int64 { return migration.DayOf(s.now()) }
