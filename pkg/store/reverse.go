package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	// turnedAtOnce is of how many users a piece is: some tenths of a second.
	turnedAtOnce = 200
	// recordsAtOnce is of how many users the records are in memory together.
	recordsAtOnce = 50
)

// making is a batch that is made of another one, which is moved back. That is the work of
// a minute where there are many users, and others have to write meanwhile. So:
//
//  1. The batch is stored as one that is being removed, which nothing begins anything
//     with, and is not shown. As long as it is there the other one is not started
//     (MovedBack), nor moved back once more.
//  2. Users with their records are written in pieces. Each looks whether the other batch
//     is as it was, without any pass.
//  3. With the last transaction it is there: whole, and looked through for duplicates.
//  4. After an error it is given up at once; after a death, once no piece has come for
//     makingDies. Then it is removed as others are (PurgeRemoved), and a piece that comes
//     all the same finds that.
type making struct {
	s       *Store
	of      int64
	batch   migration.Batch
	turn    func(migration.User) (migration.User, bool)
	records func([]migration.FolderRecord) ([]migration.FolderRecord, error)

	source sourceState
	after  string // address key of the user who was the last to be looked at
	due    time.Time
	users  int
}

// sourceState is what has to stay as it is.
type sourceState struct{ stopped, completing bool }

// ReverseBatch stores the batch b with users made by turn from those of the batch that
// is moved back, and what is known of their messages turned round by records: all of it
// or nothing. turn passes over a user with false; both may be asked more than once. While
// a pass of that batch is under way or awaited it is a conflict.
func (s *Store) ReverseBatch(ctx context.Context, b *migration.Batch, of int64, turn func(migration.User) (migration.User, bool),
	records func([]migration.FolderRecord) ([]migration.FolderRecord, error),
) (int, error) {
	m := &making{s: s, of: of, turn: turn, records: records}
	if err := m.begin(ctx, *b); err != nil {
		return 0, err
	}
	if err := m.finish(ctx); err != nil {
		// What this does not get done, the looks of all processes do.
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if s.giveUp(within, m.batch.ID, s.now()) == nil {
			_, _ = s.PurgeRemoved(within)
		}
		return 0, err
	}
	s.analyze(ctx, m.users)
	*b = m.batch
	return m.users, nil
}

// begin stores the batch without users.
func (m *making) begin(ctx context.Context, b migration.Batch) error {
	return m.s.write(ctx, "reverse batch", func(tx *sql.Tx) error {
		m.batch = b
		m.batch.Removing = true
		state, err := m.look(ctx, tx)
		if err != nil {
			return err
		}
		m.source = state
		if err := beingMade(ctx, tx, m.of); err != nil {
			return err
		}
		if err := m.s.insertBatch(ctx, tx, &m.batch); err != nil {
			return err
		}
		m.batch.Removing = false
		_, err = tx.ExecContext(ctx, `UPDATE batches SET made_of = $2, made_at = $3 WHERE id = $1`, m.batch.ID, m.of, at(m.s.now()))
		return err
	})
}

// finish writes all users, and makes the batch one as others are.
func (m *making) finish(ctx context.Context) error {
	for {
		began := time.Now()
		more, err := m.piece(ctx)
		if err != nil {
			return err
		}
		if !more {
			return m.end(ctx)
		}
		if err := m.s.giveWay(ctx, began); err != nil {
			return failed("reverse batch", err)
		}
	}
}

// passesOf looks at the leases, which are few, and not at the users.
const passesOf = `SELECT COUNT(*) FROM leases l WHERE l.state <> 'free' AND EXISTS (SELECT 1 FROM users u WHERE u.id = l.user_id AND u.batch_id = $1)`

// look tells the state of the batch that is moved back, of which no pass may be under way.
// It keeps passes and verbs off until tx ends.
func (m *making) look(ctx context.Context, tx *sql.Tx) (st sourceState, err error) {
	if err := m.s.takeBatch(ctx, tx, m.of); err != nil {
		return st, err
	}
	err = tx.QueryRowContext(ctx, `SELECT stopped, completing FROM batches WHERE id = $1 AND NOT removing`, m.of).Scan(&st.stopped, &st.completing)
	if errors.Is(err, sql.ErrNoRows) {
		return st, notFound("there is no such batch")
	}
	var passes int
	if err == nil {
		err = tx.QueryRowContext(ctx, passesOf, m.of).Scan(&passes)
	}
	if err == nil && passes > 0 {
		err = conflict("%d passes of it have not ended yet: try again in a minute", passes)
	}
	return st, err
}

