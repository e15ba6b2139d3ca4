package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	// batchColumns are written by create and update alike.
	batchColumns = `type, source_endpoint_id, target_endpoint_id, auto_start, start_at, complete_at, exclude_folders, include_folders, map_folders,
		mail_since, mail_before, max_message_size, bad_item_limit,
		deletions, resync_interval, notify, newest_first, created_by, started_at, stopped, completing, removing`
	selectBatch = `SELECT b.id, b.org_id, b.name, b.created_at, se.name, te.name,
		b.type, b.source_endpoint_id, b.target_endpoint_id, b.auto_start, b.start_at, b.complete_at, b.exclude_folders, b.include_folders, b.map_folders,
		b.mail_since, b.mail_before, b.max_message_size, b.bad_item_limit,
		b.deletions, b.resync_interval, b.notify, b.newest_first, b.created_by, b.started_at, b.stopped, b.completing, b.removing
		FROM batches b JOIN endpoints se ON se.id = b.source_endpoint_id JOIN endpoints te ON te.id = b.target_endpoint_id`
	// whole leaves out batches that are being made: they are nobody's business.
	whole = ` AND b.made_of IS NULL`
)

func batchArgs(b *migration.Batch) []any {
	return []any{
		b.Type, b.SourceEndpointID, b.TargetEndpointID, b.AutoStart, at(b.StartAt), at(b.CompleteAt),
		listText(b.ExcludeFolders), listText(b.IncludeFolders), rulesText(b.MapFolders),
		at(b.MailSince), at(b.MailBefore), b.MaxMessageSize, b.BadItemLimit, b.Deletions, b.ResyncInterval.Microseconds(), listText(b.Notify),
		b.NewestFirst, b.CreatedBy, at(b.StartedAt), b.Stopped, b.Completing, b.Removing,
	}
}

func scanBatch(row interface{ Scan(...any) error }) (migration.Batch, error) {
	var b migration.Batch
	err := row.Scan(&b.ID, &b.OrgID, &b.Name, timeInto{&b.CreatedAt}, &b.SourceEndpoint, &b.TargetEndpoint,
		&b.Type, &b.SourceEndpointID, &b.TargetEndpointID, &b.AutoStart, timeInto{&b.StartAt}, timeInto{&b.CompleteAt},
		listInto{&b.ExcludeFolders}, listInto{&b.IncludeFolders}, rulesInto{&b.MapFolders},
		timeInto{&b.MailSince}, timeInto{&b.MailBefore}, &b.MaxMessageSize, &b.BadItemLimit, &b.Deletions, spanInto{&b.ResyncInterval}, listInto{&b.Notify},
		&b.NewestFirst, &b.CreatedBy, timeInto{&b.StartedAt}, &b.Stopped, &b.Completing, &b.Removing)
	return b, err
}

// insertBatch stores b and fills its ID and CreatedAt; endpoints given by name alone
// are looked up.
func (s *Store) insertBatch(ctx context.Context, tx *sql.Tx, b *migration.Batch) error {
	for _, side := range []struct {
		id   *int64
		name *string
	}{{&b.SourceEndpointID, &b.SourceEndpoint}, {&b.TargetEndpointID, &b.TargetEndpoint}} {
		if err := s.endpointOfBatch(ctx, tx, b.OrgID, side.id, side.name); err != nil {
			return err
		}
	}
	args := append([]any{b.OrgID, b.Name, at(s.now())}, batchArgs(b)...)
	err := tx.QueryRowContext(ctx, `INSERT INTO batches (org_id, name, created_at, `+batchColumns+`) VALUES (`+values(1, len(args))+`)
		ON CONFLICT DO NOTHING RETURNING id, created_at`, args...).Scan(&b.ID, timeInto{&b.CreatedAt})
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var removing, making bool
	if err := tx.QueryRowContext(ctx, `SELECT removing, made_at IS NOT NULL FROM batches WHERE org_id = $1 AND name = $2`, b.OrgID, b.Name).
		Scan(&removing, &making); err != nil {
		return err
	}
	switch {
	case making:
		return conflict("a batch named %q is being made", b.Name)
	case removing:
		return conflict("a batch named %q is still being removed", b.Name)
	}
	return conflict("a batch named %q exists already", b.Name)
}

func (s *Store) endpointOfBatch(ctx context.Context, tx *sql.Tx, orgID int64, id *int64, name *string) error {
	err := tx.QueryRowContext(ctx, `SELECT id, name FROM endpoints WHERE org_id = $1 AND (id = $2 OR name = $3 AND $2 = 0)`+s.dialect.forReference,
		orgID, *id, *name).Scan(id, name)
	if errors.Is(err, sql.ErrNoRows) {
		return notFound("there is no endpoint %q", *name)
	}
	return err
}

// BatchByName finds a batch of an organisation.
func (s *Store) BatchByName(ctx context.Context, orgID int64, name string) (migration.Batch, error) {
	b, err := scanBatch(s.r.QueryRowContext(ctx, selectBatch+` WHERE b.org_id = $1 AND b.name = $2`+whole, orgID, name))
	if errors.Is(err, sql.ErrNoRows) {
		return migration.Batch{}, notFound("there is no batch %q", name)
	}
	if err != nil {
		return migration.Batch{}, fmt.Errorf("find batch: %w", err)
	}
	return b, nil
}

