package mailsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// pass is one Run under way. The reader (the goroutine of Run) owns the source and
// the queue of folders; the writer owns the folder it writes to and all records of
// folders that were handed to it, until it hands them back.
type pass struct {
	job    Job
	source link
	target link

	all []*work // every folder that is to be carried
	// gone are folders that were delivered and that the source lists no more.
	gone  []*work
	moves moves
	// sizeLimit is what limit answered at the beginning.
	sizeLimit int64
	// unsettled is set where every folder settles first.
	unsettled bool

	// committing is held while a folder's window is committed: two folders' answers may
	// come at once.
	committing sync.Mutex

	mu       sync.Mutex
	tally    migration.Tally
	items    []migration.Item // folders that failed
	renamed  []Renamed
	progress bool
	yielded  bool
	// trouble counts lost connections since the last committed window.
	trouble int
	lost    mailbox.Session // the target's connection that was counted last
	// owed is the first fault of a folder that has to be tried again soon.
	owed *migration.Fault
}

// work is one folder to be brought in step.
type work struct {
	assignment
	rec      *record
	src, dst *mailbox.Status // from the survey; nil: not told, or not there
	// subscribed is whether the target's is.
	subscribed bool

	// notBefore is set while the folder settles.
	notBefore time.Time
	// fresh asks for the target's present numbers instead of the survey's.
	fresh bool
	care  care
	// only limits the copy to these messages; nil: all that are undecided.
	only mailbox.UIDSet
	// left are the messages outside the job's time that were looked at, leftBefore counts
	// those that were not looked at again.
	left       mailbox.UIDSet
	leftBefore int64
	// refused is why the target folder could not be made.
	refused *migration.Fault
	// stuckAt is the message at which the source failed last, stuck times in a row.
	stuckAt mailbox.UID
	// stuckAfter says that it failed after that message, before the next one began; 0
	// stands for the beginning.
	stuckAfter bool
	stuck      int
	// readAgain says that what was not delivered has been asked for once more.
	readAgain bool
	// decidedAtStart counts the messages that needed nothing when it was prepared.
	decidedAtStart int64
	unsure         int // times that an APPEND was left in doubt in this pass
	blamed         int // times that the target's connection ended over it in this pass
	// synchronous asks the server's leave before each literal.
	synchronous bool
	// bad is set once the server answered BAD here, probing while only the messages of
	// a window in doubt are written.
	bad, probing bool
	// hangups counts how often the target hung up at a message given alone.
	hangups map[mailbox.UID]int
	// overtaken counts how often the target was another between looking and writing.
	overtaken int
	// settled is set once the folder has rested after an unsure APPEND: its tail is
	// then read over a new connection.
	settled bool
	// placing is set when the folder is taken up only to learn the new UIDs.
	placing bool

	tally folderTally
}

// care is how carefully a folder's messages are written.
type care int

const (
	quick    care = iota // windows as the server likes them
	apart                // each message in a command of its own, pipelined
	stepwise             // one at a time, giving up keywords and date where refused
)

// folderTally is one folder's part of the tally; it is replaced, not added to, when
// the folder is taken up again.
type folderTally struct {
	counted                                  bool
	seen                                     int64
	copied, adopted, skipped, failed, gone   int64
	unchanged                                int64
	redelivered, surplus, flagsUpdated, size int64
}

// settleFirst puts the folder aside until what may still be under way to it has
// arrived or never will.
func (f *work) settleFirst() {
	f.notBefore = time.Now().Add(max(settleTime, 2*f.rec.Slowest))
	f.fresh, f.settled = true, true
}

// errAborted ends the reading of a folder that is of no use any more.
var errAborted = errors.New("the folder is taken up again later")

func (p *pass) run(ctx context.Context, cancel context.CancelCauseFunc) error {
	queue, err := p.survey(ctx)
	if err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	if p.job.DryRun || len(queue) == 0 {
		return nil
	}
	w := newWriter(p, queue)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.run(ctx); err != nil {
			cancel(err)
		}
	}()
	err = p.read(ctx, queue, w)
	close(w.steps)
	<-done
	w.dropRest()
	if err == nil && context.Cause(ctx) == nil && !p.yielded {
		err = p.countMoves(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause // the writer's, or the caller's
	}
	if err == nil && p.owed != nil && !p.yielded {
		return p.owed
	}
	return err
}

// read hands folder after folder to the writer, takes back those that have to be
// taken up again, and ends when none is left.
func (p *pass) read(ctx context.Context, queue []*work, w *writer) error {
	outstanding := 0
	for len(queue) > 0 || outstanding > 0 {
		for more := true; more; {
			select {
			case back := <-w.back:
				outstanding--
				if back != nil {
					queue = append(queue, back)
				}
			default:
				more = false
			}
		}
		if p.hasYielded() {
			queue = nil
		}
		next, wait := nextReady(queue, outstanding)
		if next < 0 {
			if err := p.await(ctx, w, wait, outstanding, &queue, &outstanding); err != nil {
				return err
			}
			continue
		}
		f := queue[next]
		p.foresee(queue[next:])
		queue = slices.Delete(queue, next, next+1)
		handed, err := p.take(ctx, f, w)
		if handed {
			outstanding++ // the writer hands it back
		}
		again, err := p.afterReading(ctx, f, err, handed)
		if err != nil {
			return err
		}
		if again {
			queue = append(queue, f)
		}
	}
	return nil
}

