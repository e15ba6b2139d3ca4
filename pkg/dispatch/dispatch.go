package dispatch

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

const (
	tick           = time.Second
	reconcileEvery = 2 * time.Second
)

// Config is what a Dispatcher works with.
type Config struct {
	Store Store
	Queue Queue
	Log   *zap.Logger
}

// Dispatcher admits users that are due and frees what dead workers left behind.
type Dispatcher struct {
	admitter   *Admitter
	reconciler *reconciler
}

// New returns a dispatcher.
func New(c Config) *Dispatcher {
	a := NewAdmitter(c.Store, c.Queue, tick, c.Log)
	return &Dispatcher{admitter: a, reconciler: &reconciler{
		store: c.Store, queue: c.Queue, log: c.Log, every: reconcileEvery, kick: a.Kick,
		observer: observer{deadAfter: deadAfter, lostAfter: lostAfter},
		roll:     roll{goneAfter: deadAfter, forgetAfter: forgetAfter},
	}}
}

// Kick asks for an admission now. It never blocks.
func (d *Dispatcher) Kick() { d.admitter.Kick() }

// TakeOverAll frees every lease at once, without watching its holder. It is for a
// store that belongs to this process alone, before Run and before any worker: whoever
// held the leases has died with the process before.
func (d *Dispatcher) TakeOverAll(ctx context.Context) error { return d.reconciler.takeOverAll(ctx) }

// Run dispatches until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.admitter.Run(ctx) })
	g.Go(func() error { return d.reconciler.run(ctx) })
	return g.Wait()
}
