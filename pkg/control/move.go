package control

import (
	"context"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// MoveUser moves a user to another batch between the same two endpoints, with all that is
// known of its messages: nothing is copied again. There it takes part as that batch does.
func (c *Control) MoveUser(ctx context.Context, a Actor, org, batch, email, to string) (migration.User, error) {
	from, u, err := c.enterUser(ctx, a, org, batch, email, migration.Operator)
	if err != nil {
		return migration.User{}, err
	}
	into, err := c.enterBatch(ctx, a, org, to, migration.Operator)
	if err != nil {
		return migration.User{}, err
	}
	if err := mayJoin(from, into); err != nil {
		return migration.User{}, err
	}
	if err := c.notMovedBack(ctx, from, email); err != nil {
		return migration.User{}, err
	}
	u, err = c.store.ChangeUser(ctx, u.ID, func(u *migration.User) error {
		switch {
		case u.BatchID != from.ID:
			return fault(migration.Conflict, "%s was moved or removed meanwhile", email)
		case u.Removing || from.Removing:
			return fault(migration.Conflict, "%s is being removed", email)
		case completed(u) || u.Completing:
			return fault(migration.Conflict, "%s is %s: it stays where it is", email, u.Status)
		}
		u.BatchID = into.ID
		join(u, &into, c.now())
		return nil
	})
	if err != nil {
		return migration.User{}, fmt.Errorf("move %s to %q: %w", email, to, err)
	}
	for _, b := range []migration.Batch{from, into} { // who follows either batch sees it
		e := userEvent(b, u, "user.moved")
		e.Data["from"], e.Data["to"] = from.Name, into.Name
		c.audit(ctx, a, e)
	}
	c.kick()
	err = c.resume(ctx, &into, &u)
	return u, err
}

// mayJoin tells whether what is known of a user of from is of use in into.
func mayJoin(from, into migration.Batch) error {
	switch {
	case from.ID == into.ID:
		return fault(migration.InvalidArgument, "the user is in batch %q", into.Name)
	case from.Type != into.Type || from.SourceEndpointID != into.SourceEndpointID || from.TargetEndpointID != into.TargetEndpointID:
		return fault(migration.Conflict, "batch %q is from %s to %s, batch %q from %s to %s: a user is moved between batches of the same endpoints only",
			from.Name, from.SourceEndpoint, from.TargetEndpoint, into.Name, into.SourceEndpoint, into.TargetEndpoint)
	}
	return notEnding(into)
}

// join gives a user that no pass holds the state it has in batch b: it waits, goes on or
// rests as the batch does. What an operator has to mend first stays as it is.
func join(u *migration.User, b *migration.Batch, now time.Time) {
	u.Stopping = false
	u.EndPreflight()
	switch {
	case u.Status == migration.UserFailed || u.Status == migration.UserNeedsCredentials:
		if runs(b) != nil {
			u.NextRunAt = time.Time{}
		}
	case runs(b) != nil:
		u.Status, u.NextRunAt = newcomer(b, now).Status, time.Time{}
	case u.Status == migration.UserCreated || u.Status == migration.UserStopped:
		due(u, now)
	}
}
