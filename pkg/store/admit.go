package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	pageSize = 32
	// maxLooks bounds the users that one Admit looks at beyond those it admits: users
	// whose mailboxes somebody else holds.
	maxLooks = 1024
)

// Admit lets due users in, at most room of them, and returns their leases; the
// caller puts a task for each into the queue. It is one transaction:
//
//  1. Find the batches that are due and not stopped, lock their endpoints in the
//     order of their ids, count the live leases there.
//  2. Read a page of due users for each such batch and turn.
//  3. Turn by turn, as rounds has it, admit users while there is room: where both
//     endpoints have a slot (see slots) and the target mailbox's lease is free. The
//     lease row is the slot.
//  4. Write down who was served, for the next round robin, and raise the bound of
//     the batches that have nobody due any more.
func (s *Store) Admit(ctx context.Context, now time.Time, room int) (admitted []migration.Lease, err error) {
	if room <= 0 {
		return nil, nil
	}
	// Most ticks find nothing: they must not wait for their turn to write.
	var due bool
	err = s.r.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM batches WHERE next_due_at <= $1 AND NOT stopped AND NOT removing)`, at(now)).Scan(&due)
	if err != nil {
		return nil, fmt.Errorf("look for due batches: %w", err)
	}
	if !due {
		return nil, nil
	}
	err = s.write(ctx, "admit", func(tx *sql.Tx) error {
		a := &admission{tx: tx, now: now, room: room, looks: maxLooks + room}
		defer a.close()
		if err := a.load(ctx, s.dialect.forUpdate); err != nil {
			return err
		}
		if len(a.batches) == 0 {
			return nil
		}
		for _, turns := range rounds {
			if err := a.round(ctx, turns); err != nil {
				return err
			}
		}
		admitted = a.admitted
		return a.writeDown(ctx)
	})
	if err != nil {
		return nil, err
	}
	return admitted, nil
}

// admission is one Admit under way.
type admission struct {
	tx        *sql.Tx
	now       time.Time
	room      int
	looks     int
	endpoints map[int64]*slots
	hosts     map[int64]string // of the endpoints
	batches   []*dueBatch
	probes    map[*slots]int64
	admitted  []migration.Lease

	users, lease, user *sql.Stmt
}

func (a *admission) close() {
	for _, stmt := range []*sql.Stmt{a.users, a.lease, a.user} {
		if stmt != nil {
			_ = stmt.Close() // read and written to the end, or rolled back
		}
	}
}

// load reads the due batches, their endpoints and the users that come into question.
func (a *admission) load(ctx context.Context, forUpdate string) error {
	a.endpoints, a.hosts, a.probes = map[int64]*slots{}, map[int64]string{}, map[*slots]int64{}
	orgs := map[int64]*dueOrg{}
	endpoint := func(id int64) *slots {
		if a.endpoints[id] == nil {
			a.endpoints[id] = &slots{id: id}
		}
		return a.endpoints[id]
	}
	err := each(ctx, a.tx, func(rows *sql.Rows) error {
		var b dueBatch
		var o dueOrg
		var source, target int64
		if err := rows.Scan(&b.id, &b.served, &o.id, &o.served, &source, &target); err != nil {
			return err
		}
		if orgs[o.id] == nil {
			orgs[o.id] = &o
		}
		b.org, b.source, b.target = orgs[o.id], endpoint(source), endpoint(target)
		a.batches = append(a.batches, &b)
		return nil
	}, `SELECT b.id, b.served, o.id, o.served, b.source_endpoint_id, b.target_endpoint_id FROM batches b JOIN orgs o ON o.id = b.org_id
		WHERE b.next_due_at <= $1 AND NOT b.stopped AND NOT b.removing`, at(a.now))
	if err != nil || len(a.batches) == 0 {
		return err
	}
	if err := a.loadEndpoints(ctx, forUpdate); err != nil {
		return err
	}
	// A batch whose endpoint admits nobody is not looked at.
	a.batches = slices.DeleteFunc(a.batches, (*dueBatch).full)
	if a.users, err = a.tx.PrepareContext(ctx, `SELECT id, next_run_at, target_login FROM users
		WHERE batch_id = $1 AND turn = $2 AND next_run_at <= $3 AND (next_run_at, id) > ($4, $5) AND NOT removing AND NOT`+leased+`
		ORDER BY next_run_at, id LIMIT $6`); err != nil {
		return err
	}
	for _, b := range a.batches {
		b.source.batches = append(b.source.batches, b)
		if b.target != b.source {
			b.target.batches = append(b.target.batches, b)
		}
		for turn := turnLast; turn <= turnVerify; turn++ {
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
	rows, err := a.users.QueryContext(ctx, g.batch.id, g.turn, at(a.now), after.due, after.id, pageSize)
	if err != nil {
		return fmt.Errorf("read due users: %w", err)
	}
	defer func() { _ = rows.Close() }()
	g.page = g.page[:0]
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.id, &c.due, &c.login); err != nil {
			return err
		}
		g.page = append(g.page, c)
	}
	g.more = len(g.page) == pageSize
	return rows.Err()
}

// loadEndpoints locks the endpoints and counts what is live there.
func (a *admission) loadEndpoints(ctx context.Context, forUpdate string) error {
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
			var id int64
			var e slots
			var park migration.Park
			var probe bool
			var host string
			if err := rows.Scan(&id, &host, &e.max, &e.maxResync, timeInto{&park.Until}, &park.Held, &e.lastKind, &probe); err != nil {
				return err
			}
			e.id = id
			e.park(park, probe, a.now)
			*a.endpoints[id] = e
			a.hosts[id] = host
			return nil
		}, `SELECT id, host_key, max_migrations, max_incrementals, park_until, park_held, last_kind,
			EXISTS (SELECT 1 FROM leases l WHERE l.token = endpoints.probe AND l.state <> 'free')
			FROM endpoints WHERE id IN (`+values(1, len(part))+`) ORDER BY id`+forUpdate, anys(part)...)
		if err != nil {
			return fmt.Errorf("lock endpoints: %w", err)
		}
	}
	err := each(ctx, a.tx, func(rows *sql.Rows) error {
		var source, target int64
		var kind migration.PassKind
		var n int
		if err := rows.Scan(&source, &target, &kind, &n); err != nil {
			return err
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
	}, `SELECT source_endpoint_id, target_endpoint_id, kind, COUNT(*) FROM leases WHERE state <> 'free'
		GROUP BY source_endpoint_id, target_endpoint_id, kind`)
	if err != nil {
		return fmt.Errorf("count slots: %w", err)
	}
	return nil
}

// round admits users of turns until room, slots or users run out.
func (a *admission) round(ctx context.Context, turns []int) error {
	for len(a.admitted) < a.room && a.looks > 0 {
		g := next(a.batches, turns)
		if g == nil {
			return nil
		}
		c := g.page[0]
		g.page = g.page[1:]
		a.looks--
		if err := a.admit(ctx, g, c); err != nil {
			return err
		}
		if len(g.page) == 0 && g.more {
			if err := a.turnPage(ctx, g, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// admit takes the lease of c's target mailbox, where it is free.
func (a *admission) admit(ctx context.Context, g *group, c candidate) (err error) {
	if a.lease == nil {
		if a.lease, err = a.tx.PrepareContext(ctx, `INSERT INTO leases (mailbox, token, state, org_id, user_id, kind, source_endpoint_id, target_endpoint_id)
			VALUES ($1, $2, 'queued', $3, $4, $5, $6, $7)
			ON CONFLICT (mailbox) DO UPDATE SET token = excluded.token, state = excluded.state, org_id = excluded.org_id, user_id = excluded.user_id,
				kind = excluded.kind, source_endpoint_id = excluded.source_endpoint_id, target_endpoint_id = excluded.target_endpoint_id
			WHERE leases.state = 'free' RETURNING unsettled`); err != nil {
			return err
		}
		if a.user, err = a.tx.PrepareContext(ctx, `UPDATE users SET status = 'Queued', next_run_at = NULL WHERE id = $1`); err != nil {
			return err
		}
	}
	b := g.batch
	l := migration.Lease{
		UserID: c.id, Kind: g.kind, SourceEndpointID: b.source.id, TargetEndpointID: b.target.id, State: migration.LeaseQueued,
	}
	if err := a.tx.QueryRowContext(ctx, `UPDATE lease_tokens SET latest = latest + 1 RETURNING latest`).Scan(&l.Token); err != nil {
		return fmt.Errorf("make a lease token: %w", err)
	}
	err = a.lease.QueryRowContext(ctx, mailboxKey(a.hosts[b.target.id], c.login), l.Token, b.org.id, c.id, string(g.kind), b.source.id, b.target.id).
		Scan(&l.Unsettled)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // somebody else holds the mailbox
	}
	if err != nil {
		return fmt.Errorf("take lease: %w", err)
	}
	if _, err := a.user.ExecContext(ctx, c.id); err != nil {
		return err
	}
	g.served(l.Token)
	for _, e := range []*slots{b.source, b.target} {
		if e.probing {
			a.probes[e] = l.Token
		}
	}
	a.admitted = append(a.admitted, l)
	return nil
}

// writeDown keeps what the next admission has to know.
func (a *admission) writeDown(ctx context.Context) error {
	orgs, endpoints := map[*dueOrg]bool{}, map[*slots]bool{}
	for _, b := range a.batches {
		if len(a.admitted) > 0 && b.served >= a.admitted[0].Token {
			orgs[b.org], endpoints[b.source], endpoints[b.target] = true, true, true
			if _, err := a.tx.ExecContext(ctx, `UPDATE batches SET served = $2 WHERE id = $1`, b.id, b.served); err != nil {
				return err
			}
		}
		if slices.ContainsFunc(b.groups, func(g *group) bool { return len(g.page) > 0 || g.more }) {
			continue
		}
		// Turn by turn, because the index finds the earliest of each at once.
		_, err := a.tx.ExecContext(ctx, `UPDATE batches SET next_due_at = (SELECT MIN(first) FROM (
			SELECT MIN(next_run_at) AS first FROM users WHERE batch_id = $1 AND turn = 1 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 2 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 3 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 4 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 5 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 6 AND next_run_at IS NOT NULL UNION ALL
			SELECT MIN(next_run_at) FROM users WHERE batch_id = $1 AND turn = 7 AND next_run_at IS NOT NULL) AS turns) WHERE id = $1`, b.id)
		if err != nil {
			return fmt.Errorf("raise the bound of batch %d: %w", b.id, err)
		}
	}
	for o := range orgs {
		if _, err := a.tx.ExecContext(ctx, `UPDATE orgs SET served = $2 WHERE id = $1`, o.id, o.served); err != nil {
			return err
		}
	}
	for e := range endpoints {
		if _, err := a.tx.ExecContext(ctx, `UPDATE endpoints SET last_kind = $2 WHERE id = $1`, e.id, string(e.lastKind)); err != nil {
			return err
		}
	}
	for e, token := range a.probes {
		if _, err := a.tx.ExecContext(ctx, `UPDATE endpoints SET probe = $2 WHERE id = $1`, e.id, token); err != nil {
			return err
		}
	}
	return nil
}
