package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/queue"
	"github.com/mailhaul/mailhaul/pkg/store"
	"github.com/mailhaul/mailhaul/pkg/telemetry"
)

// fleetAge is how old the gauges of the whole fleet may be: several scrapers cost the
// database no more than one.
const fleetAge = 10 * time.Second

// fleet reads the state of all processes together, for the metrics.
type fleet struct {
	store *store.Store
	queue *queue.Client
	log   *zap.Logger

	mu   sync.Mutex
	at   time.Time
	last telemetry.Fleet
}

func (f *fleet) read(ctx context.Context) telemetry.Fleet {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.at) < fleetAge {
		return f.last
	}
	var out telemetry.Fleet
	for name, part := range map[string]func(context.Context, *telemetry.Fleet) error{
		"users": f.users, "limits": f.limits, "slots": f.slots, "queues": f.queues, "backlog": f.backlog,
	} {
		if err := part(ctx, &out); err != nil {
			f.log.Warn("metrics of the fleet not read", zap.String("part", name), zap.Error(err))
		}
	}
	f.last, f.at = out, time.Now()
	return out
}

func (f *fleet) users(ctx context.Context, out *telemetry.Fleet) error {
	counts, err := f.store.UsersByStatus(ctx)
	if err != nil {
		return err
	}
	out.Mailboxes = make(map[string]int, len(migration.UserStatuses))
	for _, s := range migration.UserStatuses {
		out.Mailboxes[string(s)] = counts[s]
	}
	return nil
}

func (f *fleet) limits(ctx context.Context, out *telemetry.Fleet) error {
	orgs, err := f.store.ListOrgs(ctx)
	if err != nil {
		return fmt.Errorf("list organisations: %w", err)
	}
	for _, o := range orgs {
		endpoints, err := f.store.ListEndpoints(ctx, o.ID)
		if err != nil {
			return fmt.Errorf("list endpoints: %w", err)
		}
		for _, e := range endpoints {
			name := o.Name + "/" + e.Name
			out.Limits = append(out.Limits,
				telemetry.Slots{Endpoint: name, Kind: "all", N: e.MaxConcurrentMigrations},
				telemetry.Slots{Endpoint: name, Kind: string(migration.Resync), N: e.MaxConcurrentIncrementalSyncs})
		}
	}
	return nil
}

func (f *fleet) slots(ctx context.Context, out *telemetry.Fleet) error {
	slots, err := f.store.SlotsInUse(ctx)
	if err != nil {
		return fmt.Errorf("count slots: %w", err)
	}
	for _, s := range slots {
		out.InUse = append(out.InUse, telemetry.Slots{Endpoint: s.Org + "/" + s.Endpoint, Kind: string(s.Kind), N: s.InUse})
	}
	return nil
}

func (f *fleet) queues(ctx context.Context, out *telemetry.Fleet) error {
	depths, err := f.queue.Depths(ctx)
	if err != nil {
		return err
	}
	for _, d := range depths {
		out.Queues = append(out.Queues, telemetry.Queue{Name: d.Queue, Depth: d.Waiting, Oldest: d.Oldest})
	}
	return nil
}

// backlog estimates how long it takes until all that are due have had their pass.
func (f *fleet) backlog(ctx context.Context, out *telemetry.Fleet) error {
	now := time.Now().UTC()
	due, err := f.store.Backlog(ctx, 0, now)
	if err != nil {
		return err
	}
	workers, err := f.store.Workers(ctx)
	if err != nil {
		return err
	}
	var endpoints []migration.Endpoint
	seen := map[int64]bool{}
	for _, b := range due {
		if seen[b.OrgID] {
			continue
		}
		seen[b.OrgID] = true
		list, err := f.store.ListEndpoints(ctx, b.OrgID)
		if err != nil {
			return fmt.Errorf("list endpoints: %w", err)
		}
		endpoints = append(endpoints, list...)
	}
	stations := migration.NewStations(endpoints, nil, due)
	if d, known := migration.Estimate(due, stations, migration.Tempos(workers), migration.Capacity(workers), now); known {
		out.Backlog = &d
	}
	return nil
}
