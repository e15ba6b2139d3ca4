package mailsync_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A pass that is told to end at any of its steps ends with that cause, leaves nothing
// running (the bubble would not end), and the next one completes the work.
func TestCancelAtEveryStep(t *testing.T) {
	for at, steps := 1, 1; at <= steps; at++ {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t)
			fill(p.source, 24)
			p.target.Caps.UIDPlus = at%2 == 0
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			a := &accident{records: p.records}
			step := func(op string) mailboxtest.Fate {
				fate := a.step(op)
				a.mu.Lock()
				defer a.mu.Unlock()
				if a.steps == at {
					cancel(errCrash)
				}
				return fate
			}
			p.source.Step, p.target.Step = step, step
			_, err := mailsync.Run(ctx, mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: a, Window: 3})
			if steps = max(steps, a.steps); a.steps > at && !errors.Is(err, errCrash) {
				t.Fatalf("step %d of %d: error %v", at, a.steps, err)
			}
			p.source.Step, p.target.Step = nil, nil
			p.mustRun()
			p.same()
		})
	}
}
