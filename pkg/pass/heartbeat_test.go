package pass

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// beating is a store that only beats.
type beating struct {
	Store
	beat func(tokens []int64) ([]int64, error)
}

func (b beating) Beat(_ context.Context, _ string, tokens []int64) ([]int64, error) {
	return b.beat(tokens)
}

func (b beating) Orders(context.Context, []int64) (map[int64]migration.Order, error) { return nil, nil }

func (b beating) EndpointByID(context.Context, int64) (migration.Endpoint, error) {
	return migration.Endpoint{}, nil
}

func TestAHolderThatCannotRenewStopsInTime(t *testing.T) {
	down := errors.New("the database is away")
	rows := []struct {
		story string
		beat  func(since time.Duration, tokens []int64) ([]int64, error)
		want  time.Duration // until the lease is given up; 0: within a minute not
	}{
		{"every beat goes well", func(_ time.Duration, t []int64) ([]int64, error) { return t, nil }, 0},
		{"no beat goes well", func(time.Duration, []int64) ([]int64, error) { return nil, down }, 8 * time.Second},
		{"the database goes away after a while", func(since time.Duration, t []int64) ([]int64, error) {
			if since > 10*time.Second {
				return nil, down
			}
			return t, nil
		}, 9*time.Second + 8*time.Second},
		{"somebody else has it", func(time.Duration, []int64) ([]int64, error) { return nil, nil }, 3 * time.Second},
		{"the database answers slowly", func(_ time.Duration, t []int64) ([]int64, error) {
			<-time.After(3 * time.Second)
			return t, nil
		}, 0},
	}
	for _, row := range rows {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			r := NewRunner(Config{Log: zap.NewNop(), Store: beating{beat: func(tokens []int64) ([]int64, error) {
				return row.beat(time.Since(begun), tokens)
			}}})
			alive, end := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- r.KeepAlive(alive) }()
			lease, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			d := r.heart.take(migration.Lease{Token: 1}, time.Now(), cancel)
			select {
			case <-lease.Done():
				if got := time.Since(begun); got != row.want || !errors.Is(context.Cause(lease), migration.ErrLeaseLost) {
					t.Errorf("%s: given up after %s with %v, want %s", row.story, got, context.Cause(lease), row.want)
				}
			case <-time.After(time.Minute):
				if row.want != 0 {
					t.Errorf("%s: not given up, want after %s", row.story, row.want)
				}
			}
			r.heart.drop(d)
			end()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAPassThatHangsIsCutOffAfterAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var h heart
		p := &pass{hold: h.take(migration.Lease{Token: 1}, time.Now(), cancel)}
		p.hold.end() // its lease is not what this is about
		end := alongside(func(over <-chan struct{}) { p.enforceStop(cancel, over) })
		asked := time.Now()
		p.hold.tell(migration.Order{Stop: true})
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), migration.ErrStopped) || time.Since(asked) != stopPatience {
			t.Errorf("cut off after %s with %v", time.Since(asked), context.Cause(ctx))
		}
		end()
		h.drop(p.hold)
	})
}
