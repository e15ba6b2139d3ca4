package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// reconciler frees what nobody holds any more.
type reconciler struct {
	store Store
	queue Queue
	log   *zap.Logger
	every time.Duration
	kick  func()
	observer
	roll roll
}

func (r *reconciler) run(ctx context.Context) error {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		if err := r.reconcile(ctx); err != nil && ctx.Err() == nil {
			r.log.Warn("reconciliation failed", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (r *reconciler) reconcile(ctx context.Context) error {
	leases, err := r.store.WatchLeases(ctx)
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	dead, waiting := r.look(leases, time.Now())
	var problems []error
	for _, l := range dead {
		problems = append(problems, r.takeOver(ctx, l))
	}
	problems = append(problems, r.findLost(ctx, waiting))
	problems = append(problems, r.callRoll(ctx))
	if n, err := r.store.PurgeRemoved(ctx); err != nil {
		problems = append(problems, fmt.Errorf("purge what was removed: %w", err))
	} else if n > 0 {
		r.log.Info("removed users and batches purged", zap.Int("rows", n))
	}
	return errors.Join(problems...)
}

// takeOverAll frees every lease there is: of a store that no other process uses, when
// nothing of this one runs yet.
func (r *reconciler) takeOverAll(ctx context.Context) error {
	leases, err := r.store.LiveLeases(ctx)
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	var problems []error
	for _, l := range leases {
		if l.State == migration.LeaseRunning {
			problems = append(problems, r.takeOver(ctx, l))
		} else {
			problems = append(problems, r.giveBack(ctx, l))
		}
	}
	return errors.Join(problems...)
}

// takeOver frees the lease of a worker that is gone.
func (r *reconciler) takeOver(ctx context.Context, l migration.Lease) error {
	user, batch, err := r.read(ctx, l)
	if err != nil {
		return err
	}
	progress, err := r.store.Progressed(ctx, l.Token)
	if errors.Is(err, migration.ErrLeaseLost) {
		return nil // another dispatcher was first, or the worker has ended the pass
	}
	if err != nil {
		return fmt.Errorf("progress of lease %d: %w", l.Token, err)
	}
	died, err := r.died(ctx, l.WorkerID)
	if err != nil {
		return err
	}
	next := migration.TakeOver(user.ID, user.UserState, l.Kind, progress, died, migration.Schedule{Interval: batch.ResyncInterval}, time.Now().UTC())
	err = r.store.Release(ctx, l.Token, true, next)
	if errors.Is(err, migration.ErrLeaseLost) {
		return nil // it was lost since
	}
	if err != nil {
		return fmt.Errorf("release lease %d of a worker that is gone: %w", l.Token, err)
	}
	r.log.Warn("pass of a worker that is gone taken over", zap.Int64("user", l.UserID), zap.Int64("token", l.Token),
		zap.String("worker", l.WorkerID), zap.String("kind", string(l.Kind)), zap.Bool("progress", progress),
		zap.Int("takeovers", next.Takeovers), zap.String("status", string(next.Status)))
	r.kick()
	return nil
}

// died counts the workers that were gone within the hour, and the one given, which may not
// be listed as such yet. One that came back counts: it stood still for no mailbox's sake.
func (r *reconciler) died(ctx context.Context, id string) (int, error) {
	workers, err := r.store.Workers(ctx)
	if err != nil {
		return 0, fmt.Errorf("list workers: %w", err)
	}
	n := 1
	for _, w := range workers {
		if w.ID != id && (w.State == migration.WorkerGone || time.Since(w.LapsedAt) < forgetAfter) {
			n++
		}
	}
	return n, nil
}

// findLost frees the leases whose tasks are not in the queue.
func (r *reconciler) findLost(ctx context.Context, waiting []migration.Lease) error {
	if len(waiting) == 0 {
		return nil
	}
	lost, err := r.queue.Missing(ctx, waiting)
	if err != nil {
		return fmt.Errorf("look for tasks: %w", err)
	}
	var problems []error
	for _, l := range lost {
		problems = append(problems, r.giveBack(ctx, l))
	}
	return errors.Join(problems...)
}

// giveBack frees a queued lease that has no task.
func (r *reconciler) giveBack(ctx context.Context, l migration.Lease) error {
	user, _, err := r.read(ctx, l)
	if err != nil {
		return err
	}
	err = r.store.Release(ctx, l.Token, false, dueAgain(user.UserState, time.Now().UTC()))
	if errors.Is(err, migration.ErrLeaseLost) {
		return nil // claimed, or freed by another dispatcher
	}
	if err != nil {
		return fmt.Errorf("release lease %d without a task: %w", l.Token, err)
	}
	r.log.Info("task lost, user due again", zap.Int64("user", l.UserID), zap.Int64("token", l.Token))
	r.kick()
	return nil
}

func (r *reconciler) read(ctx context.Context, l migration.Lease) (migration.User, migration.Batch, error) {
	user, err := r.store.UserByID(ctx, l.UserID)
	if err != nil {
		return user, migration.Batch{}, fmt.Errorf("read user %d of lease %d: %w", l.UserID, l.Token, err)
	}
	batch, err := r.store.BatchByID(ctx, user.BatchID)
	if err != nil {
		return user, batch, fmt.Errorf("read batch %d of lease %d: %w", user.BatchID, l.Token, err)
	}
	return user, batch, nil
}

// dueAgain is the state of a user who was admitted and never began.
func dueAgain(s migration.UserState, now time.Time) migration.UserState {
	switch {
	case s.Removing:
		s.Status, s.NextRunAt = migration.UserRemoving, time.Time{}
	case s.Stopping:
		s.Status, s.Stopping, s.NextRunAt, s.PreflightFrom = migration.UserStopped, false, time.Time{}, ""
	default:
		s.NextRunAt = now
	}
	return s
}
