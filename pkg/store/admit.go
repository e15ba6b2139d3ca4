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
//     order of their ids (so that two admissions never wait for each other), count the
//     live leases there.
//  2. Read a page of due users for each such batch and turn.
//  3. Turn by turn, as rounds has it, admit users while there is room: where both
//     endpoints have a slot (see slots), the target mailbox's lease is free and the
//     user is still due. The lease row is the slot.
//  4. Write down who was served, for the next round robin, and raise the bound of
//     the batches that have nobody due any more.
func (s *Store) Admit(ctx context.Context, now time.Time, room int) (admitted []migration.Lease, err error) {
	if room <= 0 {
		return nil, nil
	}
	asked := time.Now()
	// Most ticks find nothing: they must not wait for their turn to write.
	var due bool
	err = s.r.QueryRowContext(ctx, anyDue, at(now)).Scan(&due)
	if err != nil {
		return nil, fmt.Errorf("look for due batches: %w", err)
	}
	if !due {
		return nil, nil
	}
	err = s.write(ctx, "admit", func(tx *sql.Tx) error {
		a := &admission{s: s, tx: tx, room: room, looks: maxLooks + room, clock: func() time.Time { return now.Add(time.Since(asked)) }}
		if err := a.load(ctx); err != nil {
			return err
		}
		if admitted = nil; len(a.batches) == 0 {
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
	s         *Store
	tx        *sql.Tx
	clock     func() time.Time
	now       time.Time // since when it has its locks
	room      int
	looks     int
	endpoints map[int64]*slots
	hosts     map[int64]string // of the endpoints
	batches   []*dueBatch
	probes    map[*slots]int64
	admitted  []migration.Lease
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

const (
	takeLease = `INSERT INTO leases (mailbox, token, state, org_id, user_id, kind, source_endpoint_id, target_endpoint_id)
		VALUES ($1, $2, 'queued', $3, $4, $5, $6, $7)
		ON CONFLICT (mailbox) DO UPDATE SET token = excluded.token, state = excluded.state, org_id = excluded.org_id, user_id = excluded.user_id,
			kind = excluded.kind, source_endpoint_id = excluded.source_endpoint_id, target_endpoint_id = excluded.target_endpoint_id
		WHERE leases.state = 'free' RETURNING unsettled`
	// A user that failed shows it during its verify (turns 2 and 7) too.
	queueUser = `UPDATE users SET status = CASE WHEN status = 'Failed' AND turn IN (2, 7) THEN status ELSE 'Queued' END, next_run_at = NULL WHERE id = $1 AND next_run_at <= $2 AND NOT removing`
)

// admit takes the lease of c's target mailbox, where it is free.
func (a *admission) admit(ctx context.Context, g *group, c candidate) error {
	b := g.batch
	l := migration.Lease{
		UserID: c.id, Kind: g.kind, SourceEndpointID: b.source.id, TargetEndpointID: b.target.id, State: migration.LeaseQueued,
	}
	if err := a.tx.QueryRowContext(ctx, a.s.dialect.nextToken).Scan(&l.Token); err != nil {
		return fmt.Errorf("make a lease token: %w", err)
	}
	err := a.tx.QueryRowContext(ctx, takeLease, mailboxKey(a.hosts[b.target.id], c.login), l.Token, b.org.id, c.id, string(g.kind), b.source.id, b.target.id).
		Scan(&l.Unsettled)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // somebody else holds the mailbox
	}
	if err != nil {
		return fmt.Errorf("take lease: %w", err)
	}
	if n, err := execN(ctx, a.tx, queueUser, c.id, at(a.now)); err != nil || n == 0 {
		if err == nil { // stopped or removed since it was read
			_, err = a.tx.ExecContext(ctx, freeLease+` WHERE token = $1`, l.Token)
		}
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
		// Who ends a pass or adds users may be about to lower the bound: another time then.
		if alone, err := a.s.tryTakeBatch(ctx, a.tx, b.id); err != nil {
			return err
		} else if !alone {
			continue
		}
		_, err := a.tx.ExecContext(ctx, `UPDATE batches SET next_due_at = (`+earliestDue+`) WHERE id = $1`, b.id)
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
