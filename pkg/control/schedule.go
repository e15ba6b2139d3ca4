package control

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// scheduleEvery is how often Run looks for batches whose time has come.
const scheduleEvery = 15 * time.Second

// Run starts and completes batches at the time that was set for it, until ctx ends.
// Several processes may run it; doing it twice is harmless.
func (c *Control) Run(ctx context.Context) error {
	tick := time.NewTicker(scheduleEvery)
	defer tick.Stop()
	for {
		if err := c.Scheduled(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("schedule not followed", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Scheduled does what is due now.
func (c *Control) Scheduled(ctx context.Context) error {
	now := c.now()
	due, err := c.store.ScheduledBatches(ctx, now)
	if err != nil {
		return fmt.Errorf("look for batches whose time has come: %w", err)
	}
	if len(due) == 0 {
		return nil
	}
	orgs, err := c.store.ListOrgs(ctx)
	if err != nil {
		return fmt.Errorf("list organisations: %w", err)
	}
	names := map[int64]string{}
	for _, o := range orgs {
		names[o.ID] = o.Name
	}
	service := Actor{Role: migration.Owner}
	for _, b := range due {
		if b.Stopped {
			continue // it completes once somebody has started it again
		}
		do := c.StartBatch
		if !b.CompleteAt.IsZero() && !b.CompleteAt.After(now) {
			do = func(ctx context.Context, a Actor, org, name string) (Batch, error) {
				return c.CompleteBatch(ctx, a, org, name, time.Time{})
			}
		}
		if _, err := do(ctx, service, names[b.OrgID], b.Name); err != nil {
			c.log.Warn("scheduled start or completion refused", zap.String("batch", b.Name), zap.Error(err))
		}
	}
	return nil
}
