package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Of what happens inside, some is told outside, each thing once to each address:
//
//  1. NoteBatches finds batches whose first or last sync has ended for every user, and
//     writes the event and the mark that it was written in one transaction.
//  2. QueueDeliveries reads events in their order and makes a row of each for every
//     address, in one transaction with how far it has read.
//  3. ClaimDelivery gives a row to one process for a time. The row carries the number
//     of attempts: of two who saw the same number one gets it.
//  4. EndDelivery writes what came of it.
//
// A row whose claimer died falls due again when its time is over.

const (
	// unsynced are the statuses in which a user may still get its first sync. Most users
	// of a large batch are in none of them: the look that finds candidates reads few.
	unsynced = `('Created', 'Validating', 'Queued', 'Syncing', 'Waiting', 'Completing')`

	batchesInStep = `SELECT id FROM batches b WHERE started_at IS NOT NULL AND NOT removing AND NOT completing AND NOT stopped AND NOT told_synced
		AND NOT EXISTS (SELECT 1 FROM users u WHERE u.batch_id = b.id AND u.status IN ` + unsynced + ` AND u.first_synced_at IS NULL)`
	batchesDone = `SELECT id FROM batches b WHERE completing AND NOT removing AND NOT told_completed
		AND NOT EXISTS (SELECT 1 FROM users u WHERE u.batch_id = b.id AND u.status NOT IN ('Completed', 'CompletedWithWarnings', 'Failed'))`
)

// NoteBatches adds an event for each batch that is in step for the first time, or
// completed, and returns how many.
func (s *Store) NoteBatches(ctx context.Context) (n int, err error) {
	for _, look := range []struct {
		query, mark, kind string
		is                []migration.BatchStatus
	}{
		{batchesInStep, "told_synced", migration.EventBatchSynced, []migration.BatchStatus{migration.BatchSynced, migration.BatchSyncedWithErrors, migration.BatchFailed}},
		{batchesDone, "told_completed", migration.EventBatchCompleted, []migration.BatchStatus{migration.BatchCompleted, migration.BatchCompletedWithErrors}},
	} {
		ids, err := s.ids(ctx, look.query)
		if err != nil {
			return n, err
		}
		for _, id := range ids {
			noted, err := s.noteBatch(ctx, id, look.mark, look.kind, look.is)
			if err != nil {
				return n, err
			}
			n += noted
		}
	}
	return n, nil
}

func (s *Store) noteBatch(ctx context.Context, id int64, mark, kind string, is []migration.BatchStatus) (noted int, err error) {
	b, err := s.BatchByID(ctx, id)
	if f := migration.AsFault(err); f != nil && f.Code == migration.NotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	sum, err := s.Summary(ctx, id)
	if err != nil {
		return 0, err
	}
	status := b.Status(sum.Counts)
	meant := false
	for _, x := range is {
		meant = meant || status == x
	}
	if !meant || sum.Counts.Total() == 0 {
		return 0, nil
	}
	users := map[string]int{}
	for status, n := range sum.Counts.ByStatus {
		users[string(status)] = n
	}
	m := sum.Messages
	event := migration.Event{OrgID: b.OrgID, BatchID: id, Kind: kind, At: s.now(), Data: map[string]any{
		"status": string(status), "users": users, "copied": m.Copied, "adopted": m.Adopted, "skipped": m.Skipped, "bytes": m.Bytes,
	}}
	err = s.write(ctx, "note batch", func(tx *sql.Tx) error {
		noted = 0
		n, err := execN(ctx, tx, `UPDATE batches SET `+mark+` = TRUE WHERE id = $1 AND NOT `+mark, id)
		if err != nil || n == 0 {
			return err // another process was first
		}
		noted = 1
		return addEvent(ctx, tx, event)
	})
	return noted, err
}

// QueueDeliveries makes the deliveries of at most limit events that follow those of
// the call before, and returns how many events it has read. Without mail there is
// nobody to send any.
func (s *Store) QueueDeliveries(ctx context.Context, mail bool, limit int) (read int, err error) {
	upTo, err := s.eventsSettled(ctx)
	if err != nil {
		return 0, fmt.Errorf("read events: %w", err)
	}
	const after = selectEvent + ` WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3`
	var last int64
	if err := s.r.QueryRowContext(ctx, `SELECT event_id FROM notified`).Scan(&last); err != nil {
		return 0, fmt.Errorf("read which events were told: %w", err)
	}
	if list, err := s.events(ctx, after, last, upTo, 1); err != nil || len(list) == 0 {
		return 0, err
	}
	err = s.write(ctx, "queue deliveries", func(tx *sql.Tx) error {
		read = 0
		if err := tx.QueryRowContext(ctx, `SELECT event_id FROM notified`+s.dialect.forUpdate).Scan(&last); err != nil {
			return err
		}
		list, err := eventsIn(ctx, tx, after, last, upTo, limit)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, e := range list {
			if err := s.queueDelivery(ctx, tx, e, mail); err != nil {
				return fmt.Errorf("event %d: %w", e.ID, err)
			}
		}
		read = len(list)
		_, err = tx.ExecContext(ctx, `UPDATE notified SET event_id = $1`, list[read-1].ID)
		return err
	})
	return read, err
}

