package pass

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Runner runs passes, any number at once.
type Runner struct {
	Config
	heart  heart
	tempo  tempo
	admins admins
}

// NewRunner returns a Runner; KeepAlive has to run beside its passes.
func NewRunner(c Config) *Runner {
	if c.Rates == nil {
		c.Rates = freely{}
	}
	return &Runner{Config: c}
}

// pass is one pass under way.
type pass struct {
	r     *Runner
	log   *zap.Logger
	lease migration.Lease
	hold  *hold
	begun time.Time

	user           migration.User // as it was at the start
	batch          migration.Batch
	source, target *side
	leave          func() // the endpoints that were entered
	counted        counted
	daily          daily

	result  migration.Result
	items   []migration.Item // nil: what is listed stays
	receipt *migration.Receipt
	found   *migration.Preflight
}

// Handle runs the pass of one task. ctx is the process's patience: when it ends the
// pass is cut off wherever it is, with ctx's cause.
func (r *Runner) Handle(ctx context.Context, userID, token int64) {
	defer r.Ended()
	log := r.Log.With(zap.Int64("user", userID), zap.Int64("token", token), zap.String("worker", r.WorkerID))
	claimed := time.Now()
	lease, err := r.Store.Claim(ctx, token, r.WorkerID)
	if errors.Is(err, migration.ErrLeaseLost) {
		log.Debug("task without a lease: doubled or late")
		return
	}
	if err != nil {
		// The dispatcher finds the lease without its task and admits the user anew.
		log.Warn("lease not claimed", zap.Error(err))
		return
	}
	log = log.With(zap.String("kind", string(lease.Kind)))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &pass{r: r, log: log, lease: lease, begun: claimed, leave: func() {}, hold: r.heart.take(lease, claimed, cancel)}
	p.counted.metrics = r.Metrics
	p.result.Kind = lease.Kind
	defer r.heart.drop(p.hold)

	err = p.run(ctx, cancel)
	p.hold.end()
	p.finish(context.WithoutCancel(ctx), p.judge(ctx, err))
}

// run does the pass's work; what it found is in p.result beside the error.
func (p *pass) run(ctx context.Context, cancel context.CancelCauseFunc) (err error) {
	defer func() {
		if x := recover(); x != nil {
			p.log.Error("pass panicked", zap.Any("panic", x), zap.ByteString("stack", debug.Stack()))
			err = migration.NewFault(migration.Internal, migration.ScopeUser, "", fmt.Sprintf("panic: %v", x), nil)
		}
	}()
	defer func() { p.leave() }()
	if err := p.prepare(ctx); err != nil {
		return err
	}
	outrun := p.lease.Kind == migration.Preflighting && p.user.PreflightFrom == "" // by a start
	if p.user.Stopping || p.user.Removing || outrun {
		p.result.Yielded = true
		return nil
	}
	now := time.Now()
	source, target := &p.source.endpoint, &p.target.endpoint
	p.daily.traffic = p.user.Traffic
	p.daily.limits = []dailyLimit{dailyOf(source, migration.Source), dailyOf(target, migration.Target)}
	rest := source.RestAt(now).Later(target.RestAt(now)).Later(p.daily.rest(0, now))
	if rest != nil { // begun while the task was in the queue, or asked for before the day was over
		p.hold.tell(migration.Order{Yield: true, Rest: rest})
		p.result.Yielded = true
		return nil
	}
	defer alongside(func(over <-chan struct{}) { p.enforceStop(cancel, over) })()

	switch p.lease.Kind {
	case migration.Preflighting:
		return p.preflight(ctx)
	case migration.Verify:
		return p.verify(ctx)
	}
	if err := p.sync(ctx); err != nil || p.result.Yielded || p.lease.Kind != migration.LastSync {
		return err
	}
	return p.verify(ctx)
}

// alongside runs f beside what follows, until end is called, which closes over and
// waits for f.
func alongside(f func(over <-chan struct{})) (end func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		f(over)
	}()
	return func() {
		close(over)
		<-done
	}
}

// enforceStop cuts off a pass that does not reach the end of its window after an
// operator stopped it.
func (p *pass) enforceStop(cancel context.CancelCauseFunc, over <-chan struct{}) {
	select {
	case <-over:
		return
	case <-p.hold.stopped:
	}
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-over:
	case <-patience.C:
		cancel(migration.ErrStopped)
	}
}

// prepare reads what the pass is about and makes its sides.
func (p *pass) prepare(ctx context.Context) error {
	var source, target migration.Endpoint
	err := patiently(ctx, func() (err error) {
		source, target, err = p.read(ctx)
		return err
	})
	if err != nil {
		return err
	}
	p.log = p.log.With(zap.String("batch", p.batch.Name), zap.Int64("org", p.user.OrgID))
	p.log.Info("pass begins", zap.String("source", source.Name), zap.String("target", target.Name), zap.Bool("goesOn", p.user.Yielded),
		zap.Int("attempts", p.user.Attempts), zap.Bool("unsettled", p.lease.Unsettled))
	if err := p.inScope(ctx, source, target); err != nil {
		return err
	}
	p.leave = p.r.enter(source, target)
	if p.source, err = p.r.newSide(&p.user, source, migration.Source); err != nil {
		return err
	}
	p.target, err = p.r.newSide(&p.user, target, migration.Target)
	return err
}

