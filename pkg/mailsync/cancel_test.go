package mailsync_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter counts the steps of a pass, and has reached told of each.
type counter struct {
	records mailsync.Records
	reached func(n int)

	mu sync.Mutex
	n  int
}

func (c *counter) step(string) mailboxtest.Fate {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	c.reached(c.n)
	return mailboxtest.Done
}

func (c *counter) Commit(ctx context.Context, w migration.Window) error {
	c.step("commit")
	return c.records.Commit(ctx, w)
}

func (c *counter) Records(ctx context.Context) ([]migration.FolderRecord, error) {
	return c.records.Records(ctx)
}

// A pass that is told to end at any of its steps ends with that cause, or had nothing left
// to do; it leaves nothing running (the bubble would not end), and the next one completes
// the work.
func TestCancelAtEveryStep(t *testing.T) {
	broken := 0
	run := func(t *testing.T, at int) (steps int) {
		p := newPair(t)
		fill(p.source, 24)
		p.target.Caps.UIDPlus = at%2 == 0
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		c := &counter{records: p.records, reached: func(n int) {
			if n == at {
				cancel(errCrash)
			}
		}}
		p.source.Step, p.target.Step = c.step, c.step
		_, err := mailsync.Run(ctx, mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: c, Window: 3})
		p.source.Step, p.target.Step = nil, nil
		switch {
		case err == nil:
			p.same()
		case errors.Is(err, errCrash):
			broken++
		default:
			t.Errorf("step %d: error %v", at, err)
		}
		p.mustRun()
		p.same()
		return c.n
	}
	steps := 0
	synctest.Test(t, func(t *testing.T) { steps = run(t, 0) })
	for at := range steps {
		synctest.Test(t, func(t *testing.T) { run(t, at+1) })
	}
	t.Logf("%d of %d passes were broken off", broken, steps)
	if broken < steps*4/5 { // the last steps are those of connections that are closed
		t.Errorf("only %d of %d passes were broken off", broken, steps)
	}
}
