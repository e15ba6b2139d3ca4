package mailsync

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// pass is one Run under way: what its lanes share.
type pass struct {
	job   Job
	lanes []*lane // all that there may be; the first is the survey's
	board *board  // nil: one lane does it all

	all []*work // every folder that is to be carried
	// collided are folders that are left out because rules would make two of them one.
	collided []*work
	// leftOut are folders that are left out by default (Job.LeaveOut).
	leftOut []mailbox.Folder
	// gone are folders that were delivered and that the source lists no more.
	gone   []*work
	moves  moves // mu guards its arrivals
	mirror mirror
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
	kept     []Renamed
	progress bool
	yielded  bool
	// owed is the first fault of a folder that has to be tried again soon.
	owed *migration.Fault
	// failed is the first error that ends the pass, and failing closed with it.
	failed  error
	failing chan struct{}
	// fewer is why a further connection was not to be had.
	fewer *migration.Fault
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
	// stuckOver is what the source said then, or how the connection ended.
	stuckOver string
	// unreadable is how often the source refused to deliver a message.
	unreadable int
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
	// disturbed counts how often it was copied by several lanes and not to its end.
	disturbed int

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
func (p *pass) settleFirst(f *work) {
	f.notBefore = time.Now().Add(max(cmp.Or(p.job.Settle, settleTime), 2*f.rec.Slowest))
	f.fresh, f.settled = true, true
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

// left is the fault of a pass that has done all that it could: what has to be tried again
// soon, or else what the operator has to decide.
func (p *pass) left() error {
	if p.owed != nil {
		return p.owed
	}
	if len(p.collided) == 0 {
		return nil
	}
	f := *p.collided[0].refused
	if n := len(p.collided) - 1; n > 0 {
		f.Reason = migration.Clean(fmt.Sprintf("%s, and so are %d more", f.Reason, n))
	}
	return &f
}

// tooManySkipped is the fault of a pass that skipped more than the job allows.
func (p *pass) tooManySkipped() error { return p.tooMany(p.tallyNow().Skipped) }

func (p *pass) tooMany(n int64) error {
	if most := p.job.MaxSkipped; most != nil && n > *most {
		return migration.NewFault(migration.TooManyBadItems, migration.ScopeUser, "",
			fmt.Sprintf("%d messages cannot be carried, the batch allows %d", n, *most), nil)
	}
	return nil
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

func (p *pass) yield() {
	p.mu.Lock()
	p.yielded = true
	p.mu.Unlock()
	p.board.tell() // whoever waits
}

// fail keeps the first error that ends the pass.
func (p *pass) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		p.failed = err
		close(p.failing)
	}
}

func (p *pass) hasFailed() bool {
	select {
	case <-p.failing:
		return true
	default:
		return false
	}
}

// outcome closes the books: in a pass that has ended, what was seen and not dealt
// with is unchanged or failed.
func (p *pass) outcome(err error) (Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.tally
	items := append(p.items, p.stays()...)
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
	return Outcome{Tally: *t, Items: items, Renamed: p.renamed, Kept: p.kept, Yielded: p.yielded, Progress: p.progress, Fewer: p.fewer}, err
}
