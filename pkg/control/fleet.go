package control

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Fleet is what the store knows of the workers and of who waits. No call of it costs
// what the number of all users costs, only what is running or due.
type Fleet interface {
	Workers(ctx context.Context) ([]migration.Worker, error)
	Worker(ctx context.Context, id string) (migration.Worker, error)
	// DrainWorker asks a worker to drain.
	DrainWorker(ctx context.Context, id string) error

	SlotsInUse(ctx context.Context) ([]migration.Slots, error)
	// Backlog counts the users of an organisation (0: of all) that are due.
	Backlog(ctx context.Context, orgID int64, now time.Time) ([]migration.Backlog, error)
	// Ahead is how many users of its batch go before a user that is due.
	Ahead(ctx context.Context, userID int64, now time.Time) (int, error)
	// Rival tells who else holds the user's target mailbox, nil for nobody.
	Rival(ctx context.Context, u *migration.User) (*migration.Rival, error)
	// LiveCount is how many passes are admitted.
	LiveCount(ctx context.Context) (int, error)
	// Copied counts what an organisation has had copied since the beginning of yesterday.
	Copied(ctx context.Context, orgID int64) (messages, bytes int64, err error)
}

// installation is what the whole installation is asked: by nobody whose token is bound
// to one organisation.
func (a Actor) installation(need migration.Role) error {
	if a.Role != migration.Owner && a.OrgID != 0 {
		return fault(migration.Forbidden, "the workers serve all organisations: this needs a token that is bound to none, such as an owner's")
	}
	return a.needs(need)
}

// Workers lists the worker processes.
func (c *Control) Workers(ctx context.Context, a Actor) ([]migration.Worker, error) {
	if err := a.installation(migration.Viewer); err != nil {
		return nil, err
	}
	return c.store.Workers(ctx)
}

// DrainWorker has a worker hand its passes back and take no more. It hears of it
// within a few seconds.
func (c *Control) DrainWorker(ctx context.Context, a Actor, id string) (migration.Worker, error) {
	if err := a.installation(migration.Admin); err != nil {
		return migration.Worker{}, err
	}
	if err := c.store.DrainWorker(ctx, id); err != nil {
		return migration.Worker{}, missing(err, "worker", id)
	}
	c.audit(ctx, a, migration.Event{Kind: "worker.drained", Data: map[string]any{"worker": id}})
	w, err := c.store.Worker(ctx, id)
	return w, missing(err, "worker", id)
}

// Why tells why a user does not run at this moment, or that it does.
func (c *Control) Why(ctx context.Context, a Actor, org, batch, email string) (migration.User, []migration.Reason, error) {
	b, u, err := c.enterUser(ctx, a, org, batch, email, migration.Viewer)
	if err != nil {
		return u, nil, err
	}
	s := migration.Standing{Batch: b}
	lease, held, err := c.store.LeaseOfUser(ctx, u.ID)
	if err != nil {
		return u, nil, fmt.Errorf("look for a pass of %s: %w", email, err)
	}
	if held {
		s.Lease = &lease
	}
	// After the lease: a pass that has ended meanwhile has left its state.
	if s.User, err = c.store.UserByID(ctx, u.ID); err != nil {
		return u, nil, fmt.Errorf("find user %s: %w", email, err)
	}
	now := c.now()
	stations, _, err := c.stations(ctx, b.OrgID, now)
	if err != nil {
		return u, nil, err
	}
	s.Source, s.Target = stations[b.SourceEndpointID], stations[b.TargetEndpointID]
	if s.Source == nil || s.Target == nil {
		return u, nil, fault(migration.Internal, "an endpoint of batch %q is missing", batch)
	}
	if s.Ahead, err = c.store.Ahead(ctx, u.ID, now); err != nil {
		return u, nil, err
	}
	if s.Rival, err = c.store.Rival(ctx, &s.User); err != nil {
		return u, nil, err
	}
	if s.Live, err = c.store.LiveCount(ctx); err != nil {
		return u, nil, err
	}
	workers, err := c.store.Workers(ctx)
	if err != nil {
		return u, nil, err
	}
	s.Capacity = migration.Capacity(workers)
	return s.User, migration.Why(s, now), nil
}

// stations are an organisation's endpoints with what goes on at them.
func (c *Control) stations(ctx context.Context, orgID int64, now time.Time) (map[int64]*migration.Station, []migration.Backlog, error) {
	endpoints, err := c.store.ListEndpoints(ctx, orgID)
	if err != nil {
		return nil, nil, fmt.Errorf("list endpoints: %w", err)
	}
	slots, err := c.store.SlotsInUse(ctx)
	if err != nil {
		return nil, nil, err
	}
	backlog, err := c.store.Backlog(ctx, orgID, now)
	if err != nil {
		return nil, nil, err
	}
	return migration.NewStations(endpoints, slots, backlog), backlog, nil
}

// FleetView is what an organisation sees of the fleet at one moment.
type FleetView struct {
	At time.Time
	// Workers are nil for who may not see them.
	Workers []migration.Worker
	// Stations are by name.
	Stations []*migration.Station
	Backlog  map[migration.PassKind]int
	// Estimate is how long the backlog takes, where it is known.
	Estimate      time.Duration
	EstimateKnown bool
	// Messages and Bytes count what was copied: two views make a rate. They begin anew
	// at midnight (UTC).
	Messages, Bytes int64
}

// Fleet looks at the fleet as an organisation sees it.
func (c *Control) Fleet(ctx context.Context, a Actor, org string) (FleetView, error) {
	o, err := c.enter(ctx, a, org, migration.Viewer)
	if err != nil {
		return FleetView{}, err
	}
	v, err := c.fleet.view(o.ID, c.now(), func() (FleetView, error) { return c.lookAtFleet(ctx, o.ID) })
	if err != nil {
		return FleetView{}, err
	}
	if a.installation(migration.Viewer) != nil {
		v.Workers = nil
	}
	return v, nil
}

func (c *Control) lookAtFleet(ctx context.Context, orgID int64) (FleetView, error) {
	v := FleetView{At: c.now(), Backlog: map[migration.PassKind]int{}}
	stations, backlog, err := c.stations(ctx, orgID, v.At)
	if err != nil {
		return v, err
	}
	for _, b := range backlog {
		v.Backlog[b.Kind] += b.Users
	}
	if v.Messages, v.Bytes, err = c.store.Copied(ctx, orgID); err != nil {
		return v, err
	}
	if v.Workers, err = c.store.Workers(ctx); err != nil {
		return v, err
	}
	if v.Workers == nil {
		v.Workers = []migration.Worker{} // nil is for who may not see them
	}
	v.Estimate, v.EstimateKnown = migration.Estimate(backlog, stations, migration.Tempos(v.Workers), migration.Capacity(v.Workers), v.At)
	v.Stations = migration.ByName(stations)
	return v, nil
}

// views keeps the latest view of each organisation for a second: many who look cost
// no more than one.
type views struct {
	mu   sync.Mutex
	kept map[int64]FleetView
}

const viewAge = time.Second

func (v *views) view(orgID int64, now time.Time, look func() (FleetView, error)) (FleetView, error) {
	v.mu.Lock()
	kept, ok := v.kept[orgID]
	v.mu.Unlock()
	if ok && now.Sub(kept.At).Abs() < viewAge {
		return kept, nil
	}
	fresh, err := look()
	if err != nil {
		return FleetView{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.kept == nil || len(v.kept) >= maxRates {
		v.kept = map[int64]FleetView{}
	}
	v.kept[orgID] = fresh
	return fresh, nil
}
