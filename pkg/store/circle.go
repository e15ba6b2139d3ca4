package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Three batches or more that move a mailbox round (A to B, B to C, C to A) are as bad as
// two that move it to and fro. A mailbox is followed by its address alone: its logins may
// be others at every hop. Most often no batches lead back at all, and no user is looked at.

const (
	// leadsBack is whether batches go, one after another, from the target of batch $1 to
	// the host $2.
	leadsBack = `WITH RECURSIVE reached AS (
			SELECT t.host_key AS host FROM batches b JOIN endpoints t ON t.id = b.target_endpoint_id WHERE b.id = $1
			UNION
			SELECT t.host_key FROM reached r JOIN endpoints s ON s.host_key = r.host
				JOIN batches b ON b.source_endpoint_id = s.id AND b.id <> $1 AND NOT b.removing JOIN endpoints t ON t.id = b.target_endpoint_id
		) SELECT EXISTS (SELECT 1 FROM reached WHERE host = $2)`

	// onwards joins a live user o of another batch than $1 to the hosts s and t of its own.
	onwards = `
		JOIN batches ob ON ob.id = o.batch_id AND ob.id <> $1 AND NOT ob.removing
			AND (NOT ob.stopped OR EXISTS (SELECT 1 FROM leases l WHERE l.user_id = o.id))
		JOIN endpoints s ON s.id = ob.source_endpoint_id JOIN endpoints t ON t.id = ob.target_endpoint_id`

	// comesBack finds a user of batch $1, or the one of the address $3, whose mailbox live
	// batches move on until it is at the host $2.
	comesBack = `WITH RECURSIVE way AS (
			SELECT n.email_key AS email, t.host_key AS host FROM users n JOIN batches b ON b.id = n.batch_id JOIN endpoints t ON t.id = b.target_endpoint_id
				WHERE n.batch_id = $1 AND ($3 = '' OR n.email_key = $3)
			UNION
			SELECT along.email, t.host_key FROM way along JOIN users o ON o.email_key = along.email AND NOT o.removing
				AND o.status NOT IN ('Completed', 'CompletedWithWarnings')` + onwards + ` WHERE s.host_key = along.host
		) SELECT email FROM way WHERE host = $2 ORDER BY email LIMIT 1`

	// lastHop is the batch that moves the mailbox of the address $3 into the host $2.
	lastHop = `SELECT ob.name, ob.org_id FROM users o` + onwards + ` WHERE NOT o.removing AND o.status NOT IN ('Completed', 'CompletedWithWarnings') AND o.email_key = $3 AND t.host_key = $2
		ORDER BY ob.id LIMIT 1`
)

// refuseCircle refuses a user of b whose mailbox other batches bring back to where b moves
// it from.
func refuseCircle(ctx context.Context, tx *sql.Tx, b *migration.Batch, e ends, email string) error {
	if e.source == e.target {
		return nil // the address is one mailbox's, of whatever batch
	}
	var leads bool
	if err := tx.QueryRowContext(ctx, leadsBack, b.ID, e.source).Scan(&leads); err != nil || !leads {
		return err
	}
	var who, by string
	var orgID int64
	err := tx.QueryRowContext(ctx, comesBack, b.ID, e.source, addressKey(email)).Scan(&who)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = tx.QueryRowContext(ctx, lastHop, b.ID, e.source, who).Scan(&by, &orgID)
	}
	if err != nil {
		return fmt.Errorf("look for batches that lead back: %w", err)
	}
	if orgID != b.OrgID {
		return migration.NewFault(migration.AlreadyBeingMoved, migration.ScopeUser, "", fmt.Sprintf("%s is already being moved", who), nil)
	}
	return migration.NewFault(migration.DuplicateInOtherBatch, migration.ScopeUser, "",
		fmt.Sprintf("%s is moved on from the target until it comes back, last by batch %q: its mail would go round for ever; stop, complete or remove one of these batches first", who, by), nil)
}
