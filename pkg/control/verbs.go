package control

import (
	"context"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// StartBatch starts a batch, or resumes it, and tries its failed users again.
func (c *Control) StartBatch(ctx context.Context, a Actor, org, name string) (Batch, error) {
	return c.act(ctx, a, org, name, "batch.started", func(b *migration.Batch) error {
		b.Stopped = false
		if b.StartedAt.IsZero() {
			b.StartedAt = c.now()
		}
		return nil
	}, func(b migration.Batch, now time.Time) (int, error) {
		n, err := c.store.StartUsers(ctx, b.ID, now)
		if err == nil && b.Completing {
			_, err = c.store.CompleteUsers(ctx, b.ID, now)
		}
		return n, err
	})
}

// StopBatch stops a batch: no pass begins any more, those under way end at their next
// window.
func (c *Control) StopBatch(ctx context.Context, a Actor, org, name string) (Batch, error) {
	b, err := c.enterBatch(ctx, a, org, name, migration.Operator)
	if err != nil {
		return Batch{}, err
	}
	if code(c.ended(ctx, b, 0, nil, "")) == migration.Conflict { // nothing of it runs, and a start would change nothing
		return c.look(ctx, b)
	}
	return c.act(ctx, a, org, name, "batch.stopped", func(b *migration.Batch) error {
		b.Stopped = true
		return nil
	}, func(b migration.Batch, _ time.Time) (int, error) { return c.store.StopUsers(ctx, b.ID) })
}

// SyncBatch makes all users due who wait for their next sync.
func (c *Control) SyncBatch(ctx context.Context, a Actor, org, name string) (Batch, error) {
	return c.act(ctx, a, org, name, "batch.syncRequested", runs, func(b migration.Batch, now time.Time) (int, error) {
		n, err := c.store.SyncUsersNow(ctx, b.ID, now)
		return n, c.ended(ctx, b, n, err, "no user of it is synced any more")
	})
}

// CompleteBatch asks for a last sync of every user, then no more; at a later time
// where at is not zero. One that is long past is a slip, and what it would do cannot be
// taken back.
func (c *Control) CompleteBatch(ctx context.Context, a Actor, org, name string, at time.Time) (Batch, error) {
	if !at.IsZero() && c.now().Sub(at) > time.Hour {
		return Batch{}, fault(migration.InvalidArgument, "at: %s is past; to complete the batch now, give no time", at.Format(time.RFC3339))
	}
	if at.After(c.now()) {
		return c.act(ctx, a, org, name, "batch.completionScheduled", func(b *migration.Batch) error {
			if b.Completing {
				return fault(migration.Conflict, "batch %q is being completed already", b.Name)
			}
			b.CompleteAt = at.UTC()
			return nil
		}, func(migration.Batch, time.Time) (int, error) { return 0, nil })
	}
	return c.act(ctx, a, org, name, "batch.completing", c.completing, func(b migration.Batch, now time.Time) (int, error) {
		return c.store.CompleteUsers(ctx, b.ID, now)
	})
}

func (c *Control) completing(b *migration.Batch) error {
	if b.Stopped {
		return fault(migration.Conflict, "batch %q is stopped: start it before it is completed", b.Name)
	}
	b.Completing, b.CompleteAt = true, time.Time{}
	if b.StartedAt.IsZero() {
		b.StartedAt = c.now()
	}
	return nil
}

// VerifyBatch asks for a comparison of both sides of every user that was synced; the
// receipts tell what it found.
func (c *Control) VerifyBatch(ctx context.Context, a Actor, org, name string) (Batch, error) {
	return c.act(ctx, a, org, name, "batch.verifyRequested", runs, func(b migration.Batch, now time.Time) (int, error) {
		n, err := c.store.VerifyUsers(ctx, b.ID, now)
		return n, c.ended(ctx, b, n, err, "nobody of it is logged in any more; its receipts tell what the verify after the last sync found (mailhaul report receipts)")
	})
}

// ended refuses what reached no user because all of them are completed: it would look
// like good news.
func (c *Control) ended(ctx context.Context, b migration.Batch, n int, err error, why string) error {
	if n > 0 || err != nil {
		return err
	}
	s, err := c.store.Summary(ctx, b.ID)
	if err != nil {
		return fmt.Errorf("summarise batch %q: %w", b.Name, err)
	}
	switch b.Status(s.Counts) {
	case migration.BatchCompleted, migration.BatchCompletedWithErrors:
		return fault(migration.Conflict, "batch %q is completed: %s", b.Name, why)
	}
	return nil
}

// runs refuses what only a started batch can do.
func runs(b *migration.Batch) error {
	switch {
	case b.StartedAt.IsZero():
		return fault(migration.Conflict, "batch %q has not been started", b.Name)
	case b.Stopped:
		return fault(migration.Conflict, "batch %q is stopped: start it", b.Name)
	}
	return nil
}

// act changes a batch, then its users, writes the event and kicks the dispatcher.
func (c *Control) act(ctx context.Context, a Actor, org, name, kind string,
	change func(*migration.Batch) error, users func(migration.Batch, time.Time) (int, error),
) (Batch, error) {
	b, err := c.changeBatch(ctx, a, org, name, change)
	if err != nil {
		return Batch{}, err
	}
	n, err := users(b, c.now())
	if err != nil {
		return Batch{}, fmt.Errorf("%s of %q: %w", kind, name, err)
	}
	c.audit(ctx, a, migration.Event{OrgID: b.OrgID, BatchID: b.ID, Kind: kind, Data: map[string]any{"batch": name, "users": n}})
	c.kick()
	return c.look(ctx, b)
}

// Removal is how a batch is removed.
type Removal struct {
	Force   bool   // whatever was synced, without further questions
	Confirm string // the batch's name, where Force is not set
	Keep    bool   // keep a final report
}

// RemoveBatch stops a batch's work and deletes it with its secrets and records. gone
// is whether nothing of it is left; otherwise a pass is still ending.
func (c *Control) RemoveBatch(ctx context.Context, a Actor, org, name string, r Removal) (gone bool, err error) {
	b, err := c.enterBatch(ctx, a, org, name, migration.Operator)
	if err != nil {
		return false, err
	}
	if !b.Removing {
		if err := c.mayRemove(ctx, b, r); err != nil {
			return false, err
		}
	}
	if r.Keep {
		if err := c.keepReport(ctx, b); err != nil {
			return false, err
		}
	}
	if !b.Removing {
		if b, err = c.changeBatch(ctx, a, org, name, func(b *migration.Batch) error { b.Removing = true; return nil }); err != nil {
			return false, err
		}
		// Before the rows go, so that the event still finds its batch.
		c.audit(ctx, a, migration.Event{
			OrgID: b.OrgID, BatchID: b.ID, Kind: "batch.removed",
			Data: map[string]any{"batch": name, "force": r.Force, "reportKept": r.Keep},
		})
	}
	if _, err := c.store.RemoveUsers(ctx, b.ID); err != nil {
		return false, fmt.Errorf("remove the users of %q: %w", name, err)
	}
	if _, err := c.store.PurgeRemoved(ctx); err != nil {
		return false, fmt.Errorf("purge what was removed: %w", err)
	}
	c.rates.forget(b.ID)
	c.kick()
	_, err = c.store.BatchByName(ctx, b.OrgID, name)
	if code(err) == migration.NotFound {
		return true, nil
	}
	return false, err
}

func (c *Control) mayRemove(ctx context.Context, b migration.Batch, r Removal) error {
	if r.Force {
		return nil
	}
	s, err := c.store.Summary(ctx, b.ID)
	if err != nil {
		return fmt.Errorf("summarise batch %q: %w", b.Name, err)
	}
	if s.Counts.Synced > 0 {
		return fault(migration.NotReadyToRemove, "batch %q has synced %d mailboxes, and whether their mail goes to the target by now "+
			"(MX, last sync, new mail at the source) is not checked yet; --force removes it all the same", b.Name, s.Counts.Synced)
	}
	if r.Confirm != b.Name {
		return fault(migration.NeedsDecision, "removing batch %q deletes its %d users with their passwords: confirm with its name (--confirm), "+
			"or do without (--force)", b.Name, s.Counts.Total())
	}
	return nil
}
