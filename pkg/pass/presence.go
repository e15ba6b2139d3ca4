package pass

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Workers is where workers tell of themselves.
type Workers interface {
	// BeatWorker writes down w and raises its counter; drain is whether an operator
	// asked the worker to drain.
	BeatWorker(ctx context.Context, w migration.Worker) (drain bool, err error)
	// ForgetWorker strikes it off.
	ForgetWorker(ctx context.Context, id string, beat int64) error
}

// Presence tells the fleet of a worker, and the worker of its operators' wish that it
// drains.
type Presence struct {
	Workers Workers
	// Worker is what stays the same of it.
	Worker migration.Worker
	// Tempo and Busy (passes that run) are what changes.
	Tempo func() migration.Tempo
	Busy  func() int
	// Drain is called when an operator asks for it, again and again; it makes Draining
	// close.
	Drain    func()
	Draining <-chan struct{}
	Log      *zap.Logger
}

// presenceTick is how often the worker's state is looked at; it is told when it has
// changed, and every beatEvery.
const presenceTick = time.Second

// Run beats until ctx ends, which must not be before the last pass has ended; then
// the worker is struck off. The first beat is made at once.
func (p *Presence) Run(ctx context.Context) error {
	tick := time.NewTicker(presenceTick)
	defer tick.Stop()
	var told migration.WorkerState
	var at time.Time
	for ctx.Err() == nil {
		state := p.state()
		if state != told || time.Since(at) >= beatEvery {
			if state != told && told != "" {
				p.Log.Info("worker changed its state", zap.String("worker", p.Worker.ID), zap.String("state", string(state)), zap.Int("passes", p.Busy()))
			}
			told, at = state, time.Now()
			if p.beat(ctx, state) {
				p.Drain()
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatEvery)
	defer cancel()
	if err := p.Workers.ForgetWorker(ctx, p.Worker.ID, 0); err != nil {
		p.Log.Warn("worker not struck off: it is listed as gone for a while", zap.String("worker", p.Worker.ID), zap.Error(err))
	}
	return nil
}

func (p *Presence) state() migration.WorkerState {
	select {
	case <-p.Draining:
		if p.Busy() == 0 {
			return migration.WorkerDrained
		}
		return migration.WorkerDraining
	default:
		return migration.WorkerRunning
	}
}

func (p *Presence) beat(ctx context.Context, state migration.WorkerState) (drain bool) {
	w := p.Worker
	w.State, w.Tempo = state, p.Tempo()
	ctx, cancel := context.WithTimeout(ctx, beatTime)
	defer cancel()
	drain, err := p.Workers.BeatWorker(ctx, w)
	if err != nil {
		p.Log.Warn("worker's beat not written", zap.String("worker", w.ID), zap.Error(err))
	}
	return drain
}
