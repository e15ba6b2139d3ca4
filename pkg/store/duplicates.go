package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// liveElsewhere joins a user o to its batch and endpoint, where it stands for a
// mailbox that is still being moved.
const liveElsewhere = ` JOIN batches ob ON ob.id = o.batch_id JOIN endpoints oe ON oe.id = ob.target_endpoint_id
	WHERE NOT o.removing AND NOT ob.removing AND o.status NOT IN ('Completed', 'CompletedWithWarnings')`

// refuseDuplicates looks whether the target mailbox of any user of b is in another
// live batch: the same address, or the same login, at the same host; or in one in the
// other direction. Over all users in one statement, because a check a row would be a
// third of an import's time.
func (s *Store) refuseDuplicates(ctx context.Context, tx *sql.Tx, b *migration.Batch) error {
	e, err := s.takeHostsOf(ctx, tx, b)
	if err != nil {
		return err
	}
	for _, same := range []string{"email_key", "target_login"} {
		var email, batch string
		var orgID int64
		err := tx.QueryRowContext(ctx, duplicateQuery(same), b.ID, e.target, b.OrgID).Scan(&email, &batch, &orgID)
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return fmt.Errorf("look for duplicates: %w", err)
		case orgID != b.OrgID:
			return migration.NewFault(migration.AlreadyBeingMoved, migration.ScopeUser, "",
				fmt.Sprintf("%s is already being moved", email), nil)
		default:
			return migration.NewFault(migration.DuplicateInOtherBatch, migration.ScopeUser, "",
				fmt.Sprintf("%s is already in batch %q", email, batch), nil)
		}
	}
	return s.refuseOpposite(ctx, tx, b, e, "")
}

// duplicateQuery finds a user of batch $1 that a live user elsewhere equals in a column.
func duplicateQuery(same string) string {
	return `SELECT n.email, ob.name, ob.org_id FROM users n JOIN users o ON o.` + same + ` = n.` + same + liveElsewhere + `
			AND n.batch_id = $1 AND o.batch_id <> $1 AND oe.host_key = $2
			ORDER BY CASE WHEN ob.org_id = $3 THEN 0 ELSE 1 END, n.email LIMIT 1`
}

// LiveMailboxes tells which of these users, by address, have their target mailbox in
// another live batch, by the address or by the login: its name, or "" where it is another
// organisation's. b may be one that is not stored yet; its endpoints count.
func (s *Store) LiveMailboxes(ctx context.Context, b *migration.Batch, users []migration.User) (map[string]string, error) {
	e, err := hostsOf(ctx, s.r, b)
	if err != nil {
		return nil, fmt.Errorf("look for live mailboxes: %w", err)
	}
	live := map[string]string{}
	for part := range slices.Chunk(users, askAtOnce) {
		for column, key := range map[string]func(*migration.User) string{
			"email_key":    func(u *migration.User) string { return addressKey(u.EmailAddress) },
			"target_login": loginKey,
		} {
			if err := s.liveBy(ctx, b, e.target, column, key, part, live); err != nil {
				return nil, fmt.Errorf("look for live mailboxes: %w", err)
			}
		}
	}
	return live, nil
}

// liveBy adds to live those of users whom a live user elsewhere equals in a column.
func (s *Store) liveBy(ctx context.Context, b *migration.Batch, host, column string, key func(*migration.User) string, users []migration.User, live map[string]string) error {
	asked := map[string][]string{}
	args := []any{b.ID, host}
	for i := range users {
		k := key(&users[i])
		if asked[k] == nil {
			args = append(args, k)
		}
		asked[k] = append(asked[k], users[i].EmailAddress)
	}
	return each(ctx, s.r, func(rows *sql.Rows) error {
		var key, batch string
		var orgID int64
		if err := rows.Scan(&key, &batch, &orgID); err != nil {
			return err
		}
		if orgID != b.OrgID {
			batch = ""
		}
		for _, email := range asked[key] {
			if live[email] == "" { // a batch of the organisation's own says more
				live[email] = batch
			}
		}
		return nil
	}, `SELECT o.`+column+`, ob.name, ob.org_id FROM users o`+liveElsewhere+`
		AND o.batch_id <> $1 AND oe.host_key = $2 AND o.`+column+` IN (`+values(3, len(args)-2)+`)`, args...)
}
