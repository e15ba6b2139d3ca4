package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	nameColumns  = `batch_id, email, email_key, user_name, target_user_name, target_login, source_login, user_root, target_root, source_secret, target_secret`
	stateColumns = `status, code, reason, next_run_at, yielded, attempts, failing_since, takeovers,
		stopping, completing, removing, verify_due, deletions_asked, deletions_confirmed, first_synced_at, last_synced_at, logged_in_at, preflight_from, again`
	userColumns = `id, org_id, batch_id, email, user_name, target_user_name, user_root, target_root, source_secret, target_secret, ` +
		stateColumns + `, ` + totalColumns + `, running, ` + lastColumns + `, ` + trafficColumns
	trafficColumns = `traffic_day, traffic_bytes`
	selectUser     = `SELECT ` + userColumns + ` FROM users`
)

func nameArgs(u *migration.User) []any {
	return []any{
		u.BatchID, u.EmailAddress, addressKey(u.EmailAddress), u.UserName, u.TargetUserName, loginKey(u), turnedLoginKey(u), u.UserRoot, u.TargetRoot,
		sealed(u.SourceSecret), sealed(u.TargetSecret),
	}
}

func stateArgs(st *migration.UserState) []any {
	return []any{
		string(st.Status), string(st.Code), st.Reason, at(st.NextRunAt), st.Yielded, st.Attempts, at(st.FailingSince), st.Takeovers,
		st.Stopping, st.Completing, st.Removing, st.VerifyDue, st.DeletionsAsked, st.DeletionsConfirmed, at(st.FirstSyncedAt), at(st.LastSyncedAt), at(st.LoggedInAt),
		string(st.PreflightFrom), st.Again,
	}
}

func stateDest(st *migration.UserState) []any {
	return []any{
		&st.Status, &st.Code, &st.Reason,
		timeInto{&st.NextRunAt},
		&st.Yielded, &st.Attempts,
		timeInto{&st.FailingSince},
		&st.Takeovers,
		&st.Stopping, &st.Completing, &st.Removing, &st.VerifyDue, &st.DeletionsAsked, &st.DeletionsConfirmed,
		timeInto{&st.FirstSyncedAt},
		timeInto{&st.LastSyncedAt},
		timeInto{&st.LoggedInAt},
		&st.PreflightFrom, &st.Again,
	}
}

func scanUser(row interface{ Scan(...any) error }) (migration.User, error) {
	var u migration.User
	dest := append([]any{
		&u.ID, &u.OrgID, &u.BatchID, &u.EmailAddress, &u.UserName, &u.TargetUserName, &u.UserRoot, &u.TargetRoot,
		&u.SourceSecret, &u.TargetSecret,
	}, stateDest(&u.UserState)...)
	dest = append(into(dest, totalFields(&u.Totals)), &u.Running)
	dest = append(into(dest, lastFields(&u.Last)), &u.Traffic.Day, &u.Traffic.Bytes)
	err := row.Scan(dest...)
	return u, err
}

