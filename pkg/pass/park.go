package pass

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// narrow returns f as it concerns the user. An endpoint that was reached and then
// kept cutting this user's connection is not down: parking it would stop all others
// for one mailbox.
func (p *pass) narrow(f *migration.Fault) *migration.Fault {
	if f.Scope != migration.ScopeEndpoint || f.Class() != migration.Retry {
		return f
	}
	s := p.sideOf(f.Side)
	if s == nil || !s.wasReached() {
		return f
	}
	own := *f
	own.Scope = migration.ScopeUser
	return &own
}

func (p *pass) sideOf(which migration.Side) *side {
	switch which {
	case migration.Source:
		return p.source
	case migration.Target:
		return p.target
	}
	return nil
}

// park parks the endpoint at which f arose, if it is the endpoint's own, and ends
// the park of endpoints that this pass has reached. An error costs no more than a
// probe too early or too late.
func (p *pass) park(ctx context.Context, f *migration.Fault) {
	for _, s := range []*side{p.source, p.target} {
		if s == nil {
			continue
		}
		var err error
		switch {
		case f != nil && f.Scope == migration.ScopeEndpoint && f.Class() != migration.Wait && p.sideOf(f.Side) == s:
			err = p.parkAt(ctx, s.endpoint.ID, f)
		case s.wasReached():
			err = p.r.unpark(ctx, s.endpoint.ID)
		}
		if err != nil {
			p.log.Warn("park of endpoint not written", zap.Int64("endpoint", s.endpoint.ID), zap.Error(err))
		}
	}
}

func (p *pass) parkAt(ctx context.Context, id int64, f *migration.Fault) error {
	e, err := p.r.Store.EndpointByID(ctx, id)
	if err != nil {
		return fmt.Errorf("read endpoint %d: %w", id, err)
	}
	now := time.Now().UTC()
	next := migration.ParkAfter(e.Park, f, now)
	if e.Park.Held || e.Park.Until.After(now) && !next.Held {
		return nil // by another pass of the same minute: one outage is one park
	}
	if err := p.r.Store.SetPark(ctx, id, next); err != nil {
		return fmt.Errorf("park endpoint %d: %w", id, err)
	}
	p.log.Warn("endpoint parked", zap.Int64("endpoint", id), zap.String("name", e.Name), zap.String("code", string(f.Code)),
		zap.String("reason", next.Reason), zap.Time("until", next.Until), zap.Bool("held", next.Held))
	return nil
}

// reopen is unpark in the middle of a pass. An error costs no more than that others wait
// for its end.
func (r *Runner) reopen(ctx context.Context, id int64) {
	if err := r.unpark(ctx, id); err != nil {
		r.Log.Warn("park of endpoint not ended", zap.Int64("endpoint", id), zap.Error(err))
	}
}

// unpark ends a park, but not one that an operator has to end.
func (r *Runner) unpark(ctx context.Context, id int64) error {
	e, err := r.Store.EndpointByID(ctx, id)
	if err != nil {
		return fmt.Errorf("read endpoint %d: %w", id, err)
	}
	if e.Park == (migration.Park{}) || e.Park.Held {
		return nil
	}
	if err := r.Store.SetPark(ctx, id, migration.Park{}); err != nil {
		return fmt.Errorf("end the park of endpoint %d: %w", id, err)
	}
	r.Log.Info("endpoint is well again", zap.Int64("endpoint", id), zap.String("name", e.Name))
	return nil
}

// throttle has fewer passes at an endpoint that asked for time, and counts the time
// for which this mailbox is parked. An error costs no more than a burst too many.
func (p *pass) throttle(ctx context.Context, f *migration.Fault) {
	if f == nil || f.Code != migration.Throttled {
		return
	}
	s := p.sideOf(f.Side)
	if s == nil {
		return
	}
	name, w, halved, err := p.r.Store.Throttle(ctx, s.endpoint.ID, time.Now().UTC())
	if err != nil {
		p.log.Warn("working limit of endpoint not written", zap.Int64("endpoint", s.endpoint.ID), zap.Error(err))
		return
	}
	p.r.Metrics.Throttled.WithLabelValues(name).Add(migration.WaitFor(f).Seconds())
	if halved {
		p.log.Warn("endpoint asks for time", zap.Int64("endpoint", s.endpoint.ID), zap.String("name", name),
			zap.Int("workingLimit", w.Limit), zap.String("reason", f.Reason))
	}
}
