package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// countTraffic adds bytes that a pass copied to what was copied for its user today, which
// the caller writes with the user, and to what passed through its endpoints: one statement for both, in the order of their ids, so that no two passes wait
// for each other. An endpoint that is both sides has them twice.
func (s *Store) countTraffic(ctx context.Context, tx *sql.Tx, h *holder, bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	h.traffic = h.traffic.Add(s.today(), bytes)
	// Whose clock is late at midnight counts for the new day.
	_, err := tx.ExecContext(ctx, `INSERT INTO endpoint_traffic (endpoint_id, part, day, bytes)
		SELECT e.id, CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT) * CASE WHEN l.source_endpoint_id = l.target_endpoint_id THEN 2 ELSE 1 END
			FROM leases l JOIN endpoints e ON e.id = l.source_endpoint_id OR e.id = l.target_endpoint_id WHERE l.token = $1 ORDER BY e.id
		ON CONFLICT (endpoint_id, part) DO UPDATE SET
			bytes = CASE WHEN excluded.day > endpoint_traffic.day THEN 0 ELSE endpoint_traffic.bytes END + excluded.bytes,
			day = CASE WHEN excluded.day > endpoint_traffic.day THEN excluded.day ELSE endpoint_traffic.day END`,
		h.Token, h.Token%usageParts, s.today(), bytes)
	if err != nil {
		return fmt.Errorf("count traffic: %w", err)
	}
	return nil
}

// Throttle halves the working limit of an endpoint that asked for time, once a burst.
// It returns the endpoint's name, after its organisation's and a slash, and whether
// this was the first answer of its burst.
func (s *Store) Throttle(ctx context.Context, endpointID int64, now time.Time) (name string, w migration.Working, halved bool, err error) {
	err = s.write(ctx, "throttle endpoint", func(tx *sql.Tx) error {
		var org string
		var orgID int64
		var limit int
		w = migration.Working{}
		err := tx.QueryRowContext(ctx, `SELECT org_id, name, max_migrations, working_limit, working_at FROM endpoints WHERE id = $1`+s.dialect.forUpdate, endpointID).
			Scan(&orgID, &name, &limit, &w.Limit, timeInto{&w.At})
		if err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT name FROM orgs WHERE id = $1`, orgID).Scan(&org); err != nil {
			return err
		}
		name = org + "/" + name
		if w, halved = w.Throttle(limit, now); !halved {
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE endpoints SET working_limit = $2, working_at = $3 WHERE id = $1`, endpointID, w.Limit, at(w.At))
		return err
	})
	return name, w, halved, err
}

// rouse makes users due that wait for an endpoint's rest to end: it may be over, now
// that the endpoint was changed. If it is not they are not admitted.
func (s *Store) rouse(ctx context.Context, endpointID int64) error {
	var batches []int64
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		batches = append(batches, id)
		return err
	}, `SELECT id FROM batches WHERE source_endpoint_id = $1 UNION SELECT id FROM batches WHERE target_endpoint_id = $1 ORDER BY id`, endpointID)
	if err != nil {
		return fmt.Errorf("find the endpoint's batches: %w", err)
	}
	for _, id := range batches {
		err := s.write(ctx, "rouse users", func(tx *sql.Tx) error {
			if err := s.takeBatch(ctx, tx, id); err != nil {
				return err
			}
			now := s.now()
			n, err := execN(ctx, tx, `UPDATE users SET next_run_at = $2 WHERE batch_id = $1 AND status = 'Waiting' AND yielded AND next_run_at > $2`, id, at(now))
			if err != nil || n == 0 {
				return err
			}
			return s.dueFrom(ctx, tx, id, now)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Orders tells, for leases that a process holds, what is asked of their passes by now:
// one look for all of them. Leases that are no longer running are left out.
func (s *Store) Orders(ctx context.Context, tokens []int64) (map[int64]migration.Order, error) {
	tx, err := s.r.BeginTx(ctx, &s.dialect.oneMoment)
	if err != nil {
		return nil, fmt.Errorf("look for orders: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	stop, endpoints := map[int64]bool{}, map[int64]*migration.Endpoint{}
	for part := range slices.Chunk(tokens, 500) {
		err := each(ctx, tx, func(rows *sql.Rows) error {
			var token, source, target int64
			var stopped bool
			err := rows.Scan(&token, &source, &target, &stopped)
			stop[token], endpoints[source], endpoints[target] = stopped, nil, nil
			return err
		}, `SELECT l.token, l.source_endpoint_id, l.target_endpoint_id, u.stopping OR u.removing
			OR l.kind = 'preflight' AND u.preflight_from = '' FROM leases l JOIN users u ON u.id = l.user_id
			WHERE l.state = 'running' AND l.token IN (`+values(1, len(part))+`)`, anys(part)...)
		if err != nil {
			return nil, fmt.Errorf("look for stops: %w", err)
		}
	}
	live, err := s.endpointsOfOrders(ctx, tx, endpoints)
	if err != nil {
		return nil, err
	}
	orders := migration.Orders(tokens, live, endpoints, s.now())
	out := make(map[int64]migration.Order, len(stop))
	for token, stopped := range stop {
		o := orders[token]
		o.Stop = stopped
		out[token] = o
	}
	return out, nil
}

// endpointsOfOrders fills in the endpoints, and returns the leases there.
func (s *Store) endpointsOfOrders(ctx context.Context, tx *sql.Tx, endpoints map[int64]*migration.Endpoint) ([]migration.Lease, error) {
	var live []migration.Lease
	ids := make([]int64, 0, len(endpoints))
	for id := range endpoints {
		ids = append(ids, id)
	}
	for part := range slices.Chunk(ids, 500) {
		err := each(ctx, tx, func(rows *sql.Rows) error {
			e, err := scanEndpoint(rows)
			endpoints[e.ID] = &e
			return err
		}, selectEndpoint+` WHERE id IN (`+values(1, len(part))+`)`, anys(part)...)
		if err != nil {
			return nil, fmt.Errorf("read endpoints: %w", err)
		}
	}
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var l migration.Lease
		err := rows.Scan(&l.Token, &l.Kind, &l.SourceEndpointID, &l.TargetEndpointID)
		if endpoints[l.SourceEndpointID] != nil || endpoints[l.TargetEndpointID] != nil {
			live = append(live, l)
		}
		return err
	}, `SELECT token, kind, source_endpoint_id, target_endpoint_id FROM leases WHERE state <> 'free'`)
	if err != nil {
		return nil, fmt.Errorf("list leases: %w", err)
	}
	return live, nil
}
