package control

import (
	"context"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// mayChange refuses to let a batch that has synced mailboxes begin to delete, unless it is
// confirmed by its name: at the next sync what was deleted at the source since then goes
// at the target too.
func (c *Control) mayChange(ctx context.Context, a Actor, org, name, confirm string, change func(*migration.BatchSpec)) error {
	b, err := c.enterBatch(ctx, a, org, name, migration.Operator)
	if err != nil {
		return err
	}
	after := b.BatchSpec
	change(&after)
	if after.Deletions != migration.Mirror || b.Deletions == migration.Mirror || confirm == b.Name {
		return nil
	}
	s, err := c.store.Summary(ctx, b.ID)
	if err != nil {
		return fmt.Errorf("summarise batch %q: %w", name, err)
	}
	if s.Counts.Synced == 0 {
		return nil
	}
	return fault(migration.NeedsDecision, "with deletions mirror the next sync deletes at the target what is gone at the source by now, "+
		"for each of %d synced mailboxes: confirm with the batch's name (--confirm %s)", s.Counts.Synced, b.Name)
}

// ConfirmDeletions lets a user's next sync delete up to n copies although the source looks
// wrong. n is the number that the latest sync asks about.
func (c *Control) ConfirmDeletions(ctx context.Context, a Actor, org, batch, email string, n int64) (migration.User, error) {
	more := map[string]any{"deletions": n}
	return c.changeUserWith(ctx, a, org, batch, email, "user.deletionsConfirmed", more, func(b migration.Batch, u *migration.User, now time.Time) error {
		if err := runs(&b); err != nil {
			return err
		}
		switch {
		case b.Deletions != migration.Mirror:
			return fault(migration.Conflict, "batch %q deletes nothing: its deletions are %s", b.Name, b.Deletions)
		case busy(u.UserState) || u.DeletionsAsked == 0:
			return fault(migration.Conflict, "no deletions of %s await a confirmation", u.EmailAddress)
		case n != u.DeletionsAsked:
			return fault(migration.NeedsDecision, "%d copies of %s would be deleted: confirm with that number (--confirm %[1]d)", u.DeletionsAsked, u.EmailAddress)
		}
		u.DeletionsAsked, u.DeletionsConfirmed = 0, n
		return retry(u, now)
	})
}
