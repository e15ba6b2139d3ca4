package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// makingDies is after what time without a piece a batch that is being made is given up:
// whoever made it is dead. The clocks of two hosts may differ by less; where they do not,
// a move back has to be asked for again.
const makingDies = 2 * time.Minute

const (
	madeOf = `SELECT name FROM batches WHERE removing AND made_of = $1 AND made_at IS NOT NULL`
	dead   = `SELECT id FROM batches WHERE removing AND made_at <= $1`
)

// beingMade refuses a batch that another one is being made of.
func beingMade(ctx context.Context, q querier, of int64) error {
	var name string
	err := q.QueryRowContext(ctx, madeOf, of).Scan(&name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look for a batch that is being made: %w", err)
	}
	return conflict("batch %q is being made to move its mailboxes back: try again in a minute or two", name)
}

// giveUp makes a batch that was being made one that is removed, if no piece came to it
// since.
func (s *Store) giveUp(ctx context.Context, id int64, since time.Time) error {
	return s.write(ctx, "give up a batch that was being made", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE batches SET made_at = NULL WHERE id = $1 AND made_at <= $2`, id, at(since))
		return err
	})
}

// giveUpDead gives up what nobody makes any more.
func (s *Store) giveUpDead(ctx context.Context) error {
	since := s.now().Add(-makingDies)
	ids, err := s.ids(ctx, dead, at(since))
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.giveUp(ctx, id, since); err != nil {
			return err
		}
	}
	return nil
}
