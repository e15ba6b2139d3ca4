package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// importer writes users of one batch in one transaction, with statements prepared
// once.
type importer struct {
	s      *Store
	tx     *sql.Tx
	batch  *migration.Batch
	now    time.Time
	insert *sql.Stmt
	due    time.Time // earliest of all users written; zero: none is due
}

func (s *Store) newImporter(ctx context.Context, tx *sql.Tx, b *migration.Batch) (*importer, error) {
	columns := `org_id, ` + nameColumns + `, ` + stateColumns + `, ` + totalColumns + `, running, ` + lastColumns
	stmt, err := tx.PrepareContext(ctx, `INSERT INTO users (`+columns+`) VALUES (`+values(1, columnCount(columns))+`) ON CONFLICT DO NOTHING`)
	if err != nil {
		return nil, err
	}
	return &importer{s: s, tx: tx, batch: b, now: s.now(), insert: stmt}, nil
}

// add inserts u, and reports whether it was not there yet.
func (im *importer) add(ctx context.Context, u *migration.User) (bool, error) {
	u.BatchID = im.batch.ID
	if u.Status == "" {
		im.begin(&u.UserState)
	}
	args := make([]any, 0, 48)
	args = append(args, im.batch.OrgID)
	args = append(append(args, nameArgs(u)...), stateArgs(&u.UserState)...)
	args = numbers(append(numbers(args, totalFields(&u.Totals)), u.Running), lastFields(&u.Last))
	res, err := im.insert.ExecContext(ctx, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	if n > 0 {
		im.dueAt(u.NextRunAt)
	}
	return n > 0, err
}

// begin gives a user the state in which its batch takes it up.
func (im *importer) begin(st *migration.UserState) {
	st.Status, st.NextRunAt = migration.UserCreated, time.Time{}
	if !im.batch.StartedAt.IsZero() && !im.batch.Stopped && !im.batch.Completing {
		st.Status, st.NextRunAt = migration.UserQueued, im.now
	}
}

func (im *importer) dueAt(t time.Time) {
	if !t.IsZero() && (im.due.IsZero() || t.Before(im.due)) {
		im.due = t
	}
}

// finish ends the import: the batch is due when its users are, and none of them may
// be in another live batch.
func (im *importer) finish(ctx context.Context) error {
	if err := im.insert.Close(); err != nil {
		return err
	}
	if err := im.s.refuseDuplicates(ctx, im.tx, im.batch); err != nil {
		return err
	}
	return im.s.dueFrom(ctx, im.tx, im.batch.ID, im.due)
}

// CreateBatch stores a batch and its users in one transaction, streamed, and returns
// how many users. It fills b's IDs and CreatedAt. An error of the sequence leaves
// nothing behind. The sequence must not write to the store.
func (s *Store) CreateBatch(ctx context.Context, b *migration.Batch, users iter.Seq2[migration.User, error]) (n int, err error) {
	made := *b
	err = s.writeStream(ctx, "create batch", func(tx *sql.Tx) error {
		if err := s.insertBatch(ctx, tx, &made); err != nil {
			return err
		}
		im, err := s.newImporter(ctx, tx, &made)
		if err != nil {
			return err
		}
		for u, err := range users {
			if err != nil {
				return err
			}
			added, err := im.add(ctx, &u)
			if err != nil {
				return fmt.Errorf("add user %q: %w", u.EmailAddress, err)
			}
			if !added {
				return conflict("user %q is there twice", u.EmailAddress)
			}
			n++
		}
		return im.finish(ctx)
	})
	if err != nil {
		return 0, err
	}
	*b = made
	return n, nil
}

// AddUsers adds users to a batch, in one transaction. A user of the same address is
// kept with its records; names and secrets that are given and differ are updated,
// empty ones leave what is there. A new secret lets a user in NeedsCredentials go on.
func (s *Store) AddUsers(ctx context.Context, b *migration.Batch, users iter.Seq2[migration.User, error]) (migration.AddResult, error) {
	var res migration.AddResult
	err := s.writeStream(ctx, "add users", func(tx *sql.Tx) error {
		if err := s.takeImport(ctx, tx, b.ID); err != nil {
			return err
		}
		if err := s.shareBatch(ctx, tx, b.ID); err != nil {
			return err
		}
		now, err := scanBatch(tx.QueryRowContext(ctx, selectBatch+` WHERE b.org_id = $1 AND b.id = $2`, b.OrgID, b.ID))
		if errors.Is(err, sql.ErrNoRows) || err == nil && now.Removing {
			return notFound("there is no batch %q", b.Name)
		}
		if err != nil {
			return err
		}
		im, err := s.newImporter(ctx, tx, &now)
		if err != nil {
			return err
		}
		if err := im.addOrUpdateAll(ctx, users, &res); err != nil {
			return err
		}
		if res.Updated > 0 {
			if err := s.scrubLater(ctx, tx); err != nil {
				return err
			}
		}
		return im.finish(ctx)
	})
	if err != nil {
		return migration.AddResult{}, err
	}
	return res, nil
}

// addOrUpdateAll takes the users some hundreds at a time, because to ask for each of
// them is most of the time of a file whose rows are all there.
func (im *importer) addOrUpdateAll(ctx context.Context, users iter.Seq2[migration.User, error], res *migration.AddResult) error {
	chunk := make([]migration.User, 0, askAtOnce)
	flush := func() error {
		emails := make([]string, len(chunk))
		for i, u := range chunk {
			emails[i] = u.EmailAddress
		}
		list, err := usersByEmail(ctx, im.tx, im.batch.ID, emails)
		if err != nil {
			return err
		}
		there := make(map[string]*migration.User, len(list))
		for i := range list {
			there[addressKey(list[i].EmailAddress)] = &list[i]
		}
		for i := range chunk {
			if err := im.addOrUpdate(ctx, &chunk[i], there[addressKey(chunk[i].EmailAddress)], res); err != nil {
				return fmt.Errorf("add user %q: %w", chunk[i].EmailAddress, err)
			}
		}
		chunk = chunk[:0]
		return nil
	}
	for u, err := range users {
		if err != nil {
			return err
		}
		if chunk = append(chunk, u); len(chunk) == askAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// addOrUpdate adds u, or carries it over to the user of its address; there is that
// user as it was a moment ago, or nil.
func (im *importer) addOrUpdate(ctx context.Context, u, there *migration.User, res *migration.AddResult) error {
	if there == nil {
		added, err := im.add(ctx, u)
		if err != nil {
			return err
		}
		if added {
			res.Created++
			return nil
		}
	} else if changed, _ := update(there, u); !changed && !there.Removing {
		res.Unchanged++
		return nil
	}
	// Read again: a row of the same address may have come before it.
	old, err := oneUser(ctx, im.tx, "such user", ` WHERE batch_id = $1 AND email_key = $2`+im.s.dialect.forUpdate, im.batch.ID, addressKey(u.EmailAddress))
	if err != nil {
		return err
	}
	if old.Removing {
		return conflict("user %q is still being removed", u.EmailAddress)
	}
	changed, secret := update(&old, u)
	if !changed {
		res.Unchanged++
		return nil
	}
	res.Updated++
	if secret && old.Status == migration.UserNeedsCredentials {
		im.begin(&old.UserState)
		old.Code, old.Reason, old.Attempts, old.FailingSince = "", "", 0, time.Time{}
		im.dueAt(old.NextRunAt)
	}
	args := append(append([]any{old.ID}, nameArgs(&old)...), stateArgs(&old.UserState)...)
	_, err = im.tx.ExecContext(ctx, `UPDATE users SET `+assign(nameColumns+`, `+stateColumns, 2)+` WHERE id = $1`, args...)
	return err
}

// update carries what is given in u over to old.
func update(old, u *migration.User) (changed, secret bool) {
	for _, f := range []struct{ to, from *string }{
		{&old.UserName, &u.UserName}, {&old.TargetUserName, &u.TargetUserName}, {&old.UserRoot, &u.UserRoot}, {&old.TargetRoot, &u.TargetRoot},
	} {
		if *f.from != "" && *f.from != *f.to {
			*f.to, changed = *f.from, true
		}
	}
	for _, f := range []struct{ to, from *[]byte }{{&old.SourceSecret, &u.SourceSecret}, {&old.TargetSecret, &u.TargetSecret}} {
		if *f.from != nil && !bytes.Equal(*f.from, *f.to) {
			*f.to, changed, secret = *f.from, true, true
		}
	}
	return changed, secret
}
