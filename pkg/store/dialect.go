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