// goOn sees to it that both batches are as they were, and tells that it is being made.
func (m *making) goOn(ctx context.Context, tx *sql.Tx) error {
	st, err := m.look(ctx, tx)
	if err == nil && st != m.source {
		err = conflict("it was started, stopped or completed meanwhile: try again")
	}
	if err != nil {
		return err
	}
	n, err := execN(ctx, tx, `UPDATE batches SET made_at = $2 WHERE id = $1 AND made_at IS NOT NULL`, m.batch.ID, at(m.s.now()))
	if err == nil && n == 0 {
		err = conflict("this took too long, and was given up: try again")
	}
	return err
}

// piece writes some users, and reports whether there are more.
func (m *making) piece(ctx context.Context) (more bool, err error) {
	var next making
	err = m.s.write(ctx, "reverse batch", func(tx *sql.Tx) error {
		next = *m
		if err := m.goOn(ctx, tx); err != nil {
			return err
		}
		users, err := usersAfter(ctx, tx, m.of, m.after)
		if more = len(users) > 0; err != nil || !more {
			return err
		}
		next.after = addressKey(users[len(users)-1].EmailAddress)
		im := &importer{s: m.s, tx: tx, batch: &next.batch, now: m.s.now(), due: m.due}
		n, err := im.turnRound(ctx, users, m.turn, m.records)
		next.users, next.due = m.users+n, im.due
		return err
	})
	if err == nil {
		*m = next
	}
	return more, err
}

// end makes the batch one as others are.
func (m *making) end(ctx context.Context) error {
	return m.s.write(ctx, "reverse batch", func(tx *sql.Tx) error {
		if err := m.goOn(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE batches SET removing = FALSE, made_of = NULL, made_at = NULL WHERE id = $1`, m.batch.ID); err != nil {
			return err
		}
		im := &importer{s: m.s, tx: tx, batch: &m.batch, now: m.s.now(), due: m.due}
		return im.finish(ctx)
	})
}

func usersAfter(ctx context.Context, tx *sql.Tx, batchID int64, after string) (users []migration.User, err error) {
	err = each(ctx, tx, func(rows *sql.Rows) error {
		u, err := scanUser(rows)
		users = append(users, u)
		return err
	}, listUsers, batchID, after, turnedAtOnce, "")
	return users, err
}

// turnRound adds the users that turn makes of these, with their records.
func (im *importer) turnRound(ctx context.Context, users []migration.User, turn func(migration.User) (migration.User, bool),
	records func([]migration.FolderRecord) ([]migration.FolderRecord, error),
) (int, error) {
	var turned []migration.User
	var emails []string
	old := map[string]int64{}
	for _, u := range users {
		if t, ok := turn(u); ok {
			turned, emails = append(turned, t), append(emails, t.EmailAddress)
			old[addressKey(t.EmailAddress)] = u.ID
		}
	}
	if len(turned) == 0 {
		return 0, nil
	}
	if _, err := im.add(ctx, turned); err != nil {
		return 0, err
	}
	there, err := usersByEmail(ctx, im.tx, im.batch.ID, emails)
	if err != nil {
		return 0, err
	}
	now := map[int64]int64{} // their IDs, by those of the users they are made of
	var before []int64
	for _, u := range there {
		id := old[addressKey(u.EmailAddress)]
		now[id] = u.ID
		before = append(before, id)
	}
	for part := range slices.Chunk(before, recordsAtOnce) {
		if err := im.turnRecords(ctx, part, now, records); err != nil {
			return 0, err
		}
	}
	return len(turned), nil
}

func (im *importer) turnRecords(ctx context.Context, before []int64, now map[int64]int64,
	records func([]migration.FolderRecord) ([]migration.FolderRecord, error),
) error {
	known, err := recordsOfAll(ctx, im.tx, before)
	if err != nil {
		return err
	}
	back := make(map[int64][]migration.FolderRecord, len(known))
	for id, of := range known {
		if back[now[id]], err = records(of); err != nil {
			return fmt.Errorf("turn the records of user %d round: %w", id, err)
		}
	}
	if err := insertRecords(ctx, im.tx, im.batch.OrgID, back, im.s.dialect.rowsAtOnce); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	return nil
}
