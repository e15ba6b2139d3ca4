package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Two batches that move a mailbox to and fro would take each other's copies for new mail,
// for ever. So a mailbox pair is in the other direction when the source of one is the
// target of the other and the reverse: by the hosts, and by the logins on both or by the
// address that the user goes by in both. It counts while it may run: whoever was stopped,
// completed or is being removed is in nobody's way, and is looked at when it is started:
// in the transaction that starts it. Circles of more batches are in circle.go.

// ends are the mail systems of a batch.
type ends struct{ source, target string }

func hostsOf(ctx context.Context, q querier, b *migration.Batch) (e ends, err error) {
	for _, x := range []struct {
		id   int64
		name string
		key  *string
	}{{b.SourceEndpointID, b.SourceEndpoint, &e.source}, {b.TargetEndpointID, b.TargetEndpoint, &e.target}} {
		err := q.QueryRowContext(ctx, `SELECT host_key FROM endpoints WHERE org_id = $1 AND (id = $2 OR name = $3 AND $2 = 0)`, b.OrgID, x.id, x.name).Scan(x.key)
		if errors.Is(err, sql.ErrNoRows) {
			return e, notFound("there is no endpoint %q", x.name)
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

// inDirection are batches ob but $1, from host $2 to host $3.
const inDirection = ` JOIN endpoints os ON os.id = ob.source_endpoint_id JOIN endpoints ot ON ot.id = ob.target_endpoint_id
	WHERE ob.id <> $1 AND os.host_key = $2 AND ot.host_key = $3 AND NOT ob.removing`

// liveOpposite joins a user o to such a batch, where its mailbox may be moved.
const liveOpposite = ` JOIN batches ob ON ob.id = o.batch_id` + inDirection + ` AND NOT o.removing AND o.status NOT IN ('Completed', 'CompletedWithWarnings')
	AND (NOT ob.stopped OR EXISTS (SELECT 1 FROM leases l WHERE l.user_id = o.id))`

// oppositeUsers finds users of batch $1, or the one of the address $4, that a live user in
// the other direction has the same address as, or the same two logins.
func oppositeUsers(same string) string {
	return `SELECT n.email, ob.name, ob.org_id FROM users n JOIN users o ON ` + same + liveOpposite + `
		AND n.batch_id = $1 AND ($4 = '' OR n.email_key = $4) ORDER BY CASE WHEN ob.org_id = $5 THEN 0 ELSE 1 END, n.email LIMIT 1`
}

var (
	sameAddress = `o.email_key = n.email_key`
	crossLogins = `o.target_login = n.source_login AND o.source_login = n.target_login`
)

// MovedBack answers a user of a batch, or the one of that address where email is not
// empty, whose mailbox another live batch moves the other way, and that batch: who is ""
// where there is none, by where it is another organisation's. It is a conflict while a
// batch is being made of this one.
func (s *Store) MovedBack(ctx context.Context, b *migration.Batch, email string) (who, by string, err error) {
	if err := beingMade(ctx, s.r, b.ID); err != nil {
		return "", "", err
	}
	e, err := hostsOf(ctx, s.r, b)
	if err != nil {
		return "", "", fmt.Errorf("look for a batch in the other direction: %w", err)
	}
	return s.movedBack(ctx, s.r, b, e, email)
}

func (s *Store) movedBack(ctx context.Context, q querier, b *migration.Batch, e ends, email string) (who, by string, err error) {
	there, err := anyInDirection(ctx, q, b, ends{e.target, e.source})
	if err != nil || !there {
		return "", "", err
	}
	ways := []string{sameAddress, crossLogins}
	if e.source == e.target {
		ways = ways[1:] // the address is one mailbox's, of whatever batch
	}
	for _, same := range ways {
		var orgID int64
		err := q.QueryRowContext(ctx, oppositeUsers(same), b.ID, e.target, e.source, addressKey(email), b.OrgID).Scan(&who, &by, &orgID)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return "", "", fmt.Errorf("look for a batch in the other direction: %w", err)
		}
		if orgID != b.OrgID {
			by = ""
		}
		return who, by, nil
	}
	return "", "", nil
}

// anyInDirection spares the look at users where there is no such batch: nearly always.
func anyInDirection(ctx context.Context, q querier, b *migration.Batch, e ends) (there bool, err error) {
	err = q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM batches ob`+inDirection+`)`, b.ID, e.source, e.target).Scan(&there)
	if err != nil {
		err = fmt.Errorf("look for a batch in the other direction: %w", err)
	}
	return there, err
}

// refuseOpposite refuses b, or its user of that address, where it would run and a mailbox
// is moved the other way. The caller has its hosts: of two who begin at once the second
// sees the first.
func (s *Store) refuseOpposite(ctx context.Context, tx *sql.Tx, b *migration.Batch, e ends, email string) error {
	var stopped bool // by now
	err := tx.QueryRowContext(ctx, `SELECT stopped FROM batches WHERE id = $1`, b.ID).Scan(&stopped)
	if err != nil || stopped {
		return err
	}
	who, by, err := s.movedBack(ctx, tx, b, e, email)
	switch {
	case err != nil:
		return err
	case who != "":
		return movedTheOtherWay(who, by)
	}
	return refuseCircle(ctx, tx, b, e, email)
}

// mayRunIn refuses a user that has been moved into a batch that runs.
func (s *Store) mayRunIn(ctx context.Context, tx *sql.Tx, u *migration.User) error {
	b, err := batchToChange(ctx, tx, u.OrgID, u.BatchID)
	if err != nil {
		return err
	}
	e, err := s.takeHostsOf(ctx, tx, &b)
	if err != nil {
		return err
	}
	return s.refuseOpposite(ctx, tx, &b, e, u.EmailAddress)
}

func movedTheOtherWay(who, by string) error {
	if by == "" {
		return migration.NewFault(migration.AlreadyBeingMoved, migration.ScopeUser, "", fmt.Sprintf("%s is already being moved", who), nil)
	}
	return migration.NewFault(migration.DuplicateInOtherBatch, migration.ScopeUser, "",
		fmt.Sprintf("%s is moved the other way by batch %q, and each would copy the other's copies: stop, complete or remove that one first", who, by), nil)
}

// takeHostsOf takes both hosts of a batch, before any row of it: see locks.go.
func (s *Store) takeHostsOf(ctx context.Context, tx *sql.Tx, b *migration.Batch) (ends, error) {
	e, err := hostsOf(ctx, tx, b)
	if err != nil {
		return e, err
	}
	for _, host := range slices.Compact([]string{min(e.source, e.target), max(e.source, e.target)}) {
		if err := s.takeHost(ctx, tx, host); err != nil {
			return e, err
		}
	}
	return e, nil
}

// OppositeMailboxes tells which of these users, by address, would be moved the other way
// by another live batch: its name, or "" where it is another organisation's. b may be one
// that is not stored yet.
func (s *Store) OppositeMailboxes(ctx context.Context, b *migration.Batch, users []migration.User) (map[string]string, error) {
	found := map[string]string{}
	e, err := hostsOf(ctx, s.r, b)
	if err != nil {
		return nil, fmt.Errorf("look for a batch in the other direction: %w", err)
	}
	if there, err := anyInDirection(ctx, s.r, b, ends{e.target, e.source}); err != nil || !there || b.Stopped {
		return nil, err
	}
	for part := range slices.Chunk(users, askAtOnce/2) {
		args := []any{b.ID, e.target, e.source}
		for i := range part {
			args = append(args, addressKey(part[i].EmailAddress))
		}
		for i := range part {
			args = append(args, turnedLoginKey(&part[i]))
		}
		type way struct{ address, target, source string }
		live := map[way]string{}
		err := each(ctx, s.r, func(rows *sql.Rows) error {
			var w way
			var batch string
			var orgID int64
			if err := rows.Scan(&w.address, &w.target, &w.source, &batch, &orgID); err != nil {
				return err
			}
			if orgID != b.OrgID {
				batch = ""
			}
			for _, key := range []way{{address: w.address}, {target: w.target, source: w.source}} {
				if live[key] == "" {
					live[key] = batch
				}
			}
			return nil
		}, `SELECT o.email_key, o.target_login, o.source_login, ob.name, ob.org_id FROM users o`+liveOpposite+`
			AND (o.email_key IN (`+values(4, len(part))+`) OR o.target_login IN (`+values(4+len(part), len(part))+`))`, args...)
		if err != nil {
			return nil, fmt.Errorf("look for a batch in the other direction: %w", err)
		}
		for i := range part {
			keys := []way{{target: turnedLoginKey(&part[i]), source: loginKey(&part[i])}}
			if e.source != e.target {
				keys = append(keys, way{address: addressKey(part[i].EmailAddress)})
			}
			for _, key := range keys {
				if batch, is := live[key]; is && found[part[i].EmailAddress] == "" {
					found[part[i].EmailAddress] = batch
				}
			}
		}
	}
	return found, nil
}
