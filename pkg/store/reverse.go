package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// ReverseBatch stores the batch b with users made by turn from those of the batch that
// is moved back, and what is known of their messages turned round by records, in one
// transaction: all of it or nothing. turn passes over a user with false. While a pass of
// that batch is under way or awaited it is a conflict.
func (s *Store) ReverseBatch(ctx context.Context, b *migration.Batch, of int64, turn func(migration.User) (migration.User, bool),
	records func([]migration.FolderRecord) ([]migration.FolderRecord, error),
) (n int, err error) {
	made := *b
	err = s.writeStream(ctx, "reverse batch", func(tx *sql.Tx) error {
		if err := s.takeBatch(ctx, tx, of); err != nil {
			return err
		}
		var passes int
		err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM users WHERE batch_id = $1 AND`+leased, of).Scan(&passes)
		if err == nil && passes > 0 {
			err = conflict("%d passes of it have not ended yet: try again in a minute", passes)
		}
		if err != nil {
			return err
		}
		if err := s.insertBatch(ctx, tx, &made); err != nil {
			return err
		}
		im := &importer{s: s, tx: tx, batch: &made, now: s.now()}
		for after := ""; ; {
			users, err := usersAfter(ctx, tx, of, after)
			if err != nil || len(users) == 0 {
				return errors.Join(err, im.finish(ctx))
			}
			after = addressKey(users[len(users)-1].EmailAddress)
			k, err := im.turnRound(ctx, users, turn, records)
			if err != nil {
				return err
			}
			n += k
		}
	})
	if err != nil {
		return 0, err
	}
	s.analyze(ctx, n)
	*b = made
	return n, nil
}

func usersAfter(ctx context.Context, tx *sql.Tx, batchID int64, after string) (users []migration.User, err error) {
	err = each(ctx, tx, func(rows *sql.Rows) error {
		u, err := scanUser(rows)
		users = append(users, u)
		return err
	}, listUsers, batchID, after, askAtOnce, "")
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

// recordsAtOnce is of how many users the records are in memory together.
const recordsAtOnce = 50

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
