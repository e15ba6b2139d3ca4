package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// forgetAfter is how long a worker's counter stands still before it is listed no more.
const forgetAfter = time.Hour

// roll watches the workers' counters on one monotonic clock, as observer watches the
// leases'. It judges nothing but what is told of the workers: their passes are taken
// over by their leases.
type roll struct {
	goneAfter, forgetAfter time.Duration
	last                   time.Time
	seen                   map[string]sight
}

// look takes note of the workers there are now, and returns those that stood still for
// too long, and those that did so long enough to be forgotten.
func (r *roll) look(workers []migration.Worker, now time.Time) (gone, forgotten []migration.Worker) {
	if now.Sub(r.last) > blinkAfter {
		r.seen = nil
	}
	r.last = now
	seen := make(map[string]sight, len(workers))
	for _, w := range workers {
		s, known := r.seen[w.ID]
		if !known || s.beat != w.Beat {
			s = sight{beat: w.Beat, since: now}
		}
		seen[w.ID] = s
		switch still := now.Sub(s.since); {
		case still >= r.forgetAfter:
			forgotten = append(forgotten, w)
		case still >= r.goneAfter && w.State != migration.WorkerGone:
			gone = append(gone, w)
		}
	}
	r.seen = seen
	return gone, forgotten
}

// callRoll notes which workers are gone.
func (r *reconciler) callRoll(ctx context.Context) error {
	workers, err := r.store.Workers(ctx)
	if err != nil {
		return fmt.Errorf("list workers: %w", err)
	}
	gone, forgotten := r.roll.look(workers, time.Now())
	var problems []error
	for _, w := range gone {
		if err := r.store.WorkerGone(ctx, w.ID, w.Beat); err != nil {
			problems = append(problems, fmt.Errorf("note worker %s gone: %w", w.ID, err))
			continue
		}
		r.log.Warn("worker is gone", zap.String("worker", w.ID), zap.String("host", w.Host), zap.Int("passes", w.Running))
	}
	for _, w := range forgotten {
		if err := r.store.ForgetWorker(ctx, w.ID, w.Beat); err != nil {
			problems = append(problems, fmt.Errorf("forget worker %s: %w", w.ID, err))
		}
	}
	return errors.Join(problems...)
}
