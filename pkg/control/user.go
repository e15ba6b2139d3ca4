package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// busy reports whether a pass of the user is under way, or about to be: its end moves
// the user on, not an operator.
func busy(s migration.UserState) bool {
	switch s.Status {
	case migration.UserSyncing, migration.UserIncrementalSyncing, migration.UserValidating:
		return true
	case migration.UserCompleting:
		return s.NextRunAt.IsZero()
	}
	return false
}

// Users lists a batch's users by address.
func (c *Control) Users(ctx context.Context, a Actor, org, batch string, f migration.UserFilter, after string, limit int) ([]migration.User, error) {
	b, err := c.enterBatch(ctx, a, org, batch, migration.Viewer)
	if err != nil {
		return nil, err
	}
	if f.Status, err = spelled("status", f.Status, migration.UserStatuses); err != nil {
		return nil, err
	}
	if f.Code, err = spelled("code", f.Code, migration.Codes()); err != nil {
		return nil, err
	}
	list, err := c.store.ListUsers(ctx, b.ID, f, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the users of %q: %w", batch, err)
	}
	waiting := make([]*migration.User, len(list))
	for i := range list {
		waiting[i] = &list[i]
	}
	return list, c.resume(ctx, &b, waiting...)
}

// resume tells when users of a batch who wait go on.
func (c *Control) resume(ctx context.Context, b *migration.Batch, users ...*migration.User) error {
	users = slices.DeleteFunc(users, func(u *migration.User) bool { return u.Status != migration.UserWaiting })
	if len(users) == 0 {
		return nil
	}
	source, err := c.store.EndpointByID(ctx, b.SourceEndpointID)
	if err != nil {
		return fmt.Errorf("read the source endpoint: %w", err)
	}
	target, err := c.store.EndpointByID(ctx, b.TargetEndpointID)
	if err != nil {
		return fmt.Errorf("read the target endpoint: %w", err)
	}
	for _, u := range users {
		u.Resumes = u.ResumesAt(&source, &target, c.now())
	}
	return nil
}

// spelled returns the word that was meant, whatever its case; "" is any. One that there
// is not is refused: it would list nobody, which looks like good news.
func spelled[W ~string](what string, word W, known []W) (W, error) {
	i := slices.IndexFunc(known, func(k W) bool { return strings.EqualFold(string(k), string(word)) })
	switch {
	case word == "":
		return "", nil
	case i >= 0:
		return known[i], nil
	}
	var list []string
	for _, k := range known {
		list = append(list, string(k))
	}
	return "", fault(migration.InvalidArgument, "there is no %s %q; there are: %s", what, word, strings.Join(list, ", "))
}

// User finds one user.
func (c *Control) User(ctx context.Context, a Actor, org, batch, email string) (migration.User, error) {
	b, u, err := c.enterUser(ctx, a, org, batch, email, migration.Viewer)
	if err == nil {
		err = c.resume(ctx, &b, &u)
	}
	return u, err
}

func (c *Control) enterUser(ctx context.Context, a Actor, org, batch, email string, need migration.Role) (migration.Batch, migration.User, error) {
	b, err := c.enterBatch(ctx, a, org, batch, need)
	if err != nil {
		return b, migration.User{}, err
	}
	u, err := c.store.UserByEmail(ctx, b.ID, email)
	return b, u, missing(err, "user", email)
}

// changeUser runs one change of one user with all that goes with it.
func (c *Control) changeUser(ctx context.Context, a Actor, org, batch, email, kind string, change func(migration.Batch, *migration.User, time.Time) error) (migration.User, error) {
	return c.changeUserWith(ctx, a, org, batch, email, kind, nil, change)
}