func (s *Store) queueDelivery(ctx context.Context, tx *sql.Tx, e migration.Event, mail bool) error {
	mailed, called := migration.Told(e.Kind)
	if !mailed && !called {
		return nil
	}
	notice := migration.Notice{Type: e.Kind, Timestamp: e.At}
	var notify []string
	var owner string
	err := tx.QueryRowContext(ctx, `SELECT o.name, b.name, b.notify, COALESCE((SELECT t.email FROM tokens t WHERE t.id = b.created_by), '')
		FROM batches b JOIN orgs o ON o.id = b.org_id WHERE b.id = $1`, e.BatchID).Scan(&notice.Data.Org, &notice.Data.Batch, listInto{&notify}, &owner)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // removed meanwhile, with its users
	}
	if err != nil {
		return err
	}
	fill(&notice.Data, e.Data)
	body, err := jsonText(notice)
	if err != nil {
		return err
	}
	const insert = `INSERT INTO deliveries (org_id, batch_id, event_id, webhook_id, address, kind, body, created_at, due_at) `
	if called {
		if _, err := tx.ExecContext(ctx, insert+`SELECT $1, $2, $3, id, '', $4, $5, $6, $6 FROM webhooks WHERE org_id = $1 ON CONFLICT DO NOTHING`,
			e.OrgID, e.BatchID, e.ID, e.Kind, body, at(s.now())); err != nil {
			return err
		}
	}
	if !mailed || !mail {
		return nil
	}
	for _, address := range append(notify, owner) {
		if address == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, insert+`VALUES ($1, $2, $3, 0, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING`,
			e.OrgID, e.BatchID, e.ID, address, e.Kind, body, at(s.now())); err != nil {
			return err
		}
	}
	return nil
}

// fill takes what an event tells.
func fill(d *migration.NoticeData, data map[string]any) {
	text := func(name string) string { v, _ := data[name].(string); return v }
	count := func(name string) int64 { v, _ := data[name].(float64); return int64(v) }
	d.Status, d.EmailAddress, d.Code, d.Reason = text("status"), text("emailAddress"), text("code"), text("reason")
	d.Remedy = migration.Code(d.Code).Remedy()
	d.Copied, d.Adopted, d.Skipped, d.Bytes = count("copied"), count("adopted"), count("skipped"), count("bytes")
	if users, ok := data["users"].(map[string]any); ok {
		d.Users = map[string]int{}
		for status, n := range users {
			if n, ok := n.(float64); ok {
				d.Users[status] = int(n)
			}
		}
	}
}

// DueDeliveries returns deliveries that are due, those that wait longest first; mail
// only where it is asked for.
func (s *Store) DueDeliveries(ctx context.Context, now time.Time, mail bool, limit int) ([]migration.Delivery, error) {
	return s.deliveries(ctx, selectDelivery+` WHERE due_at <= $1 AND ($2 OR webhook_id <> 0) ORDER BY due_at, id LIMIT $3`, at(now), mail, limit)
}

// ClaimDelivery counts an attempt at d and keeps others off until a time; false where
// another process was first.
func (s *Store) ClaimDelivery(ctx context.Context, d *migration.Delivery, until time.Time) (mine bool, err error) {
	err = s.write(ctx, "claim delivery", func(tx *sql.Tx) error {
		n, err := execN(ctx, tx, `UPDATE deliveries SET attempts = attempts + 1, due_at = $3 WHERE id = $1 AND attempts = $2 AND due_at IS NOT NULL`,
			d.ID, d.Attempts, at(until))
		mine = n == 1
		return err
	})
	if mine && err == nil {
		d.Attempts++
	}
	return mine && err == nil, err
}

// EndDelivery writes what came of the attempt that d tells of: DueAt is when it is
// tried again, zero for not. Of a batch that is gone nothing is kept that has ended.
func (s *Store) EndDelivery(ctx context.Context, d migration.Delivery) error {
	return s.writeAgain(ctx, "end delivery", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET due_at = $3, delivered = $4, ended_at = $5, answer = $6 WHERE id = $1 AND attempts = $2`,
			d.ID, d.Attempts, at(d.DueAt), d.Delivered, at(d.EndedAt), plain(d.Answer))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM deliveries WHERE id = $1 AND due_at IS NULL
			AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.id = deliveries.batch_id)`, d.ID)
		return err
	})
}

// PurgeDeliveries deletes what is older than a time, also mail that nobody came to send.
func (s *Store) PurgeDeliveries(ctx context.Context, before time.Time) error {
	return s.write(ctx, "purge deliveries", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM deliveries WHERE created_at < $1`, at(before))
		return err
	})
}
