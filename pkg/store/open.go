package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const wantedURL = "sqlite:///abs/path.db or postgres://user:password@host:5432/database"

// Store is the database. It is safe for use by many goroutines.
type Store struct {
	w       *sql.DB // writes, each a transaction
	r       *sql.DB // reads
	dialect dialect
	now     func() time.Time
}

// Open opens the database that url names, sqlite:///abs/path.db or
// postgres://user:password@host:5432/database, and brings its schema up to date. The
// organisation "default" exists afterwards. A PostgreSQL server that is just starting
// is waited for.
func Open(ctx context.Context, url string) (*Store, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return nil, errors.New("open database: the URL has no scheme: want " + wantedURL)
	}
	s := &Store{now: time.Now}
	switch scheme {
	case "sqlite":
		if err := s.openSQLite(rest); err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
	case "postgres", "postgresql":
		if err := s.openPostgres(ctx, url); err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
	default:
		return nil, fmt.Errorf("open database: there is no kind %q: want %s", scheme+"://", wantedURL)
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
	return errors.Join(s.r.Close(), s.w.Close())
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