// changeUserWith is changeUser whose event tells more.
func (c *Control) changeUserWith(ctx context.Context, a Actor, org, batch, email, kind string, more map[string]any,
	change func(migration.Batch, *migration.User, time.Time) error,
) (migration.User, error) {
	b, u, err := c.enterUser(ctx, a, org, batch, email, migration.Operator)
	if err != nil {
		return migration.User{}, err
	}
	if b.Removing || u.Removing {
		return migration.User{}, fault(migration.Conflict, "%s is being removed", email)
	}
	u, err = c.store.ChangeUser(ctx, u.ID, func(u *migration.User) error { return change(b, u, c.now()) })
	if err != nil {
		return migration.User{}, fmt.Errorf("%s %s: %w", kind, email, err)
	}
	e := userEvent(b, u, kind)
	maps.Copy(e.Data, more)
	c.audit(ctx, a, e)
	c.kick()
	err = c.resume(ctx, &b, &u)
	return u, err
}

func userEvent(b migration.Batch, u migration.User, kind string) migration.Event {
	return migration.Event{
		OrgID: b.OrgID, BatchID: b.ID, UserID: u.ID, Kind: kind,
		Data: map[string]any{"batch": b.Name, "emailAddress": u.EmailAddress},
	}
}

// RetryUser tries a user again now, whatever it failed of.
func (c *Control) RetryUser(ctx context.Context, a Actor, org, batch, email string) (migration.User, error) {
	return c.changeUser(ctx, a, org, batch, email, "user.retried", func(b migration.Batch, u *migration.User, now time.Time) error {
		if err := runs(&b); err != nil {
			return err
		}
		if err := retry(u, now); err != nil {
			return err
		}
		u.Again = true
		return nil
	})
}

func completed(u *migration.User) bool {
	return u.Status == migration.UserCompleted || u.Status == migration.UserCompletedWithWarnings
}

func retry(u *migration.User, now time.Time) error {
	if completed(u) {
		return fault(migration.Conflict, "%s is completed", u.EmailAddress)
	}
	if busy(u.UserState) {
		u.Stopping = false // it goes on
		return nil
	}
	due(u, now)
	return nil
}

// due makes a user due now with a clean record of faults.
func due(u *migration.User, now time.Time) {
	if u.Status != migration.UserQueued || !u.NextRunAt.IsZero() { // else it is admitted already
		u.NextRunAt = now
	}
	u.Status = migration.UserQueued
	if u.Completing {
		u.Status = migration.UserCompleting
	}
	u.Forgive()
	u.Stopping, u.PreflightFrom = false, ""
}

// StopUser stops one user; a pass under way ends at its next window.
func (c *Control) StopUser(ctx context.Context, a Actor, org, batch, email string) (migration.User, error) {
	b, u, err := c.enterUser(ctx, a, org, batch, email, migration.Operator)
	if err != nil {
		return migration.User{}, err
	}
	if b.Removing || u.Removing {
		return migration.User{}, fault(migration.Conflict, "%s is being removed", email)
	}
	if u, err = c.store.StopUser(ctx, u.ID); err != nil {
		return migration.User{}, fmt.Errorf("stop %s: %w", email, err)
	}
	if completed(&u) {
		return migration.User{}, fault(migration.Conflict, "%s is completed", u.EmailAddress)
	}
	c.audit(ctx, a, userEvent(b, u, "user.stopped"))
	c.kick()
	return u, nil
}

// CompleteUser asks for a last sync of one user, then no more.
func (c *Control) CompleteUser(ctx context.Context, a Actor, org, batch, email string) (migration.User, error) {
	return c.changeUser(ctx, a, org, batch, email, "user.completing", func(b migration.Batch, u *migration.User, now time.Time) error {
		if err := runs(&b); err != nil {
			return err
		}
		switch u.Status {
		case migration.UserCompleted, migration.UserCompletedWithWarnings:
			return nil
		case migration.UserFailed, migration.UserNeedsCredentials, migration.UserStopped:
			return fault(migration.Conflict, "%s is %s: mend and retry it first", u.EmailAddress, u.Status)
		}
		u.Completing = true
		if !busy(u.UserState) {
			due(u, now)
		}
		return nil
	})
}

