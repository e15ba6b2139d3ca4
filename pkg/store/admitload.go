package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	// isDue is which batches b are looked at: a stopped one for its preflights alone.
	isDue = `b.next_due_at <= $1 AND NOT b.removing AND (NOT b.stopped
		OR EXISTS (SELECT 1 FROM users p WHERE p.batch_id = b.id AND p.turn = 8 AND p.next_run_at <= $1))`

	anyDue = `SELECT EXISTS (SELECT 1 FROM batches b WHERE ` + isDue + `)`

	dueBatches = `SELECT b.id, b.served, b.stopped, o.id, o.served, b.source_endpoint_id, b.target_endpoint_id
		FROM batches b JOIN orgs o ON o.id = b.org_id WHERE ` + isDue + ``

	dueUsers = `SELECT id, next_run_at, target_login FROM users
		WHERE batch_id = $1 AND turn = $2 AND next_run_at <= $3 AND (next_run_at, id) > ($4, $5) AND NOT removing AND NOT` + leased + `
		ORDER BY next_run_at, id LIMIT $6`

	liveSlots = `SELECT org_id, source_endpoint_id, target_endpoint_id, kind, COUNT(*) FROM leases WHERE state <> 'free'
		GROUP BY org_id, source_endpoint_id, target_endpoint_id, kind`

	// Turn by turn, because the index finds the earliest of each at once.
	earliestDue = `SELECT MIN(first) FROM (
			SELECT MIN(next_run_at) AS first FROM users WHERE batch_id = $1 AND turn = 1 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 2 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 3 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 4 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 5 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 6 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 7 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 8 AND next_run_at IS NOT NULL) AS turns`
)

// load reads the due batches, their endpoints and the users that come into question.
func (a *admission) load(ctx context.Context) error {
	locked, free, err := a.s.lockDue(ctx, a.tx, at(a.clock()))
	if err != nil {
		return err
	}
	// Not before: who yielded while this waited for its turn is due by now, and goes
	// before those that have not begun.
	a.now = a.clock()
	a.endpoints, a.hosts, a.probes = map[int64]*slots{}, map[int64]string{}, map[*slots]int64{}
	orgs := map[int64]*dueOrg{}
	endpoint := func(id int64) *slots {
		if a.endpoints[id] == nil {
			a.endpoints[id] = &slots{id: id}
		}
		return a.endpoints[id]
	}
	err = each(ctx, a.tx, func(rows *sql.Rows) error {
		var b dueBatch
		var o dueOrg
		var source, target int64
		if err := rows.Scan(&b.id, &b.served, &b.stopped, &o.id, &o.served, &source, &target); err != nil {
			return err
		}
		if locked != nil && !(free[b.id] && locked[source] && locked[target]) {
			return nil // a verb is under way over it, or it has fallen due since
		}
		if orgs[o.id] == nil {
			orgs[o.id] = &o
		}
		b.org, b.source, b.target = orgs[o.id], endpoint(source), endpoint(target)
		a.batches = append(a.batches, &b)
		return nil
	}, dueBatches, at(a.now))
	if err != nil || len(a.batches) == 0 {
		return err
	}
	if err := a.loadEndpoints(ctx, orgs); err != nil {
		return err
	}
	// A batch whose endpoint admits nobody is not looked at.
	a.batches = slices.DeleteFunc(a.batches, (*dueBatch).full)
	for _, b := range a.batches {
		b.source.batches = append(b.source.batches, b)
		if b.target != b.source {
			b.target.batches = append(b.target.batches, b)
		}
		for turn := turnLast; turn <= turnPreflight; turn++ {
			if b.stopped && turn != turnPreflight {
				continue
			}
			g := &group{batch: b, turn: turn, kind: turnKinds[turn]}
			if err := a.turnPage(ctx, g, candidate{due: -1 << 62}); err != nil {
				return err
			}
			b.groups = append(b.groups, g)
		}
	}
	return nil
}

// turnPage reads the users of g that come after a candidate.
func (a *admission) turnPage(ctx context.Context, g *group, after candidate) error {
	g.page = g.page[:0]
	err := each(ctx, a.tx, func(rows *sql.Rows) error {
		var c candidate
		err := rows.Scan(&c.id, &c.due, &c.login)
		g.page = append(g.page, c)
		return err
	}, dueUsers, g.batch.id, g.turn, at(a.now), after.due, after.id, pageSize)
	if err != nil {
		return fmt.Errorf("read due users: %w", err)
	}
	g.more = len(g.page) == pageSize
	return nil
}

// loadEndpoints reads the endpoints and counts what is live there.
func (a *admission) loadEndpoints(ctx context.Context, orgs map[int64]*dueOrg) error {
	ids := make([]int64, 0, len(a.endpoints))
	for id := range a.endpoints {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	const chunk = 500
	for rest := ids; len(rest) > 0; {
		part := rest[:min(chunk, len(rest))]
		rest = rest[len(part):]
		err := each(ctx, a.tx, func(rows *sql.Rows) error {
			var e migration.Endpoint
			at := slots{}
			var probe bool
			var host string
			err := rows.Scan(&e.ID, &host, &e.MaxConcurrentMigrations, &at.maxResync, timeInto{&e.Park.Until}, &e.Park.Held, &at.lastKind, &probe,
				&e.Hours, &e.DailyBytes, &e.Working.Limit, timeInto{&e.Working.At}, &e.Traffic.Day, &e.Traffic.Bytes)
			if err != nil {
				return err
			}
			at.id, at.max = e.ID, e.LimitAt(a.now)
			at.park(e.Park, probe, a.now)
			at.closed = at.closed || e.RestAt(a.now) != nil
			*a.endpoints[e.ID] = at
			a.hosts[e.ID] = host
			return nil
		}, `SELECT id, host_key, max_migrations, max_incrementals, park_until, park_held, last_kind,
			EXISTS (SELECT 1 FROM leases l WHERE l.token = endpoints.probe AND l.state <> 'free'),
			hours, daily_bytes, working_limit, working_at, `+traffic+`
			FROM endpoints WHERE id IN (`+values(1, len(part))+`)`, anys(part)...)
		if err != nil {
			return fmt.Errorf("read endpoints: %w", err)
		}
	}
	err := each(ctx, a.tx, func(rows *sql.Rows) error {
		var org, source, target int64
		var kind migration.PassKind
		var n int
		if err := rows.Scan(&org, &source, &target, &kind, &n); err != nil {
			return err
		}
		if o := orgs[org]; o != nil {
			o.live += n
		}
		for _, id := range slices.Compact([]int64{source, target}) {
			if e := a.endpoints[id]; e != nil {
				e.total += n
				if kind == migration.Resync {
					e.resync += n
				}
			}
		}
		return nil
	}, liveSlots)
	if err != nil {
		return fmt.Errorf("count slots: %w", err)
	}
	return nil
}
