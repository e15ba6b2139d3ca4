package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	leaseColumns = `token, user_id, kind, source_endpoint_id, target_endpoint_id, state, worker_id, beat, unsettled, since`

	// freeLease ends with a condition. A free row says nothing of who held it; token
	// and unsettled stay.
	freeLease = `UPDATE leases SET state = 'free', org_id = 0, user_id = NULL, kind = '', source_endpoint_id = 0, target_endpoint_id = 0,
		worker_id = '', progressed = FALSE, since = NULL`
	freeQueuedOfBatch = ` WHERE user_id IS NOT NULL AND state = 'queued'
		AND EXISTS (SELECT 1 FROM users u WHERE u.id = leases.user_id AND u.batch_id = $1)`
	freeQueuedOfUser = ` WHERE user_id = $1 AND state = 'queued'`
)

func leaseDest(l *migration.Lease) []any {
	return []any{&l.Token, &l.UserID, &l.Kind, &l.SourceEndpointID, &l.TargetEndpointID, &l.State, &l.WorkerID, &l.Beat, &l.Unsettled, timeInto{&l.Since}}
}

// Claim makes a queued lease the worker's, exactly once, and its user a running one.
// A lease that is not queued any more answers ErrLeaseLost. A claim whose commit was
// not answered is looked for again by its first beat, which is this call's own: so no
// broken connection leaves a lease that its holder does not know of.
func (s *Store) Claim(ctx context.Context, token int64, workerID string) (migration.Lease, error) {
	var l migration.Lease
	beat := rand.Int64N(1 << 62)
	err := s.writeAgain(ctx, "claim lease", func(tx *sql.Tx) error {
		if err := s.shareBatchOfLease(ctx, tx, token); err != nil {
			return err
		}
		return claim(ctx, tx, token, workerID, beat, s.now(), &l)
	})
	if err != nil {
		return migration.Lease{}, err
	}
	return l, nil
}

