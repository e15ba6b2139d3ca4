package pass

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	// finishTime bounds how long a result is tried to be written. After that the lease
	// is left to be found dead, and what the windows recorded stands.
	finishTime  = 15 * time.Second
	finishPause = 250 * time.Millisecond
)

// finish writes the result and frees the lease; lost says that nothing may be
// written.
func (p *pass) finish(ctx context.Context, lost error) {
	ctx, cancel := context.WithTimeout(ctx, finishTime)
	defer cancel()
	if lost == nil {
		p.park(ctx, p.result.Fault)
		p.throttle(ctx, p.result.Fault)
		lost = p.write(ctx)
	}
	switch {
	case errors.Is(lost, migration.ErrLeaseLost):
		p.r.Metrics.LeaseLost.Inc()
		p.ended("leaseLost", zap.Error(lost))
	case lost != nil:
		p.ended("unwritten", zap.Error(lost))
	default:
		p.ended(p.outcome())
	}
}

// write advances the user and finishes the lease, again and again while the store
// does not answer. Doing it twice is refused by the store, not done twice.
func (p *pass) write(ctx context.Context) error {
	for {
		err := p.writeOnce(ctx)
		if err == nil || errors.Is(err, migration.ErrLeaseLost) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(finishPause):
		}
	}
}

func (p *pass) writeOnce(ctx context.Context) error {
	// What an operator asked while the pass ran is in the state as it is now.
	user, err := p.r.Store.UserByID(ctx, p.lease.UserID)
	if err != nil {
		return fmt.Errorf("read the user: %w", err)
	}
	if p.receipt != nil {
		if err := p.r.Store.PutReceipt(ctx, user.ID, *p.receipt); err != nil {
			return fmt.Errorf("write the receipt: %w", err)
		}
	}
	if err := p.keepPreflight(ctx); err != nil {
		return err
	}
	now := time.Now().UTC()
	if p.result.Yielded {
		p.result.Rest = p.hold.orders().Rest
	}
	p.result.LoggedIn = p.source != nil && p.target != nil && p.source.wasEntered() && p.target.wasEntered()
	next := migration.Advance(user.ID, user.UserState, p.result, migration.Schedule{Interval: p.batch.ResyncInterval, Started: !p.batch.StartedAt.IsZero()}, now)
	if p.receipt != nil && !p.receipt.Same() && next.Status == migration.UserCompleted {
		next.Status = migration.UserCompletedWithWarnings
		next.Reason = fmt.Sprintf("the last verify found %d messages missing, %d altered, %d with another date, and %d folders missing",
			p.receipt.Missing, p.receipt.Altered, p.receipt.WrongDate, p.receipt.FoldersMissing)
	}
	last := p.result.Tally
	if last == (migration.Tally{}) {
		last = user.Last // nothing was surveyed: what was known before still tells more
	}
	if err := p.r.Store.Finish(ctx, p.lease.Token, next, user.Totals.Add(p.result.Tally), last, p.items, p.events(user, next, now)); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	p.user.UserState = next
	return nil
}

// kinds are the events of a user's states after a pass; others are not told.
var kinds = map[migration.UserStatus]string{
	migration.UserSynced:                "user.synced",
	migration.UserCompleted:             "user.completed",
	migration.UserCompletedWithWarnings: "user.completed",
	migration.UserFailed:                "user.failed",
	migration.UserNeedsCredentials:      "user.needsCredentials",
	migration.UserWaiting:               "user.waiting",
	migration.UserStopped:               "user.stopped",
}

func (p *pass) events(user migration.User, next migration.UserState, now time.Time) []migration.Event {
	kind, told := kinds[next.Status]
	// Of preflights only what somebody has to mend is told one by one.
	if !told || p.lease.Kind == migration.Preflighting && next.Status != migration.UserNeedsCredentials {
		return nil
	}
	if p.lease.Kind == migration.Verify && next.Status == migration.UserFailed && user.Status == next.Status { // and told already
		return nil
	}
	t := p.result.Tally
	data := map[string]any{
		"emailAddress": user.EmailAddress, "status": string(next.Status), "pass": string(p.lease.Kind),
		"copied": t.Copied, "adopted": t.Adopted, "skipped": t.Skipped, "failed": t.Failed, "bytes": t.Bytes,
	}
	if t.Deleted > 0 {
		data["deleted"] = t.Deleted
	}
	if next.Code != "" {
		data["code"], data["reason"] = string(next.Code), next.Reason
	}
	return []migration.Event{{OrgID: user.OrgID, BatchID: user.BatchID, UserID: user.ID, Kind: kind, At: now, Data: data}}
}

// outcome is how the pass ended, in one word for the metrics.
func (p *pass) outcome() string {
	switch {
	case p.result.Fault != nil:
		return "fault"
	case p.user.Status == migration.UserStopped || p.user.Status == migration.UserRemoving:
		return "stopped"
	case p.result.Yielded:
		return "yielded"
	}
	return "done"
}

// ended writes the pass's line and counts it.
func (p *pass) ended(outcome string, more ...zap.Field) {
	took := time.Since(p.begun)
	kind := string(p.lease.Kind)
	p.r.Metrics.Passes.WithLabelValues(kind, outcome).Inc()
	p.r.tempo.add(p.lease.Kind, took, outcome)
	p.r.Metrics.PassDuration.WithLabelValues(kind).Observe(took.Seconds())
	t := p.result.Tally
	fields := append([]zap.Field{
		zap.String("result", outcome), zap.String("status", string(p.user.Status)), zap.Duration("took", took),
		zap.Int64("seen", t.Seen), zap.Int64("unchanged", t.Unchanged), zap.Int64("copied", t.Copied), zap.Int64("adopted", t.Adopted),
		zap.Int64("skipped", t.Skipped), zap.Int64("failed", t.Failed), zap.Int64("bytes", t.Bytes),
		zap.Int64("deleted", t.Deleted),
	}, more...)
	if f := p.result.Fault; f != nil {
		p.r.Metrics.Faults.WithLabelValues(string(f.Code), string(f.Side)).Inc()
		fields = append(fields, zap.String("code", string(f.Code)), zap.String("side", string(f.Side)),
			zap.String("scope", string(f.Scope)), zap.String("reason", f.Reason))
	}
	p.counted.skips(p.items, t.Skipped-p.user.Last.Skipped)
	if outcome == "done" || outcome == "yielded" || outcome == "stopped" {
		p.log.Info("pass ended", fields...)
		return
	}
	p.log.Warn("pass ended", fields...)
}