// ResetUser forgets what is known of a user's messages: the next pass recognises what
// is at the target already.
func (c *Control) ResetUser(ctx context.Context, a Actor, org, batch, email string) (migration.User, error) {
	b, u, err := c.enterUser(ctx, a, org, batch, email, migration.Operator)
	if err != nil {
		return migration.User{}, err
	}
	if completed(&u) { // nothing would recognise it again, and its counts and receipt are the proof of the move
		return migration.User{}, fault(migration.Conflict, "%s is completed: what is known of it stays", u.EmailAddress)
	}
	if err := c.store.ResetUser(ctx, u.ID); err != nil {
		return migration.User{}, fmt.Errorf("reset %s: %w", email, err)
	}
	c.audit(ctx, a, userEvent(b, u, "user.reset"))
	if u, err = c.store.UserByID(ctx, u.ID); err != nil {
		return migration.User{}, fmt.Errorf("find user %s: %w", email, err)
	}
	err = c.resume(ctx, &b, &u)
	return u, err
}

// RemoveUser takes a user out of its batch. gone is whether nothing of it is left;
// otherwise its pass is still ending.
func (c *Control) RemoveUser(ctx context.Context, a Actor, org, batch, email string) (gone bool, err error) {
	b, u, err := c.enterUser(ctx, a, org, batch, email, migration.Operator)
	if err != nil {
		return false, err
	}
	c.audit(ctx, a, userEvent(b, u, "user.removed"))
	if err := c.store.RemoveUser(ctx, u.ID); err != nil {
		return false, fmt.Errorf("remove %s: %w", email, err)
	}
	if _, err := c.store.PurgeRemoved(ctx); err != nil {
		return false, fmt.Errorf("purge what was removed: %w", err)
	}
	c.kick()
	_, err = c.store.UserByID(ctx, u.ID)
	if code(err) == migration.NotFound {
		return true, nil
	}
	return false, err
}

// UserCredentials replace what a user logs in with; empty fields leave it as it is.
type UserCredentials struct {
	UserName, TargetUserName string
	Password, TargetPassword migration.Secret
}

// SetCredentials gives a user new credentials; one that wants them (WantsCredentials) goes
// on by itself.
func (c *Control) SetCredentials(ctx context.Context, a Actor, org, batch, email string, with UserCredentials) (migration.User, error) {
	if with == (UserCredentials{}) {
		return migration.User{}, fault(migration.InvalidArgument, "no credentials are given")
	}
	for what, s := range map[string]string{
		"userName": with.UserName, "targetUserName": with.TargetUserName,
		"password": with.Password.Reveal(), "targetPassword": with.TargetPassword.Reveal(),
	} {
		if err := checkLogin(what, s); err != nil {
			return migration.User{}, err
		}
	}
	return c.changeUser(ctx, a, org, batch, email, "user.credentialsSet", func(b migration.Batch, u *migration.User, now time.Time) error {
		if completed(u) { // they were erased, and nobody would erase these
			return fault(migration.Conflict, "%s is completed: nobody logs in for it any more; to move it back, reverse its batch and set them there", u.EmailAddress)
		}
		if err := c.sealUser(u, with.Password, with.TargetPassword); err != nil {
			return err
		}
		u.LoggedInAt = time.Time{} // those worked, not these
		if with.UserName != "" {
			u.UserName = with.UserName
		}
		if with.TargetUserName != "" {
			u.TargetUserName = with.TargetUserName
		}
		if !u.WantsCredentials() {
			return nil
		}
		if runs(&b) != nil { // it goes on when its batch does
			u.Forgive()
			u.Status, u.NextRunAt, u.PreflightFrom = newcomer(&b, now).Status, time.Time{}, ""
			return nil
		}
		return retry(u, now)
	})
}