func oneUser(ctx context.Context, q querier, what, where string, args ...any) (migration.User, error) {
	u, err := scanUser(q.QueryRowContext(ctx, selectUser+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return migration.User{}, notFound("there is no %s", what)
	}
	if err != nil {
		return migration.User{}, fmt.Errorf("find user: %w", err)
	}
	return u, nil
}

// UserByEmail finds a user of a batch by its address, in any case.
func (s *Store) UserByEmail(ctx context.Context, batchID int64, email string) (migration.User, error) {
	return oneUser(ctx, s.r, fmt.Sprintf("user %q in this batch", email), ` WHERE batch_id = $1 AND email_key = $2`, batchID, addressKey(email))
}

// askAtOnce is how many addresses go into one statement: well below any database's
// limit on arguments.
const askAtOnce = 500

// UsersByEmail finds users of a batch by their addresses, in any case and any order;
// those that are not there are left out.
func (s *Store) UsersByEmail(ctx context.Context, batchID int64, emails []string) ([]migration.User, error) {
	return usersByEmail(ctx, s.r, batchID, emails)
}

func usersByEmail(ctx context.Context, q querier, batchID int64, emails []string) ([]migration.User, error) {
	var out []migration.User
	for part := range slices.Chunk(emails, askAtOnce) {
		args := []any{batchID}
		for _, e := range part {
			args = append(args, addressKey(e))
		}
		err := each(ctx, q, func(rows *sql.Rows) error {
			u, err := scanUser(rows)
			out = append(out, u)
			return err
		}, selectUser+` WHERE batch_id = $1 AND email_key IN (`+values(2, len(part))+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("find users: %w", err)
		}
	}
	return out, nil
}

// UserByID finds a user of any batch.
func (s *Store) UserByID(ctx context.Context, id int64) (migration.User, error) {
	return oneUser(ctx, s.r, "such user", ` WHERE id = $1`, id)
}

const (
	listUsers         = selectUser + ` WHERE batch_id = $1 AND email_key > $2 AND ($4 = '' OR code = $4) ORDER BY email_key LIMIT $3`
	listUsersOfStatus = selectUser + ` WHERE batch_id = $1 AND email_key > $2 AND ($4 = '' OR code = $4) AND status = $5 ORDER BY email_key LIMIT $3`
)

// ListUsers returns users of a batch by address, those after an address.
func (s *Store) ListUsers(ctx context.Context, batchID int64, f migration.UserFilter, after string, limit int) ([]migration.User, error) {
	var out []migration.User
	args := []any{batchID, addressKey(after), limit, string(f.Code)}
	query := listUsers
	if f.Status != "" {
		query, args = listUsersOfStatus, append(args, string(f.Status))
	}
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		u, err := scanUser(rows)
		out = append(out, u)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return out, nil
}

// ChangeUser reads a user, lets change alter its names, secrets, batch and state,
// and writes it, in one transaction. An error of change leaves everything as it was.
// change must not use the store.
func (s *Store) ChangeUser(ctx context.Context, id int64, change func(*migration.User) error) (migration.User, error) {
	var u migration.User
	err := s.write(ctx, "change user", func(tx *sql.Tx) error {
		err := s.shareBatchOfUser(ctx, tx, id)
		if err != nil {
			return err
		}
		if u, err = oneUser(ctx, tx, "such user", ` WHERE id = $1`+s.dialect.forUpdate, id); err != nil {
			return err
		}
		before := u
		if err := change(&u); err != nil {
			return err
		}
		u.ID, u.OrgID = before.ID, before.OrgID
		if u.BatchID != before.BatchID || addressKey(u.EmailAddress) != addressKey(before.EmailAddress) {
			if err := mayMove(ctx, tx, &u); err != nil {
				return err
			}
		}
		if u.BatchID != before.BatchID {
			if err := notLeased(ctx, tx, &u); err != nil {
				return err
			}
			for _, table := range []string{"items", "receipts", "preflights"} {
				if _, err := tx.ExecContext(ctx, `UPDATE `+table+` SET batch_id = $2 WHERE user_id = $1`, id, u.BatchID); err != nil {
					return err
				}
			}
		}
		args := append(append([]any{id}, nameArgs(&u)...), stateArgs(&u.UserState)...)
		if _, err := tx.ExecContext(ctx, `UPDATE users SET `+assign(nameColumns+`, `+stateColumns, 2)+` WHERE id = $1`, args...); err != nil {
			return err
		}
		if u.BatchID != before.BatchID {
			if err := s.mayRunIn(ctx, tx, &u); err != nil {
				return err
			}
		}
		if !bytes.Equal(u.SourceSecret, before.SourceSecret) || !bytes.Equal(u.TargetSecret, before.TargetSecret) {
			if err := s.scrubLater(ctx, tx); err != nil {
				return err
			}
		}
		return s.dueFrom(ctx, tx, u.BatchID, u.NextRunAt)
	})
	if err != nil {
		return migration.User{}, err
	}
	return u, nil
}

// notLeased refuses what cannot be done while a pass holds or awaits a user's lease.
func notLeased(ctx context.Context, tx *sql.Tx, u *migration.User) error {
	var leased int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM leases WHERE user_id = $1`, u.ID).Scan(&leased)
	if err == nil && leased > 0 {
		return conflict("a pass of %q runs: stop the user first", u.EmailAddress)
	}
	return err
}

// mayMove checks that u's batch is of its organisation and has no other user of
// that address.
func mayMove(ctx context.Context, tx *sql.Tx, u *migration.User) error {
	var name string
	err := tx.QueryRowContext(ctx, `SELECT name FROM batches WHERE id = $1 AND org_id = $2 AND NOT removing`, u.BatchID, u.OrgID).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return notFound("there is no such batch")
	}
	if err != nil {
		return err
	}
	var other int
	err = tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM users WHERE batch_id = $1 AND email_key = $2 AND id <> $3`,
		u.BatchID, addressKey(u.EmailAddress), u.ID).Scan(&other)
	if err == nil && other > 0 {
		return conflict("batch %q has a user %q already", name, u.EmailAddress)
	}
	return err
}

// ResetUser forgets what was delivered for a user, so that the next pass adopts it
// anew: records, items, the counts over all passes, what verify and preflight found. While a
// pass holds or awaits its lease it is a conflict.
func (s *Store) ResetUser(ctx context.Context, id int64) error {
	return s.write(ctx, "reset user", func(tx *sql.Tx) error {
		u, err := oneUser(ctx, tx, "such user", ` WHERE id = $1`+s.dialect.forUpdate, id)
		if err != nil {
			return err
		}
		if err := notLeased(ctx, tx, &u); err != nil {
			return err
		}
		for _, table := range []string{"records", "items", "receipts", "preflights"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE user_id = $1`, id); err != nil {
				return err
			}
		}
		var none migration.User
		args := numbers(append(numbers([]any{id}, totalFields(&none.Totals)), false), lastFields(&none.Last))
		_, err = tx.ExecContext(ctx, `UPDATE users SET `+assign(totalColumns+`, running, `+lastColumns, 2)+` WHERE id = $1`, args...)
		return err
	})
}

// EraseSecrets forgets a user's sealed credentials for good. Finish does the same for
// a user that is completed.
func (s *Store) EraseSecrets(ctx context.Context, userID int64) error {
	return s.write(ctx, "erase secrets", func(tx *sql.Tx) error { return s.eraseSecrets(ctx, tx, userID) })
}

func (s *Store) eraseSecrets(ctx context.Context, tx *sql.Tx, userID int64) error {
	n, err := execN(ctx, tx, `UPDATE users SET source_secret = NULL, target_secret = NULL
		WHERE id = $1 AND (source_secret IS NOT NULL OR target_secret IS NOT NULL)`, userID)
	if err != nil || n == 0 {
		return err
	}
	return s.scrubLater(ctx, tx)
}