// await waits until the writer hands a folder back or one has settled. The folders
// that settle wait for the next pass where this one is to stop.
func (p *pass) await(ctx context.Context, w *writer, wait time.Duration, waiting int, queue *[]*work, outstanding *int) error {
	var settled <-chan time.Time
	var stop <-chan struct{}
	if wait > 0 {
		stop = p.job.Stop
		t := time.NewTimer(wait)
		defer t.Stop()
		settled = t.C
	} else if waiting == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case back := <-w.back:
		*outstanding--
		if back != nil {
			*queue = append(*queue, back)
		}
	case <-settled:
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
func (p *pass) afterReading(ctx context.Context, f *work, err error, handed bool) (again bool, fatal error) {
	if err == nil || errors.Is(err, errAborted) {
		return false, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return false, cause
	}
	fault := migration.AsFault(err)
	switch fault.Scope {
	case migration.ScopeEndpoint:
		if fault.Class() != migration.Retry || p.lostConnection() > maxTrouble {
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

// folderFailed lists a folder that cannot be carried now; what it holds counts as
// failed.
func (p *pass) folderFailed(f *work, fault *migration.Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.rec.Finished = false
	p.items = append(p.items, migration.Item{Folder: displayPath(f.source), Code: fault.Code, Reason: fault.Reason})
	if p.owed == nil && fault.Class() != migration.Decide {
		p.owed = fault
	}
	t := f.tally
	if !t.counted && f.src != nil {
		t.seen, t.counted = int64(f.src.Messages), true
	}
	left := max(0, t.seen-t.gone-t.copied-t.adopted)
	t.skipped = min(left, int64(len(f.rec.skipped)))
	t.unchanged = min(left-t.skipped, max(0, f.rec.uids.len()-t.copied-t.adopted))
	t.failed = left - t.skipped - t.unchanged
	p.count(f, t)
}

// count replaces f's part of the tally. p.mu is held.
func (p *pass) count(f *work, t folderTally) {
	add := func(sign int64, t folderTally) {
		if !t.counted {
			return
		}
		p.tally.Seen += sign * (t.seen - t.gone)
		p.tally.Unchanged += sign * t.unchanged
		p.tally.Copied += sign * t.copied
		p.tally.Adopted += sign * t.adopted
		p.tally.Skipped += sign * t.skipped
		p.tally.Failed += sign * t.failed
		p.tally.Redelivered += sign * t.redelivered
		p.tally.Surplus += sign * t.surplus
		p.tally.FlagsUpdated += sign * t.flagsUpdated
		p.tally.Bytes += sign * t.size
	}
	add(-1, f.tally)
	add(+1, t)
	f.tally = t
}

// tooManySkipped is the fault of a pass that skipped more than the job allows.
func (p *pass) tooManySkipped() error {
	if most, n := p.job.MaxSkipped, p.tallyNow().Skipped; most != nil && n > *most {
		return migration.NewFault(migration.TooManyBadItems, migration.ScopeUser, "",
			fmt.Sprintf("%d messages cannot be carried, the batch allows %d", n, *most), nil)
	}
	return nil
}

func (p *pass) lostConnection() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble++
	return p.trouble
}

// lostTarget counts the loss of one of the target's connections once, however many
// folders were on their way over it; first is whether this is the first of them, over
// which it may have ended.
func (p *pass) lostTarget(s mailbox.Session) (trouble int, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first = s == nil || s != p.lost; first {
		p.lost = s
		p.trouble++
	}
	return p.trouble, first
}

func (p *pass) hasYielded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.yielded
}

func (p *pass) tallyNow() migration.Tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tally
}

// store commits one window to the records.
func (p *pass) store(ctx context.Context, w migration.Window) error {
	if err := p.job.Records.Commit(ctx, w); err != nil {
		return fmt.Errorf("commit folder %q: %w", w.Folder, err)
	}
	if p.job.Observe != nil {
		p.job.Observe(w.Tally)
	}
	return nil
}

// committed is called after a window of messages is safe.
func (p *pass) committed() {
	p.mu.Lock()
	p.progress, p.trouble = true, 0
	p.mu.Unlock()
	p.committing.Lock()
	defer p.committing.Unlock()
	if p.job.Yield != nil && p.job.Yield() {
		p.yield()
	}
}

func (p *pass) yield() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.yielded = true
}

// outcome closes the books: in a pass that has ended, what was seen and not dealt
// with is unchanged or failed.
func (p *pass) outcome(err error) (Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.tally
	items := p.items
	for _, w := range p.all {
		items = append(items, w.rec.items()...)
	}
	rest := t.Seen - t.Copied - t.Adopted - t.Skipped - t.Failed - t.Unchanged
	switch {
	case rest < 0:
		t.Seen -= rest
	case err != nil:
		t.Failed += rest
	}
	return Outcome{Tally: *t, Items: items, Renamed: p.renamed, Yielded: p.yielded, Progress: p.progress}, err
}
