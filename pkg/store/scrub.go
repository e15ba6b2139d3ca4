package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// scrubLater notes that something was deleted that must not stay in the database's
// files. The note is in the database because it may be another process that scrubs.
func (s *Store) scrubLater(ctx context.Context, tx *sql.Tx) error {
	if s.dialect.scrub == nil {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO chores (name, due) VALUES ('scrub', 1) ON CONFLICT (name) DO UPDATE SET due = chores.due + 1`)
	return err
}

// scrub does what scrubLater noted. Where the files cannot be scrubbed just now the
// note stays.
func (s *Store) scrub(ctx context.Context) error {
	if s.dialect.scrub == nil {
		return nil
	}
	var due int64
	err := s.r.QueryRowContext(ctx, `SELECT due FROM chores WHERE name = 'scrub'`).Scan(&due)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("scrub database: %w", err)
	}
	done, err := s.dialect.scrub(ctx, s.w)
	if err != nil {
		return fmt.Errorf("scrub database: %w", err)
	}
	if !done {
		return nil
	}
	return s.write(ctx, "scrub database", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM chores WHERE name = 'scrub' AND due = $1`, due)
		return err
	})
}

// scrubSQLite empties the write-ahead log, which keeps deleted rows as they were;
// in the database's file secure_delete has overwritten them. Readers may be in the
// way: it waits for them a second, not longer, because nobody can write meanwhile.
func scrubSQLite(ctx context.Context, w *sql.DB) (done bool, err error) {
	conn, err := w.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, `PRAGMA busy_timeout = 1000`); err != nil {
		return false, err
	}
	var busy, log, checkpointed int
	err = conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &checkpointed)
	if _, rerr := conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA busy_timeout = 10000`); rerr != nil {
		err = errors.Join(err, rerr)
	}
	return err == nil && busy == 0, err
}
