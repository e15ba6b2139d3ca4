package pass

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Times of a lease's holder; package dispatch has the observers'.
const (
	beatEvery = 3 * time.Second
	// beatTime bounds one renewal: a database that is busy with a large import is
	// waited for.
	beatTime = 7 * time.Second
	// lostAfter is how long a holder goes on without a renewal.
	lostAfter = 8 * time.Second
	// stopPatience is how long a pass that was stopped may take to reach the end of its
	// window.
	stopPatience = 20 * time.Second
)

// heart renews the leases of all passes of the process.
type heart struct {
	mu   sync.Mutex
	held map[int64]*hold // by token
}

// hold is one claimed lease.
type hold struct {
	token     int64
	endpoints [2]int64                // source and target
	cancel    context.CancelCauseFunc // of the lease: the pass must not write any more
	lost      *time.Timer

	mu     sync.Mutex
	ending bool // nothing is written to the target any more: Finish is under way
	order  migration.Order
	// stopped is closed once an operator's stop was seen, told once that or an order to
	// yield was.
	stopped, told chan struct{}
}

// take begins to renew a lease that was claimed before the call, at the time given.
func (h *heart) take(l migration.Lease, claimed time.Time, cancel context.CancelCauseFunc) *hold {
	d := &hold{
		token: l.Token, endpoints: [2]int64{l.SourceEndpointID, l.TargetEndpointID},
		cancel: cancel, stopped: make(chan struct{}), told: make(chan struct{}),
	}
	d.lost = time.AfterFunc(lostAfter-time.Since(claimed), d.lose)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		h.held = map[int64]*hold{}
	}
	h.held[l.Token] = d
	return d
}

func (h *heart) drop(d *hold) {
	d.lost.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, d.token)
}

// lose ends the pass, unless it has ended writing.
func (d *hold) lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ending {
		d.cancel(migration.ErrLeaseLost)
	}
}

func (d *hold) renewed(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ending {
		d.lost.Reset(lostAfter - time.Since(at))
	}
}

// end tells that the pass writes nothing but its result any more: the store alone
// judges its token from now on.
func (d *hold) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ending = true
	d.lost.Stop()
}

// tell gives the pass an order. One given is not taken back: to yield in vain costs no
// more than a new admission.
func (d *hold) tell(o migration.Order) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.Stop && !d.order.Stop {
		close(d.stopped)
	}
	if (o.Stop || o.Yield) && !d.order.Stop && !d.order.Yield {
		close(d.told)
	}
	d.order.Stop = d.order.Stop || o.Stop
	if o.Yield {
		d.order.Yield, d.order.Rest = true, o.Rest
	}
}

// orders is what the pass was told.
func (d *hold) orders() migration.Order {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.order
}

func (h *heart) all() []*hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*hold, 0, len(h.held))
	for _, d := range h.held {
		out = append(out, d)
	}
	return out
}

// KeepAlive renews the leases of all passes, and looks for orders to them and changed
// endpoints, until ctx ends, which must not be before the last pass has ended.
func (r *Runner) KeepAlive(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	// Apart from each other: what is slow must not keep a lease from being renewed.
	g.Go(func() error { return r.every(ctx, r.beat) })
	g.Go(func() error { return r.every(ctx, r.lookForOrders) })
	g.Go(func() error { return r.every(ctx, r.refreshRates) })
	return g.Wait()
}

func (r *Runner) every(ctx context.Context, do func(context.Context, []*hold)) error {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if held := r.heart.all(); len(held) > 0 {
			do(ctx, held)
		}
	}
}

func (r *Runner) beat(ctx context.Context, held []*hold) {
	tokens := make([]int64, len(held))
	for i, d := range held {
		tokens[i] = d.token
	}
	at := time.Now() // before the call: a slow one must not lengthen the lease
	ctx, cancel := context.WithTimeout(ctx, beatTime)
	defer cancel()
	alive, err := r.Store.Beat(ctx, r.WorkerID, tokens)
	if err != nil {
		r.Log.Warn("leases not renewed", zap.Int("leases", len(tokens)), zap.Error(err))
		return
	}
	still := make(map[int64]bool, len(alive))
	for _, token := range alive {
		still[token] = true
	}
	for _, d := range held {
		if still[d.token] {
			d.renewed(at)
		} else {
			d.lose()
		}
	}
}

// lookForOrders asks, for all passes at once, whether an operator stopped their users
// or a limit says that they yield. Errors are for the next look.
func (r *Runner) lookForOrders(ctx context.Context, held []*hold) {
	tokens := make([]int64, len(held))
	for i, d := range held {
		tokens[i] = d.token
	}
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	orders, err := r.Store.Orders(ctx, tokens)
	if err != nil {
		return
	}
	for _, d := range held {
		d.tell(orders[d.token])
	}
}
