package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// importer writes users of one batch in one transaction, as many a statement as the
// dialect likes.
type importer struct {
	s     *Store
	tx    *sql.Tx
	batch *migration.Batch
	now   time.Time
	due   time.Time // earliest of all users written; zero: none is due
}

const (
	insertedColumns = `org_id, ` + nameColumns + `, ` + stateColumns
	countedColumns  = totalColumns + `, running, ` + lastColumns
)

// insertOne inserts a user who has delivered nothing.
var insertOne = insertUsers([]bool{false})

// insertUsers inserts users that are not there yet. Most have delivered nothing: their
// counts are no arguments.
func insertUsers(counted []bool) string {
	const columns = insertedColumns + `, ` + countedColumns
	given, all := columnCount(insertedColumns), columnCount(columns)
	noCounts := strings.Repeat(`, 0`, columnCount(totalColumns)) + `, FALSE` + strings.Repeat(`, 0`, columnCount(lastColumns))
	var q strings.Builder
	q.WriteString(`INSERT INTO users (` + columns + `) VALUES `)
	arg := 1
	for i, c := range counted {
		if i > 0 {
			q.WriteString(`, `)
		}
		n, rest := given, noCounts
		if c {
			n, rest = all, ``
		}
		q.WriteString(`(` + values(arg, n) + rest + `)`)
		arg += n
	}
	q.WriteString(` ON CONFLICT DO NOTHING`)
	return q.String()
}

// add inserts users, and reports which were not there yet.
func (im *importer) add(ctx context.Context, users []migration.User) (added []bool, err error) {
	for part := range slices.Chunk(users, im.s.dialect.rowsAtOnce) {
		fresh, err := im.addPart(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("add users from %q on: %w", part[0].EmailAddress, err)
		}
		failpoint.Reach(failpoint.ImportPart)
		for i := range part {
			k := addressKey(part[i].EmailAddress)
			added = append(added, fresh[k])
			if fresh[k] {
				delete(fresh, k) // its second row was not inserted
				im.dueAt(part[i].NextRunAt)
			}
		}
	}
	return added, nil
}

// addPart inserts users with one statement, and returns the keys of those it did.
func (im *importer) addPart(ctx context.Context, users []migration.User) (map[string]bool, error) {
	counted := make([]bool, len(users))
	args := make([]any, 0, len(users)*columnCount(insertedColumns))
	for i := range users {
		u := &users[i]
		u.BatchID = im.batch.ID
		if u.Status == "" {
			im.begin(&u.UserState)
		}
		args = append(args, im.batch.OrgID)
		args = append(append(args, nameArgs(u)...), stateArgs(&u.UserState)...)
		if counted[i] = u.Running || u.Totals != (migration.Totals{}) || u.Last != (migration.Tally{}); counted[i] {
			args = numbers(append(numbers(args, totalFields(&u.Totals)), u.Running), lastFields(&u.Last))
		}
	}
	if len(users) == 1 {
		return im.addOne(ctx, &users[0], counted[0], args)
	}
	rows, err := im.tx.QueryContext(ctx, insertUsers(counted)+` RETURNING email_key`, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	fresh := make(map[string]bool, len(users))
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, err
		}
		fresh[key] = true
	}
	return fresh, rows.Err()
}

// addOne inserts one user. It asks for no row back: for that SQLite would write a journal of
// the statement's own, each time.
func (im *importer) addOne(ctx context.Context, u *migration.User, counted bool, args []any) (map[string]bool, error) {
	query := insertOne
	if counted {
		query = insertUsers([]bool{true})
	}
	res, err := im.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	n, err := res.RowsAffected()
	return map[string]bool{addressKey(u.EmailAddress): n == 1}, err
}

// inChunks gathers users until there are enough for one statement. A chunk is good
// until the next one.
func inChunks(users iter.Seq2[migration.User, error]) iter.Seq2[[]migration.User, error] {
	return func(yield func([]migration.User, error) bool) {
		chunk := make([]migration.User, 0, askAtOnce)
		for u, err := range users {
			if err != nil {
				yield(nil, err)
				return
			}
			if chunk = append(chunk, u); len(chunk) == askAtOnce {
				if !yield(chunk, nil) {
					return
				}
				chunk = chunk[:0]
			}
		}
		if len(chunk) > 0 {
			yield(chunk, nil)
		}
	}
}

// begin gives a user the state in which its batch takes it up.
func (im *importer) begin(st *migration.UserState) {
	st.Status, st.NextRunAt, st.PreflightFrom = migration.UserCreated, time.Time{}, ""
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
	if err := im.s.refuseDuplicates(ctx, im.tx, im.batch); err != nil {
		return err
	}
	err := im.s.dueFrom(ctx, im.tx, im.batch.ID, im.due)
	failpoint.Reach(failpoint.ImportPart)
	return err
}

// manyNew is from how many new users on the planner is told.
const manyNew = 1000