func claim(ctx context.Context, tx *sql.Tx, token int64, workerID string, beat int64, now time.Time, l *migration.Lease) error {
	err := tx.QueryRowContext(ctx, `UPDATE leases SET state = 'running', worker_id = $2, beat = $3, since = $4
		WHERE token = $1 AND (state = 'queued' OR state = 'running' AND worker_id = $2 AND beat = $3) RETURNING `+leaseColumns,
		token, workerID, beat, at(now)).Scan(leaseDest(l)...)
	if errors.Is(err, sql.ErrNoRows) {
		return migration.ErrLeaseLost
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE users SET status = $2 WHERE id = $1 AND NOT removing AND status <> 'Failed'`,
		l.UserID, string(migration.RunningStatus(l.Kind)))
	return err
}

// Beat raises the counters of a worker's leases and returns the tokens that are
// still its own.
func (s *Store) Beat(ctx context.Context, workerID string, tokens []int64) ([]int64, error) {
	if len(tokens) == 0 {
		return nil, nil
	}
	alive := make([]int64, 0, len(tokens))
	err := s.write(ctx, "beat", func(tx *sql.Tx) error {
		alive = alive[:0]
		const chunk = 500
		for rest := tokens; len(rest) > 0; {
			part := rest[:min(chunk, len(rest))]
			rest = rest[len(part):]
			err := each(ctx, tx, func(rows *sql.Rows) error {
				var token int64
				err := rows.Scan(&token)
				alive = append(alive, token)
				return err
			}, `UPDATE leases SET beat = beat + 1 WHERE worker_id = $1 AND state = 'running' AND token IN (`+values(2, len(part))+`)
				RETURNING token`, append([]any{workerID}, anys(part)...)...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return alive, nil
}

func anys(ids []int64) []any {
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}

// LiveLeases returns all leases that are queued or running.
func (s *Store) LiveLeases(ctx context.Context) ([]migration.Lease, error) {
	out, err := liveLeases(ctx, s.r)
	if err != nil {
		return nil, fmt.Errorf("list leases: %w", err)
	}
	return out, nil
}

// WatchLeases is LiveLeases for whoever judges holders by their counters: it waits for
// its turn to write, as their beats do. On SQLite somebody who writes for long holds up
// all beats and no reading; who read on would see counters stand still that cannot move.
func (s *Store) WatchLeases(ctx context.Context) (out []migration.Lease, err error) {
	err = s.write(ctx, "list leases", func(tx *sql.Tx) (err error) {
		out, err = liveLeases(ctx, tx)
		return err
	})
	return out, err
}

func liveLeases(ctx context.Context, q querier) (out []migration.Lease, err error) {
	err = each(ctx, q, func(rows *sql.Rows) error {
		var l migration.Lease
		err := rows.Scan(leaseDest(&l)...)
		out = append(out, l)
		return err
	}, `SELECT `+leaseColumns+` FROM leases WHERE state <> 'free' ORDER BY token`)
	return out, err
}

// LeaseOfUser finds the lease that a user's pass holds or awaits, and whether there
// is one.
func (s *Store) LeaseOfUser(ctx context.Context, userID int64) (migration.Lease, bool, error) {
	var l migration.Lease
	err := s.r.QueryRowContext(ctx, `SELECT `+leaseColumns+` FROM leases WHERE user_id = $1`, userID).Scan(leaseDest(&l)...)
	if errors.Is(err, sql.ErrNoRows) {
		return migration.Lease{}, false, nil
	}
	if err != nil {
		return migration.Lease{}, false, fmt.Errorf("find lease: %w", err)
	}
	return l, true, nil
}

// Progressed tells whether the lease's pass has got on: it delivered a message or
// wrote down something new.
func (s *Store) Progressed(ctx context.Context, token int64) (bool, error) {
	var progressed bool
	err := s.r.QueryRowContext(ctx, `SELECT progressed FROM leases WHERE token = $1 AND state <> 'free'`, token).Scan(&progressed)
	if errors.Is(err, sql.ErrNoRows) {
		return false, migration.ErrLeaseLost
	}
	if err != nil {
		return false, fmt.Errorf("find lease: %w", err)
	}
	return progressed, nil
}

// holder is a lease in the hands of a write, with the user it is for.
type holder struct {
	migration.Lease
	orgID, batchID int64
	batchDue       time.Time // the bound of the batch; it is not raised while the batch's lock is shared
	countedBy      int64
	listed         bool // items are listed of the user
	state          migration.UserState
	totals         migration.Totals
	last           migration.Tally
	running        bool // last is not in totals yet
	traffic        migration.Traffic
}

// selectHeld is one statement, not one a table, because every pass comes by here.
const selectHeld = `SELECT l.token, l.user_id, l.kind, l.state, l.since, l.unsettled, l.counted_by, u.org_id, u.batch_id,
	(SELECT b.next_due_at FROM batches b WHERE b.id = u.batch_id), EXISTS (SELECT 1 FROM items i WHERE i.user_id = u.id),
	` + stateColumns + `, ` + totalColumns + `, running, ` + lastColumns + `, ` + trafficColumns + `
	FROM leases l JOIN users u ON u.id = l.user_id WHERE l.token = $1 AND l.state = $2`

// held finds the lease of token in the state that the write needs, and locks it and
// its user until the transaction's end. Any other state means that the lease is lost.
func (s *Store) held(ctx context.Context, tx querier, token int64, state migration.LeaseState) (*holder, error) {
	var h holder
	dest := append([]any{
		&h.Token, &h.UserID, &h.Kind, &h.State, timeInto{&h.Since}, &h.Unsettled, &h.countedBy, &h.orgID, &h.batchID, timeInto{&h.batchDue}, &h.listed,
	}, stateDest(&h.state)...)
	dest = into(append(into(dest, totalFields(&h.totals)), &h.running), lastFields(&h.last))
	dest = append(dest, &h.traffic.Day, &h.traffic.Bytes)
	err := tx.QueryRowContext(ctx, selectHeld+s.dialect.forUpdate, token, string(state)).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, migration.ErrLeaseLost
	}
	if err != nil {
		return nil, fmt.Errorf("find lease: %w", err)
	}
	return &h, nil
}
