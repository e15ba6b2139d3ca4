package httpapi

import (
	"context"
	"net/http"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

type (
	workerOut struct{ Body client.Worker }
	whyOut    struct{ Body client.Why }
	fleetOut  struct{ Body client.Fleet }
)

func (a *api) fleetRoutes() {
	c := a.Control
	// Tokens that are bound to no organisation are owners' today.
	route(a, migration.Owner, http.MethodGet, "/v1/workers", "listWorkers", "List the workers",
		func(ctx context.Context, who control.Actor, in *struct{ Paging }) (*pageOut[client.Worker], error) {
			all, err := c.Workers(ctx, who)
			if err != nil {
				return nil, err
			}
			return slice(all, in.Paging, workerWire)
		})
	route(a, migration.Owner, http.MethodPost, "/v1/workers/{id}/drain", "drainWorker", "Have a worker hand back its passes and take no more",
		func(ctx context.Context, who control.Actor, in *struct {
			ID string `path:"id" maxLength:"320" doc:"ID of the worker"`
		},
		) (*workerOut, error) {
			w, err := c.DrainWorker(ctx, who, in.ID)
			return &workerOut{workerWire(w)}, err
		})
	route(a, migration.Viewer, http.MethodGet, "/v1/orgs/{org}/fleet", "getFleet", "Show the fleet as the organisation sees it",
		func(ctx context.Context, who control.Actor, in *OrgPath) (*fleetOut, error) {
			v, err := c.Fleet(ctx, who, in.Org)
			return &fleetOut{fleetWire(v)}, err
		})
	route(a, migration.Viewer, http.MethodGet, batchPath+"/users/{email}/why", "whyUser", "Tell why a user waits, or how far it is",
		func(ctx context.Context, who control.Actor, in *UserPath) (*whyOut, error) {
			u, reasons, err := c.Why(ctx, who, in.Org, in.Name, in.Email)
			return &whyOut{client.Why{EmailAddress: u.EmailAddress, Status: string(u.Status), Reasons: reasonsWire(reasons)}}, err
		})
}

func workerWire(w migration.Worker) client.Worker {
	return client.Worker{
		ID: w.ID, Host: w.Host, PID: w.PID, Version: w.Version, State: string(w.State), Since: w.Since.UTC(), StartedAt: w.StartedAt.UTC(),
		Running: w.Running, Concurrency: w.Concurrency,
	}
}

func reasonsWire(in []migration.Reason) []client.Reason {
	out := make([]client.Reason, len(in))
	for i, r := range in {
		out[i] = client.Reason{Kind: string(r.Kind), What: r.What, Remedy: r.Remedy, Endpoint: r.Endpoint, Until: when(r.Until)}
	}
	return out
}

func fleetWire(v control.FleetView) client.Fleet {
	out := client.Fleet{
		At: v.At.UTC(), Endpoints: []client.FleetAt{}, Due: byKind(v.Backlog),
		Copied: client.Copied{Messages: v.Messages, Bytes: v.Bytes},
	}
	if v.Workers != nil {
		out.Workers = []client.Worker{}
	}
	for _, w := range v.Workers {
		out.Workers = append(out.Workers, workerWire(w))
	}
	for _, s := range v.Stations {
		out.Endpoints = append(out.Endpoints, client.FleetAt{
			Name: s.Name, InUse: byKind(s.InUse), Limit: s.MaxConcurrentMigrations, WorkingLimit: s.LimitAt(v.At), ResyncLimit: s.MaxConcurrentIncrementalSyncs,
			Due: byKind(s.Due), Waits: reasonsWire(s.Waits(v.At)),
		})
	}
	if v.EstimateKnown {
		seconds := v.Estimate.Seconds()
		out.ETASeconds = &seconds
	}
	return out
}

// byKind has a line for every kind.
func byKind(in map[migration.PassKind]int) map[string]int {
	out := make(map[string]int, len(migration.PassKinds))
	for _, k := range migration.PassKinds {
		out[string(k)] = in[k]
	}
	return out
}
