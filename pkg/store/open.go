package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Store is the database. It is safe for use by many goroutines.
type Store struct {
	w       *sql.DB // writes, each a transaction
	r       *sql.DB // reads
	dialect dialect
	now     func() time.Time
}

// Open opens the database that url names, sqlite:///abs/path.db, and brings its
// schema up to date. The organisation "default" exists afterwards.
func Open(ctx context.Context, url string) (*Store, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return nil, fmt.Errorf("open database: the URL has no scheme: want sqlite:///abs/path.db")
	}
	s := &Store{now: time.Now}
	switch scheme {
	case "sqlite":
		if err := s.openSQLite(rest); err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
	default:
		return nil, fmt.Errorf("open database: %q is not supported by this version: want sqlite:///abs/path.db", scheme+"://")
	}
	if err := s.migrate(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	_, err := s.w.ExecContext(ctx, `INSERT INTO orgs (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
		migration.DefaultOrg, at(s.now()))
	if err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("make the default organisation: %w", err)
	}
	return s, nil
}

// Close ends all connections.
func (s *Store) Close() error {
	err := s.r.Close()
	if werr := s.w.Close(); werr != nil {
		err = werr
	}
	return err
}

// Ping reports whether the database answers. It does not wait for its turn to write,
// because a large import is no reason to call a process unready.
func (s *Store) Ping(ctx context.Context) error {
	var n int
	if err := s.r.QueryRowContext(ctx, `SELECT COUNT(*) FROM orgs`).Scan(&n); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
}

// querier is a transaction or a pool of connections.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// write runs do in one transaction; an error of do rolls it back. do must not use
// the store itself: there may be only one connection that writes.
func (s *Store) write(ctx context.Context, what string, do func(tx *sql.Tx) error) error {
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = tx.Rollback() }() // nothing after Commit
	if err := do(tx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// execN runs a statement and returns how many rows it changed.
func execN(ctx context.Context, q querier, query string, args ...any) (int, error) {
	res, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// each runs a query and calls scan for every row.
func each(ctx context.Context, q querier, scan func(rows *sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func notFound(format string, args ...any) *migration.Fault {
	return migration.NewFault(migration.NotFound, migration.ScopeUser, "", fmt.Sprintf(format, args...), nil)
}

func conflict(format string, args ...any) *migration.Fault {
	return migration.NewFault(migration.Conflict, migration.ScopeUser, "", fmt.Sprintf(format, args...), nil)
}