// BatchByID finds a batch of any organisation.
func (s *Store) BatchByID(ctx context.Context, id int64) (migration.Batch, error) {
	b, err := scanBatch(s.r.QueryRowContext(ctx, selectBatch+` WHERE b.id = $1`+whole, id))
	if errors.Is(err, sql.ErrNoRows) {
		return migration.Batch{}, notFound("there is no such batch")
	}
	if err != nil {
		return migration.Batch{}, fmt.Errorf("find batch: %w", err)
	}
	return b, nil
}

// ListBatches returns an organisation's batches by name, those after a name.
func (s *Store) ListBatches(ctx context.Context, orgID int64, after string, limit int) ([]migration.Batch, error) {
	return s.batches(ctx, selectBatch+` WHERE b.org_id = $1 AND b.name > $2`+whole+` ORDER BY b.name LIMIT $3`, orgID, after, limit)
}

// ScheduledBatches returns the batches of all organisations whose hour has come: to
// start, or to complete.
func (s *Store) ScheduledBatches(ctx context.Context, now time.Time) ([]migration.Batch, error) {
	return s.batches(ctx, selectBatch+` WHERE NOT b.removing AND
		(b.start_at <= $1 AND b.started_at IS NULL AND NOT b.stopped OR b.complete_at <= $1 AND NOT b.completing) ORDER BY b.id`, at(now))
}

func (s *Store) batches(ctx context.Context, query string, args ...any) ([]migration.Batch, error) {
	var out []migration.Batch
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		b, err := scanBatch(rows)
		out = append(out, b)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	return out, nil
}

// UpdateBatch writes all of a batch but its name and its organisation.
func (s *Store) UpdateBatch(ctx context.Context, b *migration.Batch) error {
	return s.write(ctx, "change batch", func(tx *sql.Tx) error {
		args := append([]any{b.OrgID, b.ID}, batchArgs(b)...)
		n, err := execN(ctx, tx, `UPDATE batches SET `+assign(batchColumns, 3)+` WHERE org_id = $1 AND id = $2`, args...)
		if err == nil && n == 0 {
			return notFound("there is no batch %q", b.Name)
		}
		return err
	})
}

// ChangeBatch reads a batch, lets change alter it, and writes it, in one transaction:
// of two changes at once, by whatever processes, the second finds what the first did.
// An error of change leaves everything as it was. change must not use the store, and
// may be called more than once. One that starts the batch is refused where a mailbox is
// moved the other way, or while a batch is being made of this one.
func (s *Store) ChangeBatch(ctx context.Context, orgID, id int64, change func(*migration.Batch) error) (b migration.Batch, err error) {
	err = s.write(ctx, "change batch", func(tx *sql.Tx) error {
		rests := func(b *migration.Batch) bool { return b.Stopped || b.StartedAt.IsZero() }
		before, err := batchToChange(ctx, tx, orgID, id)
		if err != nil {
			return err
		}
		var e ends
		taken := rests(&before)
		if taken { // it may be about to be started
			if e, err = s.takeHostsOf(ctx, tx, &before); err != nil {
				return err
			}
		}
		// The row alone: its endpoints are not to be locked with it.
		if _, err := tx.ExecContext(ctx, `SELECT id FROM batches WHERE id = $1`+s.dialect.forUpdate, id); err != nil {
			return err
		}
		if before, err = batchToChange(ctx, tx, orgID, id); err != nil {
			return err
		}
		b = before
		if err := change(&b); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE batches SET `+assign(batchColumns, 2)+` WHERE id = $1`, append([]any{id}, batchArgs(&b)...)...); err != nil {
			return err
		}
		switch {
		case !rests(&before) || rests(&b):
			return nil
		case !taken:
			return conflict("batch %q was stopped in this moment: try again", b.Name)
		}
		if err := beingMade(ctx, tx, id); err != nil {
			return err
		}
		return s.refuseOpposite(ctx, tx, &b, e, "")
	})
	return b, err
}

func batchToChange(ctx context.Context, tx *sql.Tx, orgID, id int64) (migration.Batch, error) {
	b, err := scanBatch(tx.QueryRowContext(ctx, selectBatch+` WHERE b.org_id = $1 AND b.id = $2`, orgID, id))
	if errors.Is(err, sql.ErrNoRows) {
		return b, notFound("there is no such batch")
	}
	if err != nil {
		return b, fmt.Errorf("find batch: %w", err)
	}
	return b, nil
}

// dueFrom lowers the bound from which on a batch is looked at by Admit; a zero time
// leaves it. It comes after the users were changed: see locks.go.
func (s *Store) dueFrom(ctx context.Context, tx *sql.Tx, batchID int64, t time.Time) error {
	if t.IsZero() {
		return nil
	}
	if err := s.shareBatch(ctx, tx, batchID); err != nil {
		return err
	}
	return lowerBound(ctx, tx, batchID, t)
}

func lowerBound(ctx context.Context, tx *sql.Tx, batchID int64, t time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE batches SET next_due_at = $2 WHERE id = $1 AND (next_due_at IS NULL OR next_due_at > $2)`,
		batchID, at(t))
	return err
}