func (p *pass) read(ctx context.Context) (source, target migration.Endpoint, err error) {
	if p.user, err = p.r.Store.UserByID(ctx, p.lease.UserID); err != nil {
		return source, target, fmt.Errorf("read the user: %w", err)
	}
	if p.batch, err = p.r.Store.BatchByID(ctx, p.user.BatchID); err != nil {
		return source, target, fmt.Errorf("read the batch: %w", err)
	}
	if source, err = p.r.Store.EndpointByID(ctx, p.lease.SourceEndpointID); err != nil {
		return source, target, fmt.Errorf("read the source endpoint: %w", err)
	}
	if target, err = p.r.Store.EndpointByID(ctx, p.lease.TargetEndpointID); err != nil {
		return source, target, fmt.Errorf("read the target endpoint: %w", err)
	}
	return source, target, nil
}

// sync runs the engine over the mailbox pair.
func (p *pass) sync(ctx context.Context) error {
	stop := make(chan struct{})
	defer alongside(func(over <-chan struct{}) {
		select {
		case <-over:
			return
		case <-p.hold.told:
		case <-p.r.Draining:
		}
		close(stop)
	})()
	out, err := p.r.Engine.Run(ctx, mailsync.Job{
		Source: p.source.open, Target: p.target.open,
		Records: records{p.r.Store, p.lease.Token, p.log}, Unsettled: p.lease.Unsettled && p.newHere(),
		Selection: p.selection(),
		Yield:     p.yield, Stop: stop, Observe: p.counted.observe, Budget: p.r.Budget, Settle: p.r.Settle,
		Mirror: p.batch.Deletions == migration.Mirror, ConfirmedDeletions: p.user.DeletionsConfirmed,
		Again: p.user.Again, MaxMessageSize: p.batch.MaxMessageSize, MaxSkipped: p.batch.BadItemLimit, NewestFirst: p.batch.NewestFirst,
		Connections:   min(p.source.endpoint.ConnectionsPerMailbox, p.target.endpoint.ConnectionsPerMailbox),
		FurtherSource: p.source.further, FurtherTarget: p.target.further,
	})
	if f := out.Fewer; f != nil {
		p.log.Warn("a further connection was refused", zap.String("side", string(f.Side)), zap.String("code", string(f.Code)), zap.String("reason", f.Reason))
	}
	if k := out.Kept; len(k) > 0 {
		p.log.Warn("folders stay where they were begun, not where the mapping rules have them by now", zap.Int("folders", len(k)), zap.String("first", k[0].From), zap.String("at", k[0].To))
	}
	p.result.Again = p.user.Again
	p.result.Tally, p.result.Progress, p.result.Yielded = out.Tally, out.Progress, out.Yielded
	p.items = out.Items
	if p.items == nil && err == nil && !out.Yielded {
		p.items = []migration.Item{} // looked through all of it: nothing is listed any more
	}
	p.counted.observe(out.Tally)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

// newHere tells whether no pass of this user can have gone before. One that has put its
// mark into the records before it sent anything: they are to be believed. Of another
// user with the same mailbox, who was removed, nothing is left but the lease.
func (p *pass) newHere() bool {
	return !p.user.Yielded && p.user.Takeovers == 0 && p.user.Attempts == 0
}

// briefly is ctx for what changes nothing, and so is broken off at once when somebody
// asks for it.
func (p *pass) briefly(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	over := alongside(func(over <-chan struct{}) {
		select {
		case <-over:
		case <-p.hold.told:
			cancel(migration.ErrStopped)
		case <-p.r.Draining:
			cancel(migration.ErrDraining)
		}
	})
	return ctx, func() {
		over()
		cancel(nil)
	}
}

// verify compares both sides.
func (p *pass) verify(ctx context.Context) error {
	ctx, end := p.briefly(ctx)
	defer end()
	receipt, err := p.r.Engine.Verify(ctx, mailsync.VerifyJob{
		Source: p.source.open, Target: p.target.open,
		Records:   records{p.r.Store, p.lease.Token, p.log},
		Selection: p.selection(),
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	p.receipt = &receipt
	return nil
}

// yield tells the engine, between windows, whether to stop there.
func (p *pass) yield() bool {
	select {
	case <-p.r.Draining:
		return true
	default:
	}
	if rest := p.daily.rest(p.counted.copied(), time.Now()); rest != nil {
		p.hold.tell(migration.Order{Yield: true, Rest: rest})
	}
	o := p.hold.orders()
	return o.Stop || o.Yield || time.Since(p.begun) >= p.r.Slice
}

// judge turns how the work ended into the pass's result. It returns
// migration.ErrLeaseLost where nothing may be written any more.
func (p *pass) judge(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, migration.ErrLeaseLost) || errors.Is(cause, migration.ErrLeaseLost):
		return migration.ErrLeaseLost
	case errors.Is(err, migration.ErrStopped), errors.Is(err, migration.ErrDraining), cause != nil:
		p.result.Yielded = true
		return nil
	}
	f := p.narrow(migration.AsFault(err))
	if f.Code == migration.Internal {
		traced := *f
		traced.Reason = migration.Clean(fmt.Sprintf("%s (trace %d)", f.Reason, p.lease.Token))
		f = &traced
	}
	if f.Code == migration.NeedsDecision && p.result.Tally.ToDelete > 0 {
		asking := *f
		asking.Reason = migration.Clean(fmt.Sprintf("%s; to delete them: mailhaul user confirm-deletions %s --batch %s --confirm %d",
			f.Reason, p.user.EmailAddress, p.batch.Name, p.result.Tally.ToDelete))
		f = &asking
	}
	p.result.Fault = f
	return nil
}
