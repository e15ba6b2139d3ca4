package control

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// ReverseBatch makes a batch in the other direction of one that is completed or stopped,
// for a move back: of every user that was synced, with what is known of its messages, so
// that only what is new is copied. It is not started. Whose logins are not known any more
// needs credentials first. name may be empty.
func (c *Control) ReverseBatch(ctx context.Context, a Actor, org, of, name string) (Batch, error) {
	from, err := c.enterBatch(ctx, a, org, of, migration.Operator)
	if err != nil {
		return Batch{}, err
	}
	name = cmp.Or(name, of[:min(len(of), 59)]+"-back")
	if err := checkName("batch", name); err != nil {
		return Batch{}, err
	}
	if err := c.mayReverse(ctx, from); err != nil {
		return Batch{}, err
	}
	spec := from.BatchSpec
	spec.SourceEndpoint, spec.TargetEndpoint = from.TargetEndpoint, from.SourceEndpoint
	spec.MapFolders = nil // what was begun goes back to where it came from, by its records
	spec.AutoStart, spec.StartAt, spec.CompleteAt = false, time.Time{}, time.Time{}
	spec.Deletions = migration.Keep // nobody has asked for deletions in this direction
	b := migration.Batch{OrgID: from.OrgID, Name: name, BatchSpec: spec, CreatedAt: c.now(), CreatedBy: a.TokenID}
	ends, err := c.ends(ctx, &b)
	if err != nil {
		return Batch{}, err
	}
	turn := func(u migration.User) (migration.User, bool) {
		if u.Removing || u.FirstSyncedAt.IsZero() || from.Completing && !completed(&u) {
			return u, false
		}
		return turned(u, ends), true
	}
	n, err := c.store.ReverseBatch(ctx, &b, from.ID, turn, mailsync.Reversed)
	if err != nil {
		return Batch{}, fmt.Errorf("reverse batch %q: %w", of, err)
	}
	c.audit(ctx, a, migration.Event{OrgID: b.OrgID, BatchID: b.ID, Kind: "batch.created", Data: map[string]any{"batch": b.Name, "users": n, "reverses": of}})
	c.audit(ctx, a, migration.Event{OrgID: b.OrgID, BatchID: from.ID, Kind: "batch.reversed", Data: map[string]any{"batch": of, "users": n, "by": b.Name}})
	return c.look(ctx, b)
}

// mayReverse refuses a batch that may still bring mail to where it is to be moved from.
func (c *Control) mayReverse(ctx context.Context, b migration.Batch) error {
	s, err := c.store.Summary(ctx, b.ID)
	if err != nil {
		return fmt.Errorf("summarise batch %q: %w", b.Name, err)
	}
	switch status := b.Status(s.Counts); {
	case status != migration.BatchStopped && status != migration.BatchCompleted && status != migration.BatchCompletedWithErrors:
		return fault(migration.Conflict, "batch %q is %s: complete it or stop it before its mailboxes are moved back", b.Name, status)
	case s.Counts.Synced == 0:
		return fault(migration.Conflict, "no mailbox of batch %q was ever synced: there is nothing to be moved back", b.Name)
	}
	return c.notMovedBack(ctx, b, "")
}

// notMovedBack refuses to move mailboxes that another batch moves back: the two would
// copy each other's copies.
func (c *Control) notMovedBack(ctx context.Context, b migration.Batch, email string) error {
	who, by, err := c.store.MovedBack(ctx, &b, email)
	switch {
	case err != nil || who == "":
		return err
	case by == "":
		return fault(migration.AlreadyBeingMoved, "%s is being moved by somebody else", who)
	}
	return fault(migration.DuplicateInOtherBatch, "batch %q moves %s the other way, and each would copy the other's copies: stop, complete or remove it first", by, who)
}

// turned is a user of the batch in the other direction, between ends. The address stays
// what it is known by.
func turned(u migration.User, e ends) migration.User {
	back := migration.User{
		OrgID: u.OrgID, EmailAddress: u.EmailAddress, UserName: cmp.Or(u.TargetUserName, u.EmailAddress), TargetUserName: cmp.Or(u.UserName, u.EmailAddress),
		UserRoot: u.TargetRoot, TargetRoot: u.UserRoot, SourceSecret: u.TargetSecret, TargetSecret: u.SourceSecret,
		UserState: migration.UserState{Status: migration.UserCreated},
	}
	source, target := len(back.SourceSecret) > 0 || e.source.HasAdmin(), len(back.TargetSecret) > 0 || e.target.HasAdmin()
	if !source || !target {
		back.Status, back.Code = migration.UserNeedsCredentials, migration.AuthFailed
		back.Reason = "the passwords were erased when the user was completed, and no administrator opens the mailbox"
	}
	return back
}
