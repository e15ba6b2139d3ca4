package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// AddEvent appends a line to the log. Its ID is given by the store.
func (s *Store) AddEvent(ctx context.Context, e migration.Event) error {
	return s.write(ctx, "add event", func(tx *sql.Tx) error { return addEvent(ctx, tx, e) })
}

func addEvent(ctx context.Context, tx *sql.Tx, e migration.Event) error {
	if e.Data == nil {
		e.Data = map[string]any{}
	}
	data, err := jsonText(e.Data)
	if err != nil {
		return fmt.Errorf("encode event %q: %w", e.Kind, err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO events (org_id, batch_id, user_id, kind, actor, at, data) VALUES (`+values(1, 7)+`)`,
		e.OrgID, e.BatchID, e.UserID, e.Kind, e.Actor, at(e.At), data)
	return err
}

const selectEvent = `SELECT id, org_id, batch_id, user_id, kind, actor, at, data FROM events`

const (
	eventsOfOrg   = selectEvent + ` WHERE org_id = $1 AND id > $2 AND id <= $4 ORDER BY id LIMIT $3`
	eventsOfBatch = selectEvent + ` WHERE org_id = $1 AND id > $2 AND id <= $4 AND batch_id = $5 AND batch_id <> 0 ORDER BY id LIMIT $3`
)

// EventsAfter returns the events of a batch, or with batchID 0 of the whole
// organisation, that follow afterID, oldest first.
func (s *Store) EventsAfter(ctx context.Context, orgID, batchID, afterID int64, limit int) ([]migration.Event, error) {
	upTo, err := s.eventsSettled(ctx)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	if batchID == 0 {
		return s.events(ctx, eventsOfOrg, orgID, afterID, limit, upTo)
	}
	return s.events(ctx, eventsOfBatch, orgID, afterID, limit, upTo, batchID)
}

// Audit returns what people did, newest first, before beforeID (0: from the end).
func (s *Store) Audit(ctx context.Context, orgID int64, beforeID int64, limit int) ([]migration.Event, error) {
	return s.events(ctx, selectEvent+` WHERE org_id = $1 AND actor <> '' AND (id < $2 OR $2 = 0) ORDER BY id DESC LIMIT $3`,
		orgID, beforeID, limit)
}

func (s *Store) events(ctx context.Context, query string, args ...any) ([]migration.Event, error) {
	return eventsIn(ctx, s.r, query, args...)
}

func eventsIn(ctx context.Context, q querier, query string, args ...any) ([]migration.Event, error) {
	var out []migration.Event
	err := each(ctx, q, func(rows *sql.Rows) error {
		var e migration.Event
		if err := rows.Scan(&e.ID, &e.OrgID, &e.BatchID, &e.UserID, &e.Kind, &e.Actor, timeInto{&e.At}, jsonInto{&e.Data}); err != nil {
			return err
		}
		out = append(out, e)
		return nil
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return out, nil
}
