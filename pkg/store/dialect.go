package store

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"
)

// dialect is what differs from one database to another.
type dialect struct {
	name       string
	goose      goose.Dialect
	migrations string // directory
	// manyWriters says that transactions that write run beside each other, each
	// statement seeing what was committed before it. Where they do not, whoever writes
	// is alone, and all that follows and locks.go is for nothing.
	manyWriters bool
	// These end a SELECT and lock its rows until the transaction's end: forUpdate
	// against whoever changes or locks them, forDelete also against whoever refers to
	// them, forReference against their deletion.
	forUpdate, forDelete, forReference string
	// nextToken draws a lease token.
	nextToken string
	// oneMoment makes all reads of a transaction those of one moment.
	oneMoment sql.TxOptions
	// prepares says that to prepare a statement in a transaction is worth its while:
	// drivers over a network keep prepared ones by themselves.
	prepares bool
	// rowsAtOnce is how many rows an import puts into one statement: many where each is
	// a round trip.
	rowsAtOnce int
	// analyze lets the planner know of users that an import has brought: until then it
	// takes a new table for small. "" where plans do not rest on counts.
	analyze string
	// passes tells whether err went away with its transaction, so that the whole of it
	// may be tried again. committing: it came from the commit, which may have happened.
	passes func(err error, committing bool) bool
	// scrub removes the remains of deleted rows from the database's files, and tells
	// whether it could; nil where there is no need.
	scrub func(ctx context.Context, w *sql.DB) (done bool, err error)
}

// statement is a query that is run several times in a transaction.
type statement interface {
	QueryContext(ctx context.Context, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, args ...any) *sql.Row
	ExecContext(ctx context.Context, args ...any) (sql.Result, error)
	Close() error
}

func (d *dialect) prepare(ctx context.Context, tx *sql.Tx, query string) (statement, error) {
	if !d.prepares {
		return unprepared{tx, query}, nil
	}
	return tx.PrepareContext(ctx, query)
}

type unprepared struct {
	tx    *sql.Tx
	query string
}

func (u unprepared) QueryContext(ctx context.Context, args ...any) (*sql.Rows, error) {
	return u.tx.QueryContext(ctx, u.query, args...)
}

func (u unprepared) QueryRowContext(ctx context.Context, args ...any) *sql.Row {
	return u.tx.QueryRowContext(ctx, u.query, args...)
}

func (u unprepared) ExecContext(ctx context.Context, args ...any) (sql.Result, error) {
	return u.tx.ExecContext(ctx, u.query, args...)
}

func (u unprepared) Close() error { return nil }
