package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
)

// Locks beyond those of rows. Where many write at a time, some decisions rest on rows
// that are not there yet, and no row lock can keep them away:
//
//   - A verb over a batch (stop, start, complete, ...) does one thing to users whose
//     pass is under way and another to the rest, while Admit, Claim, Finish and Release
//     change which is which. They share the lock of the batch, a verb has it alone,
//     and both before any row. Admit leaves out batches whose lock it cannot have at
//     once. Windows and beats need none.
//   - Admit raises the bound of a batch that has nobody due, while others may be about
//     to make somebody due: who lowers the bound shares the lock too, and Admit raises
//     it only where it can have the lock alone at once.
//   - AddUsers may hold rows of users for seconds: no admission touches the batch
//     meanwhile.
//   - Two imports of the same mailbox see nothing of each other, nor two starts: the last
//     look for duplicates and for batches in the other direction is one at a time for each
//     host, of both sides. A start takes the hosts before the row of its batch, which
//     an import writes to last.
//   - An event's id is drawn before it can be seen, so a smaller id may turn up after
//     a greater one. A trigger announces who is about to draw (see the schema), and
//     readers stay below the announced.
//
// They are PostgreSQL's advisory locks, released by the transaction's end. The upper
// 16 bits of a key tell the kind.
type lockKind int64

const (
	batchLock  lockKind = 1 << 48
	eventLock  lockKind = 2 << 48 // taken by the trigger events_announce
	importLock lockKind = 3 << 48
	hostLock   lockKind = 4 << 48

	lockID = 1<<48 - 1
)

func (k lockKind) key(id int64) int64 { return int64(k) | id&lockID }

func (s *Store) lock(ctx context.Context, tx *sql.Tx, function string, keys ...any) error {
	if !s.dialect.manyWriters {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `SELECT `+function, keys...); err != nil {
		return fmt.Errorf("wait for a lock: %w", err)
	}
	return nil
}

// shareBatch waits until no verb is under way over a batch, and keeps others off.
func (s *Store) shareBatch(ctx context.Context, tx *sql.Tx, id int64) error {
	return s.lock(ctx, tx, `pg_advisory_xact_lock_shared($1)`, batchLock.key(id))
}

// takeBatch waits until no pass of a batch begins or ends, and keeps them off.
func (s *Store) takeBatch(ctx context.Context, tx *sql.Tx, id int64) error {
	return s.lock(ctx, tx, `pg_advisory_xact_lock($1)`, batchLock.key(id))
}

func (s *Store) takeBatchOfUser(ctx context.Context, tx *sql.Tx, userID int64) error {
	return s.lock(ctx, tx, `pg_advisory_xact_lock($2 | batch_id) FROM users WHERE id = $1`, userID, int64(batchLock))
}

func (s *Store) shareBatchOfUser(ctx context.Context, tx *sql.Tx, userID int64) error {
	return s.lock(ctx, tx, `pg_advisory_xact_lock_shared($2 | batch_id) FROM users WHERE id = $1`, userID, int64(batchLock))
}

func (s *Store) shareBatchOfLease(ctx context.Context, tx *sql.Tx, token int64) error {
	return s.lock(ctx, tx, `pg_advisory_xact_lock_shared($2 | u.batch_id) FROM leases l JOIN users u ON u.id = l.user_id WHERE l.token = $1`,
		token, int64(batchLock))
}

// tryTakeBatch tells whether nobody else is at a batch, and if so keeps them off.
func (s *Store) tryTakeBatch(ctx context.Context, tx *sql.Tx, id int64) (alone bool, err error) {
	if !s.dialect.manyWriters {
		return true, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock($1)`, batchLock.key(id)).Scan(&alone)
	return alone, err
}

// takeImport keeps admissions off a batch of which many rows are about to be held.
func (s *Store) takeImport(ctx context.Context, tx *sql.Tx, batchID int64) error {
	return s.lock(ctx, tx, `pg_advisory_xact_lock($1)`, importLock.key(batchID))
}

// takeHost waits until nobody else begins to move into a host, or out of it.
func (s *Store) takeHost(ctx context.Context, tx *sql.Tx, host string) error {
	h := fnv.New64a()
	_, _ = h.Write([]byte(host)) // never fails
	return s.lock(ctx, tx, `pg_advisory_xact_lock($1)`, hostLock.key(int64(h.Sum64()>>16)))
}

// lockDue locks, for an admission, the endpoints of all due batches in the order of
// their ids, then what it can have of the batches at once. It returns both; nil where
// nobody else can be there.
func (s *Store) lockDue(ctx context.Context, tx *sql.Tx, now any) (endpoints, batches map[int64]bool, err error) {
	if !s.dialect.manyWriters {
		return nil, nil, nil
	}
	const due = ` FROM batches b WHERE ` + isDue
	endpoints, batches = map[int64]bool{}, map[int64]bool{}
	err = each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		endpoints[id] = true
		return err
	}, `SELECT id FROM endpoints WHERE id IN (SELECT b.source_endpoint_id`+due+` UNION SELECT b.target_endpoint_id`+due+`) ORDER BY id`+s.dialect.forUpdate, now)
	if err != nil {
		return nil, nil, fmt.Errorf("lock endpoints: %w", err)
	}
	err = each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		var free, whole bool
		err := rows.Scan(&id, &free, &whole)
		batches[id] = free && whole
		return err
	}, `SELECT b.id, pg_try_advisory_xact_lock_shared($2 | b.id), pg_try_advisory_xact_lock_shared($3 | b.id)`+due,
		now, int64(batchLock), int64(importLock))
	if err != nil {
		return nil, nil, fmt.Errorf("lock batches: %w", err)
	}
	return endpoints, batches, nil
}

// eventsSettled returns the id up to which no event can turn up any more: what was
// drawn by now, or less where somebody drew and has not committed. In this order:
// whoever drew before the first look announced it before the second.
func (s *Store) eventsSettled(ctx context.Context) (int64, error) {
	if !s.dialect.manyWriters {
		return math.MaxInt64, nil
	}
	var drawn int64
	err := s.r.QueryRowContext(ctx, `SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM events_id_seq`).Scan(&drawn)
	if err != nil {
		return 0, fmt.Errorf("find the latest event: %w", err)
	}
	var announced sql.NullInt64
	err = s.r.QueryRowContext(ctx, `SELECT MIN((classid::bigint << 32 | objid::bigint) & $2) FROM pg_locks
		WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = $1 AND granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
		int64(eventLock>>48), int64(lockID)).Scan(&announced)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("find events under way: %w", err)
	}
	if announced.Valid {
		drawn = min(drawn, announced.Int64)
	}
	return drawn, nil
}
