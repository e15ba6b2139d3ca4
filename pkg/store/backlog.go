package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// turns is a row for each; their name is longer than a table's alias for TestPlans to tell
// them from one.
const turns = `(SELECT 1 AS turn UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8)`

// backlog reads the batches that are due and, turn by turn, the part of the index
// users_due that is: what is synced, or not started, or waits for its time costs
// nothing.
const backlog = `SELECT b.org_id, b.source_endpoint_id, b.target_endpoint_id, each.turn,
		(SELECT COUNT(*) FROM users u WHERE u.batch_id = b.id AND u.turn = each.turn AND u.next_run_at <= $1)
	FROM batches b, ` + turns + ` each
	WHERE b.next_due_at <= $1 AND (NOT b.stopped OR each.turn = 8) AND NOT b.removing AND ($2 = 0 OR b.org_id = $2)`

// Backlog counts the users of an organisation (0: of all) that are due, by endpoints
// and kind of pass. It costs what is due, not what there is.
func (s *Store) Backlog(ctx context.Context, orgID int64, now time.Time) ([]migration.Backlog, error) {
	var out []migration.Backlog
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var b migration.Backlog
		var turn int
		if err := rows.Scan(&b.OrgID, &b.SourceEndpointID, &b.TargetEndpointID, &turn, &b.Users); err != nil {
			return err
		}
		if b.Users > 0 {
			b.Kind = turnKinds[turn]
			out = append(out, b)
		}
		return nil
	}, backlog, at(now), orgID)
	if err != nil {
		return nil, fmt.Errorf("count who is due: %w", err)
	}
	return out, nil
}

// ahead counts the users of a user's batch that are admitted before it, those of
// earlier turns and those of its own.
const ahead = `SELECT CAST(COALESCE((SELECT SUM((SELECT COUNT(*) FROM users o WHERE o.batch_id = u.batch_id AND o.turn = each.turn AND o.next_run_at <= $2))
		FROM ` + turns + ` each WHERE each.turn < u.turn), 0) AS BIGINT)
	+ (SELECT COUNT(*) FROM users o WHERE o.batch_id = u.batch_id AND o.turn = u.turn AND o.next_run_at IS NOT NULL
		AND (o.next_run_at, o.id) < (u.next_run_at, u.id))
	FROM users u WHERE u.id = $1 AND u.next_run_at <= $2`

// Ahead is how many users of its batch go before a user that is due; 0 for one that
// is not.
func (s *Store) Ahead(ctx context.Context, userID int64, now time.Time) (int, error) {
	var n int
	err := s.r.QueryRowContext(ctx, ahead, userID, at(now)).Scan(&n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("count who goes before: %w", err)
	}
	return n, nil
}

// Rival tells who else holds or awaits the lease of a user's target mailbox; nil:
// nobody. Of another organisation's it tells no more than that.
func (s *Store) Rival(ctx context.Context, u *migration.User) (*migration.Rival, error) {
	var host string
	err := s.r.QueryRowContext(ctx, `SELECT e.host_key FROM batches b JOIN endpoints e ON e.id = b.target_endpoint_id WHERE b.id = $1`, u.BatchID).Scan(&host)
	if err != nil {
		return nil, fmt.Errorf("find the target's host: %w", err)
	}
	var r migration.Rival
	var org int64
	err = s.r.QueryRowContext(ctx, `SELECT o.org_id, o.email, b.name FROM leases l JOIN users o ON o.id = l.user_id JOIN batches b ON b.id = o.batch_id
		WHERE l.mailbox = $1 AND l.state <> 'free' AND l.user_id <> $2`, mailboxKey(host, loginKey(u)), u.ID).Scan(&org, &r.EmailAddress, &r.Batch)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look who holds the mailbox: %w", err)
	}
	if org != u.OrgID {
		return &migration.Rival{}, nil
	}
	return &r, nil
}

// LiveCount is how many leases are queued or running.
func (s *Store) LiveCount(ctx context.Context) (int, error) {
	var n int
	if err := s.r.QueryRowContext(ctx, `SELECT COUNT(*) FROM leases WHERE state <> 'free'`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count leases: %w", err)
	}
	return n, nil
}

// Copied is what an organisation's passes have copied since the beginning of the day
// before: a counter to make rates of, which costs no more than two days' few rows.
func (s *Store) Copied(ctx context.Context, orgID int64) (messages, bytes int64, err error) {
	err = s.r.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(messages), 0) AS BIGINT), CAST(COALESCE(SUM(bytes), 0) AS BIGINT)
		FROM usage WHERE org_id = $1 AND day >= $2`, orgID, s.today()-1).Scan(&messages, &bytes)
	if err != nil {
		return 0, 0, fmt.Errorf("read usage: %w", err)
	}
	return messages, bytes, nil
}
