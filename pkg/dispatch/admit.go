package dispatch

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
)

const (
	// spacing bounds how often kicks are answered: passes that end in quick succession
	// share one admission.
	spacing = 50 * time.Millisecond
	// capacityAge is how long a count of the workers' slots is taken for true.
	capacityAge = 2 * time.Second
	// lastWords bounds the admission under way when the process ends: users whose leases
	// are taken and whose tasks are not in the queue would wait for the reconciler.
	lastWords = 3 * time.Second
)

// Admitter puts users that are due into the queue.
type Admitter struct {
	store Admissions
	queue Queue
	log   *zap.Logger
	tick  time.Duration
	kick  chan struct{}

	capacity int
	counted  time.Time
}

// NewAdmitter returns an admitter that looks every tick, or only when kicked if tick
// is 0: as a worker does, so that a slot that it frees is filled at once.
func NewAdmitter(store Admissions, queue Queue, tick time.Duration, log *zap.Logger) *Admitter {
	return &Admitter{store: store, queue: queue, tick: tick, log: log, kick: make(chan struct{}, 1)}
}

// Kick asks for a look now. It never blocks.
func (a *Admitter) Kick() {
	select {
	case a.kick <- struct{}{}:
	default: // one is under way to be looked at
	}
}

// Run admits until ctx ends, and brings the admission under way to its end.
func (a *Admitter) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	var ticks <-chan time.Time
	if a.tick > 0 {
		t := time.NewTicker(a.tick)
		defer t.Stop()
		ticks = t.C
	}
	for {
		if err := a.admit(work); err != nil && ctx.Err() == nil {
			a.log.Warn("admission failed", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(spacing):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
		case <-a.kick:
		}
	}
}

// admit fills the room there is.
func (a *Admitter) admit(ctx context.Context) error {
	capacity, err := a.slots(ctx)
	if err != nil || capacity == 0 {
		return err
	}
	live, err := a.store.LiveLeases(ctx)
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	room := capacity + atHand(capacity) - len(live)
	if room <= 0 {
		return nil
	}
	admitted, err := a.store.Admit(ctx, time.Now().UTC(), room)
	if err != nil {
		return fmt.Errorf("admit users: %w", err)
	}
	for _, l := range admitted {
		// A lease without a task is found by the reconciler and admitted anew.
		if err := a.queue.Enqueue(ctx, l); err != nil {
			return fmt.Errorf("%d of %d admitted users may wait a little: %w", len(admitted), room, err)
		}
	}
	if len(admitted) > 0 {
		a.log.Debug("users admitted", zap.Int("users", len(admitted)), zap.Int("room", room))
	}
	return nil
}

// atHand is how many tasks wait while every worker is busy, so that none of them
// has to wait for the next look.
func atHand(capacity int) int { return 1 + capacity/8 }

func (a *Admitter) slots(ctx context.Context) (int, error) {
	if !a.counted.IsZero() && a.capacity > 0 && time.Since(a.counted) < capacityAge {
		return a.capacity, nil
	}
	n, err := a.queue.Capacity(ctx)
	if err != nil {
		return 0, fmt.Errorf("count the workers' slots: %w", err)
	}
	a.capacity, a.counted = n, time.Now()
	return n, nil
}
