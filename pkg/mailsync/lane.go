package mailsync

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// lane is the part of a pass that goes over one pair of connections. Its reader (the
// goroutine of run) owns the source and the queue of folders; its writer owns the folder
// it writes to and all records of folders that were handed to it, until it hands them
// back. There is one lane, or several where the job allows it and there is work for them:
// each has folders of its own, and who has none left helps with another's (sharing.go).
type lane struct {
	*pass
	n      int // 0: the first, which does what the others cannot
	source link
	target link

	queue []*work // to be taken up
	// outstanding counts what the writer will hand back.
	outstanding int
	idle        bool // the board's

	// trouble counts lost connections since the last window committed here. The pass's mu
	// guards it.
	trouble int
	lost    mailbox.Session // the target's connection that was counted last
}

// errAborted ends the reading of a folder that is of no use any more.
var errAborted = errors.New("the folder is taken up again later")

func (p *pass) run(ctx context.Context, cancel context.CancelCauseFunc) error {
	queue, err := p.lanes[0].survey(ctx)
	if err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	if p.job.DryRun || len(queue) == 0 {
		if err = p.left(); err == nil {
			err = p.lanes[0].carryDeletions(ctx)
		}
		return cmp.Or(err, context.Cause(ctx))
	}
	var others sync.WaitGroup
	for _, l := range p.lanes[1:] {
		if p.board != nil && !l.idle {
			others.Go(func() { l.run(ctx) })
		}
	}
	p.lanes[0].run(ctx)
	others.Wait()
	if p.failed != nil {
		cancel(p.failed)
	} else if context.Cause(ctx) == nil && !p.yielded {
		err = p.lanes[0].countMoves(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause // a lane's, or the caller's
	}
	if err == nil && !p.yielded {
		err = p.left()
	}
	if err == nil {
		err = p.lanes[0].carryDeletions(ctx)
	}
	return cmp.Or(context.Cause(ctx), err)
}

// run carries the folders of the lane's queue, and helps with others.
func (p *lane) run(ctx context.Context) {
	defer p.board.leave(p)
	if len(p.queue) > 0 && p.n > 0 {
		if err := p.connect(ctx); err != nil {
			p.retire(ctx)
			return
		}
	}
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w := newWriter(p, p.queue)
	written := make(chan error, 1)
	go func() {
		err := w.run(ctx)
		stop(cmp.Or(err, errAborted)) // nobody takes what is read
		written <- err
	}()
	err := p.read(reading, w)
	close(w.steps)
	err = cmp.Or(<-written, err)
	w.dropRest()
	if err != nil {
		p.fail(err)
	}
}

// connect opens both connections, if they are not open.
func (p *lane) connect(ctx context.Context) error {
	var both errgroup.Group // one side's failure must not end the other's connection
	for _, l := range []*link{&p.source, &p.target} {
		both.Go(func() error {
			l.use.Lock()
			defer l.use.Unlock()
			_, err := l.session(ctx)
			return err
		})
	}
	return both.Wait()
}

// read hands folder after folder to the writer, takes back those that have to be
// taken up again, and ends when none is left, here or elsewhere.
func (p *lane) read(ctx context.Context, w *writer) error {
	for {
		changed := p.board.watch()
		p.takeBack(w)
		p.queue = append(p.queue, p.board.returned(p)...)
		if p.hasYielded() {
			p.queue = nil
		}
		if p.retires() {
			p.retire(ctx)
		}
		next, wait := nextReady(p.queue, p.outstanding)
		if next >= 0 {
			if err := p.takeUp(ctx, next, w); err != nil {
				return err
			}
			continue
		}
		if s := p.board.offered(p); s != nil {
			if err := p.help(ctx, s, w); err != nil {
				return err
			}
			continue
		}
		if len(p.queue) == 0 && p.outstanding == 0 && p.board.isOver(p) {
			return nil
		}
		if err := p.await(ctx, w, wait, changed); err != nil {
			return err
		}
	}
}

// takeBack takes what the writer has handed back so far.
func (p *lane) takeBack(w *writer) {
	for {
		select {
		case f := <-w.back:
			p.handedBack(f)
		default:
			return
		}
	}
}

func (p *lane) handedBack(f *work) {
	p.outstanding--
	if f != nil {
		p.queue = append(p.queue, f)
	}
}

// takeUp reads the folder at index next of the queue.
func (p *lane) takeUp(ctx context.Context, next int, w *writer) error {
	f := p.queue[next]
	p.foresee(p.queue[next:])
	p.queue = slices.Delete(p.queue, next, next+1)
	handed, err := p.take(ctx, f, w)
	if handed {
		p.outstanding++ // the writer hands it back
	}
	again, err := p.afterReading(ctx, f, err, handed)
	if err == nil && again {
		p.queue = append(p.queue, f)
	}
	return err
}

// await waits until the writer hands a folder back, one has settled, or something has
// changed elsewhere. The folders that settle wait for the next pass where this one is to
// stop.
func (p *lane) await(ctx context.Context, w *writer, wait time.Duration, changed <-chan struct{}) error {
	var settled <-chan time.Time
	var stop <-chan struct{}
	if wait > 0 {
		stop = p.job.Stop
		t := time.NewTimer(wait)
		defer t.Stop()
		settled = t.C
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case f := <-w.back:
		p.handedBack(f)
	case <-settled:
	case <-changed:
	case <-stop:
		p.yield()
	}
	return nil
}

// nextReady returns the index of the first folder that need not wait, or -1 and how
// long the first of those that do has to (0: until the writer hands one back).
//
// A folder over which the target's connection ended comes after all others: it would
// take those with it that are sent right behind it, again and again.
func nextReady(queue []*work, outstanding int) (int, time.Duration) {
	least := math.MaxInt
	for _, f := range queue {
		least = min(least, f.turn())
	}
	if len(queue) == 0 || least > 0 && outstanding > 0 {
		return -1, 0
	}
	wait := time.Duration(0)
	for i, f := range queue {
		if f.turn() > least {
			continue
		}
		left := time.Until(f.notBefore)
		if left <= 0 {
			return i, 0
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	return -1, wait
}

// turn is when a folder is taken: those of the least first, and the others only when
// nothing is outstanding.
func (f *work) turn() int {
	if f.role == mailbox.RoleRest {
		return math.MaxInt // after all others, also those that had to wait
	}
	return f.blamed
}

// afterReading decides what an error of the source, or of looking at the target,
// means: again says that the folder has to be taken up once more. A folder that was
// handed to the writer is its concern; only the connections are looked after.
func (p *lane) afterReading(ctx context.Context, f *work, err error, handed bool) (again bool, fatal error) {
	if err == nil || errors.Is(err, errAborted) {
		return false, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return false, cause
	}
	if p.retires() {
		return !handed, nil // whatever it is, the first lane will tell
	}
	fault := migration.AsFault(err)
	switch fault.Scope {
	case migration.ScopeEndpoint:
		if fault.Class() != migration.Retry || p.lostConnection() > maxTrouble && p.n == 0 {
			return false, err
		}
		if fault.Side == migration.Source {
			p.source.drop(err)
		} else if !handed {
			p.target.drop(err)
		}
		return !handed, nil
	case migration.ScopeFolder, migration.ScopeMessage:
		if !handed {
			p.folderFailed(f, fault)
		}
		return false, nil
	}
	return false, err
}

func (p *lane) lostConnection() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble++
	return p.trouble
}

// lostTarget counts the loss of one of the target's connections once, however many
// folders were on their way over it; first is whether this is the first of them, over
// which it may have ended.
func (p *lane) lostTarget(s mailbox.Session) (trouble int, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first = s == nil || s != p.lost; first {
		p.lost = s
		p.trouble++
	}
	return p.trouble, first
}

// committed is called after a window of messages is safe.
func (p *lane) committed() {
	p.mu.Lock()
	p.progress, p.trouble = true, 0
	p.mu.Unlock()
	p.committing.Lock()
	defer p.committing.Unlock()
	if p.job.Yield != nil && p.job.Yield() {
		p.yield()
	}
}

// retires reports whether a lane that is not the first gives up, because it gets no
// connection or cannot keep one: its folders go to the first. It does so before it could
// think a message to be the cause: a server may have no room for further connections.
func (p *lane) retires() bool {
	if p.n == 0 {
		return false
	}
	p.mu.Lock()
	trouble := p.trouble
	p.mu.Unlock()
	return trouble >= hopelessAfter || p.source.refusal() != nil || p.target.refusal() != nil
}

// retire gives the folders that wait here to the first lane.
func (p *lane) retire(ctx context.Context) {
	if err := cmp.Or(p.source.refusal(), p.target.refusal()); err != nil && context.Cause(ctx) == nil {
		p.mu.Lock()
		if p.fewer == nil {
			p.fewer = migration.AsFault(err)
		}
		p.mu.Unlock()
	}
	for _, f := range p.queue {
		f.stuck, f.hangups = 0, nil // what happened here says nothing about a message
	}
	p.board.giveBack(p.queue)
	p.queue = nil
	if p.outstanding == 0 { // a connection that is of no use keeps others out
		p.source.close()
		p.target.close()
	}
}
