package store

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"time"
)

const (
	writeTries = 5
	// writePause lies before the second try, four times as long before each further one.
	writePause = 5 * time.Millisecond
	// longestPoll is the longest time between two looks of SQLite's busy handler.
	longestPoll = 100 * time.Millisecond
)

// write runs do in one transaction; an error of do rolls it back. A transaction that
// the database chose to fail, or that lost its connection before its end, is tried
// again a few times within half a second or so: do may run more than once, and must
// leave nothing behind that a later run does not replace. A server that is gone for
// longer is an error, for the caller to try again. do must not use the store itself:
// there may be only one connection that writes.
func (s *Store) write(ctx context.Context, what string, do func(tx *sql.Tx) error) error {
	return s.tryWrite(ctx, what, false, do)
}

// writeAgain is write for a do that, done twice, is done once: it is tried again also
// where the answer of its commit was lost.
func (s *Store) writeAgain(ctx context.Context, what string, do func(tx *sql.Tx) error) error {
	return s.tryWrite(ctx, what, true, do)
}

func (s *Store) tryWrite(ctx context.Context, what string, twiceIsOnce bool, do func(tx *sql.Tx) error) error {
	pause := writePause
	for try := 1; ; try++ {
		again, err := s.writeOnce(ctx, twiceIsOnce, do)
		if err == nil {
			return nil
		}
		if !again || try == writeTries || ctx.Err() != nil {
			return failed(what, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause *= 4
	}
}

// writeStream is write for a do that cannot be run again.
func (s *Store) writeStream(ctx context.Context, what string, do func(tx *sql.Tx) error) error {
	if _, err := s.writeOnce(ctx, false, do); err != nil {
		return failed(what, err)
	}
	return nil
}

// giveWay lets others write between two pieces of a long work, of which one began at a
// time. On SQLite another process that waits asks for its turn every tenth of a second
// only: it needs a gap.
func (s *Store) giveWay(ctx context.Context, began time.Time) error {
	if s.dialect.manyWriters {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(min(time.Since(began), longestPoll)):
		return nil
	}
}

func (s *Store) writeOnce(ctx context.Context, twiceIsOnce bool, do func(tx *sql.Tx) error) (again bool, err error) {
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return s.dialect.passes(err, false), err
	}
	defer func() { _ = tx.Rollback() }() // nothing after Commit
	if err := do(tx); err != nil {
		return s.dialect.passes(err, false), err
	}
	if err := tx.Commit(); err != nil {
		return s.dialect.passes(err, !twiceIsOnce), err
	}
	return false, nil
}