// analyze comes after an import that brought n users. It is made; where this fails
// the server does the same by itself within a minute.
func (s *Store) analyze(ctx context.Context, n int) {
	if s.dialect.analyze != "" && n >= manyNew {
		_, _ = s.w.ExecContext(ctx, s.dialect.analyze)
	}
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
		im := &importer{s: s, tx: tx, batch: &made, now: s.now()}
		for chunk, err := range inChunks(users) {
			if err != nil {
				return err
			}
			added, err := im.add(ctx, chunk)
			if err != nil {
				return err
			}
			if i := slices.Index(added, false); i >= 0 {
				return conflict("user %q is there twice", chunk[i].EmailAddress)
			}
			n += len(chunk)
		}
		return im.finish(ctx)
	})
	if err != nil {
		return 0, err
	}
	s.analyze(ctx, n)
	*b = made
	return n, nil
}

// AddUsers adds users to a batch, in one transaction. A user of the same address is
// kept with its records; names and secrets that are given and differ are updated,
// empty ones leave what is there. A new secret lets a user in NeedsCredentials go on.
func (s *Store) AddUsers(ctx context.Context, b *migration.Batch, users iter.Seq2[migration.User, error]) (migration.AddResult, error) {
	res, err := s.addUsers(ctx, b, users, nil)
	if err != nil {
		return migration.AddResult{}, err
	}
	s.analyze(ctx, res.Created)
	return res, nil
}

// TryUsers answers what AddUsers would, and keeps nothing.
func (s *Store) TryUsers(ctx context.Context, b *migration.Batch, users iter.Seq2[migration.User, error]) (migration.AddResult, error) {
	res, err := s.addUsers(ctx, b, users, errTried)
	if !errors.Is(err, errTried) {
		return migration.AddResult{}, err
	}
	return res, nil
}

// errTried takes a transaction back that was only tried.
var errTried = errors.New("only tried")

// addUsers ends its transaction with the error end, which takes it back, unless that
// is nil.
func (s *Store) addUsers(ctx context.Context, b *migration.Batch, users iter.Seq2[migration.User, error], end error) (res migration.AddResult, err error) {
	err = s.writeStream(ctx, "add users", func(tx *sql.Tx) error {
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
		im := &importer{s: s, tx: tx, batch: &now, now: s.now()}
		if err := im.addOrUpdateAll(ctx, users, &res); err != nil {
			return err
		}
		if res.Updated > 0 {
			if err := s.scrubLater(ctx, tx); err != nil {
				return err
			}
		}
		if err := im.finish(ctx); err != nil {
			return err
		}
		return end
	})
	return res, err
}

// addOrUpdateAll adds the users that are not there, and carries the others over to
// the users of their addresses.
func (im *importer) addOrUpdateAll(ctx context.Context, users iter.Seq2[migration.User, error], res *migration.AddResult) error {
	for chunk, err := range inChunks(users) {
		if err != nil {
			return err
		}
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
		fresh := make([]migration.User, 0, len(chunk))
		for _, u := range chunk {
			if there[addressKey(u.EmailAddress)] == nil {
				fresh = append(fresh, u)
			}
		}
		added, err := im.add(ctx, fresh)
		if err != nil {
			return err
		}
		for i := range chunk {
			old := there[addressKey(chunk[i].EmailAddress)]
			if old == nil {
				isNew := added[0]
				if added = added[1:]; isNew {
					res.Created++
					continue
				}
			}
			if err := im.update(ctx, &chunk[i], old, res); err != nil {
				return fmt.Errorf("add user %q: %w", chunk[i].EmailAddress, err)
			}
		}
	}
	return nil
}

// update carries u over to the user of its address; there is that user as it was a
// moment ago, or nil where a row before this one has added it.
func (im *importer) update(ctx context.Context, u, there *migration.User, res *migration.AddResult) error {
	if there != nil && !there.Removing {
		if changed, _ := carry(there, u); !changed {
			res.Unchanged++
			return nil
		}
	}
	// Read again: a row of the same address may have come before it.
	old, err := oneUser(ctx, im.tx, "such user", ` WHERE batch_id = $1 AND email_key = $2`+im.s.dialect.forUpdate, im.batch.ID, addressKey(u.EmailAddress))
	if err != nil {
		return err
	}
	if old.Removing {
		return conflict("user %q is still being removed", u.EmailAddress)
	}
	changed, secret := carry(&old, u)
	if !changed {
		res.Unchanged++
		return nil
	}
	res.Updated++
	if secret {
		old.LoggedInAt = time.Time{} // those worked, not these
	}
	if secret && old.WantsCredentials() {
		im.begin(&old.UserState)
		old.Forgive()
		im.dueAt(old.NextRunAt)
	}
	args := append(append([]any{old.ID}, nameArgs(&old)...), stateArgs(&old.UserState)...)
	_, err = im.tx.ExecContext(ctx, `UPDATE users SET `+assign(nameColumns+`, `+stateColumns, 2)+` WHERE id = $1`, args...)
	return err
}

// carry carries what is given in u over to old.
func carry(old, u *migration.User) (changed, secret bool) {
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
