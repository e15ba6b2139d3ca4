package control

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// scheduleEvery is how often Run looks for batches whose time has come.
const scheduleEvery = 15 * time.Second

// Run completes batches at the time that was set for it, until ctx ends. Several
// processes may run it: completing twice is harmless. (A start time needs nobody: the
// batch's users are due at it.)
func (c *Control) Run(ctx context.Context) error {
	tick := time.NewTicker(scheduleEvery)
	defer tick.Stop()
	for {
		if err := c.CompleteDue(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("scheduled completions not looked at", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// CompleteDue completes the batches whose completion time has come.
func (c *Control) CompleteDue(ctx context.Context) error {
	service := Actor{Role: migration.Owner}
	orgs, err := c.store.ListOrgs(ctx)
	if err != nil {
		return err
	}
	for _, o := range orgs {
		list := pages(func(after string) ([]migration.Batch, error) {
			return c.store.ListBatches(ctx, o.ID, after, page)
		}, func(b migration.Batch) string { return b.Name })
		for b, err := range list {
			if err != nil {
				return err
			}
			if b.CompleteAt.IsZero() || b.CompleteAt.After(c.now()) || b.Completing || b.Removing {
				continue
			}
			if _, err := c.CompleteBatch(ctx, service, o.Name, b.Name, time.Time{}); err != nil {
				c.log.Warn("scheduled completion refused", zap.String("batch", b.Name), zap.Error(err))
			}
		}
	}
	return nil
}
