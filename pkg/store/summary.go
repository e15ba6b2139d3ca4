package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// summaryQuery does for a whole batch what migration.Totals.Messages does for one
// user. A row a status.
const summaryQuery = `
SELECT status, COUNT(*), COUNT(lease), COUNT(first_synced_at), MAX(last_synced_at),
	CAST(SUM(folders) AS BIGINT), CAST(SUM(folders_done) AS BIGINT),
	CAST(SUM(CASE WHEN seen > unchanged + known THEN seen ELSE unchanged + known END) AS BIGINT), CAST(SUM(unchanged) AS BIGINT),
	CAST(SUM(copied) AS BIGINT), CAST(SUM(adopted) AS BIGINT), CAST(SUM(skipped) AS BIGINT), CAST(SUM(failed) AS BIGINT),
	CAST(SUM(redelivered) AS BIGINT), CAST(SUM(surplus) AS BIGINT), CAST(SUM(moved_at_source) AS BIGINT),
	CAST(SUM(flags_updated) AS BIGINT), CAST(SUM(deleted) AS BIGINT), CAST(SUM(kept_at_target) AS BIGINT), CAST(SUM(bytes) AS BIGINT), CAST(SUM(bytes_total) AS BIGINT)
FROM (
	SELECT *, copied + adopted + skipped + failed AS known,
		CASE WHEN last_unchanged > copied + adopted - last_brought THEN last_unchanged - (copied + adopted - last_brought) ELSE 0 END AS unchanged
	FROM (
		SELECT u.status, l.user_id AS lease, u.first_synced_at, u.last_synced_at,
			u.last_folders AS folders, u.last_folders_done AS folders_done, u.last_seen AS seen,
			u.total_copied + CASE WHEN u.running THEN u.last_copied ELSE 0 END AS copied,
			u.total_adopted + CASE WHEN u.running THEN u.last_adopted ELSE 0 END AS adopted,
			u.last_unchanged, u.last_copied + u.last_adopted AS last_brought,
			u.last_skipped AS skipped, u.last_failed AS failed,
			u.total_redelivered + CASE WHEN u.running THEN u.last_redelivered ELSE 0 END AS redelivered,
			u.total_surplus + CASE WHEN u.running THEN u.last_surplus ELSE 0 END AS surplus,
			u.total_moved_at_source + CASE WHEN u.running THEN u.last_moved_at_source ELSE 0 END AS moved_at_source,
			u.total_flags_updated + CASE WHEN u.running THEN u.last_flags_updated ELSE 0 END AS flags_updated,
			u.total_deleted + CASE WHEN u.running THEN u.last_deleted ELSE 0 END AS deleted,
			u.total_kept_at_target + CASE WHEN u.running THEN u.last_kept_at_target ELSE 0 END AS kept_at_target,
			u.total_bytes + CASE WHEN u.running THEN u.last_bytes ELSE 0 END AS bytes,
			u.last_bytes_total AS bytes_total
		FROM users u LEFT JOIN leases l ON l.user_id = u.id AND l.kind <> 'preflight'
		WHERE u.batch_id = $1
	) AS per_user
) AS counted
GROUP BY status`

// Summary counts a batch's users and adds up their messages.
func (s *Store) Summary(ctx context.Context, batchID int64) (migration.Summary, error) {
	sum := migration.Summary{Counts: migration.UserCounts{ByStatus: map[migration.UserStatus]int{}}}
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var status migration.UserStatus
		var n, running, synced int
		var last time.Time
		var m migration.Tally
		if err := rows.Scan(into([]any{&status, &n, &running, &synced, timeInto{&last}}, lastFields(&m))...); err != nil {
			return err
		}
		sum.Counts.ByStatus[status] = n
		sum.Counts.Running += running
		sum.Counts.Synced += synced
		switch status {
		case migration.UserFailed, migration.UserNeedsCredentials, migration.UserStopped,
			migration.UserCompleted, migration.UserCompletedWithWarnings, migration.UserRemoving:
		default:
			sum.Counts.Unsynced += n - synced
		}
		to := lastFields(&sum.Messages)
		for i, v := range lastFields(&m) {
			*to[i] += *v
		}
		if last.After(sum.LastSyncedAt) {
			sum.LastSyncedAt = last
		}
		return nil
	}, summaryQuery, batchID)
	if err != nil {
		return migration.Summary{}, fmt.Errorf("sum up batch: %w", err)
	}
	return sum, nil
}

const usersByStatus = `SELECT status, COUNT(*) FROM users GROUP BY status`

// UsersByStatus counts the users of all organisations.
func (s *Store) UsersByStatus(ctx context.Context) (map[migration.UserStatus]int, error) {
	counts := map[migration.UserStatus]int{}
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var status migration.UserStatus
		var n int
		err := rows.Scan(&status, &n)
		counts[status] = n
		return err
	}, usersByStatus)
	if err != nil {
		return nil, fmt.Errorf("count users: %w", err)
	}
	return counts, nil
}
