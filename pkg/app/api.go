package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/dispatch"
	"github.com/mailhaul/mailhaul/pkg/httpapi"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/notify"
)

// API is a control plane process: HTTP API, dispatcher, schedule.
type API struct {
	base       *base
	control    *control.Control
	dispatcher *dispatch.Dispatcher
	notifier   *notify.Notifier
	servers    []*server
	closing    chan struct{}
}

// NewAPI opens what the control plane needs and its listeners. Run closes all of it.
func NewAPI(ctx context.Context, c config.API, log *zap.Logger) (*API, error) {
	b, err := openBase(ctx, c.Common, log)
	if err != nil {
		return nil, err
	}
	a, err := newAPI(b, c)
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return a, nil
}

func newAPI(b *base, c config.API) (*API, error) {
	a := &API{base: b, closing: make(chan struct{})}
	a.dispatcher = dispatch.New(dispatch.Config{Store: b.store, Queue: leaseQueue{b.queue}, Log: b.log})
	finder, err := newFinder(b.dial, c.Resolver)
	if err != nil {
		return nil, err
	}
	a.control = control.New(control.Config{
		Store: b.store, Vault: b.vault, Tester: tester{b.dial}, Discoverer: finder, Dispatcher: a.dispatcher,
		ResyncInterval: c.ResyncInterval, Log: b.log,
	})
	b.metrics.ObserveFleet((&fleet{store: b.store, queue: b.queue, log: b.log}).read)
	p := &probes{
		checks: b.checks(), metrics: b.metrics, draining: a.closing, log: b.log,
		allowed: ownersOnly(c.HTTP, b.store, c.BootstrapToken),
	}
	mux := http.NewServeMux()
	p.register(mux)
	mux.Handle("/", httpapi.New(httpapi.Config{
		Control: a.control, Store: b.store, Bootstrap: migration.NewSecret(c.BootstrapToken.Reveal()),
		Version: b.build.Version, Log: b.log, Closing: a.closing,
	}))
	if a.notifier, err = newNotifier(b, c.Mail, a.control); err != nil {
		return nil, err
	}
	a.servers, err = openListeners(c.HTTP, false, mux, p, b.log)
	return a, err
}

// openListeners opens the process's address and, where set, the one for metrics.
func openListeners(h config.HTTP, orElse bool, handler http.Handler, p *probes, log *zap.Logger) ([]*server, error) {
	s, err := listen(h.Listen, h, orElse, handler, log)
	if err != nil {
		return nil, err
	}
	if h.MetricsListen == "" {
		return []*server{s}, nil
	}
	m, err := listen(h.MetricsListen, config.HTTP{}, false, p.openProbes(), log)
	if err != nil {
		return nil, errors.Join(err, s.listener.Close())
	}
	return []*server{s, m}, nil
}

// URL is where the API is reached.
func (a *API) URL() string { return a.servers[0].url() }

// closeListeners closes what Run would have closed.
func (a *API) closeListeners() error {
	var problems []error
	for _, s := range a.servers {
		problems = append(problems, s.listener.Close())
	}
	return errors.Join(problems...)
}

// Run serves and dispatches until ctx ends, then closes everything.
func (a *API) Run(ctx context.Context) error {
	a.base.log.Info("api runs", zap.String("url", a.URL()), zap.String("version", a.base.build.Version))
	err := a.run(ctx)
	a.base.log.Info("api ended", zap.Error(err))
	return errors.Join(err, a.base.close())
}

// run is Run without closing what it was given.
func (a *API) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range a.servers {
		g.Go(func() error { return s.run(ctx) })
	}
	g.Go(func() error { return a.dispatcher.Run(ctx) })
	g.Go(func() error { return a.control.Run(ctx) })
	g.Go(func() error { return a.forget(ctx) })
	g.Go(func() error { return a.notifier.Run(ctx) })
	g.Go(func() error {
		<-ctx.Done()
		close(a.closing)
		return nil
	})
	return g.Wait()
}

// Answers kept for repeated requests are of use for a day.
const (
	forgetEvery = time.Hour
	forgetAfter = 24 * time.Hour
)

// forget deletes what is kept for a time only.
func (a *API) forget(ctx context.Context) error {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		if err := a.base.store.PurgeIdempotent(ctx, time.Now().UTC().Add(-forgetAfter)); err != nil && ctx.Err() == nil {
			a.base.log.Warn("old answers not purged", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
