package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/dispatch"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/pass"
	"github.com/mailhaul/mailhaul/pkg/queue"
)

// Worker is a process that runs passes.
type Worker struct {
	base     *base
	runner   *pass.Runner
	queue    *queue.Server
	rates    budgets
	admitter *dispatch.Admitter
	servers  []*server
	presence *pass.Presence
	// draining is closed once no pass is begun any more.
	draining  chan struct{}
	closeOnce sync.Once
	id        string
}

// NewWorker opens what a worker needs and its listeners. Run closes all of it.
func NewWorker(ctx context.Context, c config.Worker, log *zap.Logger) (*Worker, error) {
	b, err := openBase(ctx, c.Common, log)
	if err != nil {
		return nil, err
	}
	w, err := newWorker(b, c)
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	p := &probes{
		checks: b.checks(), metrics: b.metrics, draining: w.draining, log: log,
		allowed: ownersOnly(c.HTTP, b.store, config.Secret{}),
	}
	mux := http.NewServeMux()
	p.register(mux)
	if w.servers, err = openListeners(c.HTTP, true, mux, p, log); err != nil {
		return nil, errors.Join(err, w.rates.Close(), b.close())
	}
	return w, nil
}

func newWorker(b *base, c config.Worker) (*Worker, error) {
	w := &Worker{base: b, draining: make(chan struct{}), id: workerID()}
	w.admitter = dispatch.NewAdmitter(b.store, leaseQueue{b.queue}, 0, b.log)
	var err error
	if w.rates, err = openBudgets(b.redisURL, b.log); err != nil {
		return nil, err
	}
	w.runner = pass.NewRunner(pass.Config{
		Store: b.store, Vault: secrets{b.vault}, Open: b.dial.opener(w.rates), Rates: w.rates,
		Engine:      pass.Engine{Run: mailsync.Run, Verify: mailsync.Verify, Preflight: mailsync.Preflight},
		AppendLimit: appendLimitOf, LeaveOut: leaveOut, Shown: shownOf,
		WorkerID: w.id, Slice: c.Slice, Budget: mailsync.NewBudget(c.ByteBudget), Settle: c.Settle, Draining: w.draining, Ended: w.admitter.Kick,
		Metrics: b.metrics, Log: b.log,
	})
	w.queue, err = queue.NewServer(b.redisURL, c.Concurrency, func(ctx context.Context, t queue.Task) {
		w.runner.Handle(ctx, t.UserID, t.Token)
	}, b.log)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // a worker without a name of its host still works
	w.presence = &pass.Presence{
		Workers: b.store, Tempo: w.runner.Tempo, Busy: w.queue.Busy, Drain: w.drain, Draining: w.draining, Log: b.log,
		Worker: migration.Worker{
			ID: w.id, Host: host, PID: os.Getpid(), Version: b.build.Version, Concurrency: c.Concurrency, StartedAt: time.Now().UTC(),
		},
	}
	return w, nil
}

// drain makes the worker take no more passes and hand back those it has. An operator
// may ask for it, or the process ends.
func (w *Worker) drain() {
	w.closeOnce.Do(func() {
		close(w.draining)
		w.queue.Stop()
	})
}

// workerID names this process among all that ever were: a process number comes
// again, and leases are renewed by name.
func workerID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()[:8])
}

// Run runs passes until ctx ends, drains, and closes everything.
func (w *Worker) Run(ctx context.Context) error {
	w.base.log.Info("worker runs", zap.String("worker", w.id), zap.String("health", w.servers[0].url()), zap.String("version", w.base.build.Version))
	err := w.run(ctx)
	w.base.log.Info("worker ended", zap.String("worker", w.id), zap.Error(err))
	return errors.Join(err, w.base.close())
}

// run is Run without closing what it was given. What passes need lives on until the
// last of them has ended.
func (w *Worker) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	alive, ended := context.WithCancel(context.WithoutCancel(ctx))
	defer ended()
	g.Go(func() error {
		<-ctx.Done()
		w.drain()
		return nil
	})
	g.Go(func() error {
		defer ended()
		return w.queue.Run(ctx)
	})
	g.Go(func() error { return w.runner.KeepAlive(alive) })
	g.Go(func() error { return w.presence.Run(alive) })
	// While it drains too: what it gives back is another's at once.
	g.Go(func() error { return w.admitter.Run(alive) })
	for _, s := range w.servers {
		g.Go(func() error { return s.run(alive) })
	}
	return errors.Join(g.Wait(), w.rates.Close())
}
