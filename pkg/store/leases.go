package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

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
// A lease that is not queued any more answers ErrLeaseLost.
func (s *Store) Claim(ctx context.Context, token int64, workerID string) (migration.Lease, error) {
	var l migration.Lease
	err := s.write(ctx, "claim lease", func(tx *sql.Tx) error {
		if err := s.shareBatchOfLease(ctx, tx, token); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, `UPDATE leases SET state = 'running', worker_id = $2, beat = beat + 1, since = $3
			WHERE token = $1 AND state = 'queued' RETURNING `+leaseColumns, token, workerID, at(s.now())).Scan(leaseDest(&l)...)
		if errors.Is(err, sql.ErrNoRows) {
			return migration.ErrLeaseLost
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE users SET status = $2 WHERE id = $1 AND NOT removing`,
			l.UserID, string(migration.RunningStatus(l.Kind)))
		return err
	})
	if err != nil {
		return migration.Lease{}, err
	}
	return l, nil
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
	var out []migration.Lease
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var l migration.Lease
		err := rows.Scan(leaseDest(&l)...)
		out = append(out, l)
		return err
	}, `SELECT `+leaseColumns+` FROM leases WHERE state <> 'free' ORDER BY token`)
	if err != nil {
		return nil, fmt.Errorf("list leases: %w", err)
	}
	return out, nil
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
	mailbox        []byte
	countedBy      int64
	state          migration.UserState
	totals         migration.Totals
	last           migration.Tally
	running        bool // last is not in totals yet
}

// held finds the lease of token in the state that the write needs, and locks it
// until the transaction's end. Any other state means that the lease is lost.
func (s *Store) held(ctx context.Context, tx querier, token int64, state migration.LeaseState) (*holder, error) {
	var h holder
	var userID sql.NullInt64
	err := tx.QueryRowContext(ctx, `SELECT token, user_id, kind, source_endpoint_id, target_endpoint_id, state, worker_id, beat, unsettled,
		mailbox, counted_by FROM leases WHERE token = $1 AND state = $2`+s.dialect.forUpdate, token, string(state)).
		Scan(&h.Token, &userID, &h.Kind, &h.SourceEndpointID, &h.TargetEndpointID, &h.State, &h.WorkerID, &h.Beat, &h.Unsettled,
			&h.mailbox, &h.countedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, migration.ErrLeaseLost
	}
	if err != nil {
		return nil, fmt.Errorf("find lease: %w", err)
	}
	h.UserID = userID.Int64
	dest := append([]any{&h.orgID, &h.batchID}, stateDest(&h.state)...)
	dest = into(append(into(dest, totalFields(&h.totals)), &h.running), lastFields(&h.last))
	err = tx.QueryRowContext(ctx, `SELECT org_id, batch_id, `+stateColumns+`, `+totalColumns+`, running, `+lastColumns+`
		FROM users WHERE id = $1`+s.dialect.forUpdate, h.UserID).Scan(dest...)
	if err != nil {
		return nil, fmt.Errorf("find the lease's user: %w", err)
	}
	return &h, nil
}
