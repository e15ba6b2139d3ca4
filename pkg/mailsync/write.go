package mailsync

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// note keeps the first error and ends the reading of a folder that cannot be
// written.
func (x *folderWrite) note(err error) {
	if err == nil {
		return
	}
	x.mu.Lock()
	if x.err == nil {
		x.err = err
	}
	x.mu.Unlock()
	x.abort(errAborted)
}

func (x *folderWrite) stopped() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err != nil || x.p.hasYielded() || x.p.hasFailed()
}

// folderWrite is one folder under the hands of a lane's writer.
type folderWrite struct {
	*joint
	w        *writer
	p        *lane
	f        *work
	prep     *prepared // nil where the lane helps another
	hand     *hand     // nil where it does not
	abort    context.CancelCauseFunc
	target   mailbox.Session
	selected mailbox.Selected

	// openAs is the folder's UIDVALIDITY where it was looked at and is not open.
	openAs  mailbox.UIDValidity
	appends *appends // nil until something is sent
	last    step
	cut     bool // there was no last step: the reader has ended

	broken bool   // answers will not come, or cannot be noted
	wrote  bool   // messages were sent
	doubt  []sent // the first window without an answer; the receiver's until it has ended
}

// joint is what the lanes that write one folder share.
type joint struct {
	mu      sync.Mutex // guards what follows, and broken and wrote
	rec     *record
	tally   folderTally
	err     error
	again   bool          // it has to be prepared anew before anything is written
	refused []mailbox.UID // to be taken up again with more care
	unsure  bool          // what a lane that helped has sent has no answer
	// firstBroken is where answers failed first.
	firstBroken *folderWrite
}

// begin takes over the folder's tally where it is taken up again.
func (x *folderWrite) begin() {
	x.tally = x.f.tally
	x.tally.counted = true
	if x.f.only == nil {
		x.tally.seen = max(0, int64(x.prep.selected.Messages)-x.f.leftOut())
		x.tally.skipped, x.tally.failed, x.tally.unchanged = x.prep.skipped, 0, 0
	}
	x.tally.surplus += x.prep.surplus
	x.count()
	x.note(x.p.tooManySkipped())
}

func (x *folderWrite) count() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.p.mu.Lock()
	defer x.p.mu.Unlock()
	x.p.count(x.f, x.tally)
}

// commit makes safe what has changed in the record. Only one goroutine at a time
// commits; the others may go on while this one waits for the store.
func (x *folderWrite) commit(ctx context.Context) error {
	x.p.committing.Lock()
	defer x.p.committing.Unlock()
	x.count()
	x.mu.Lock()
	w, err := x.rec.window(x.p.tallyNow())
	x.mu.Unlock()
	if err != nil {
		return err
	}
	if err := x.p.store(ctx, w); err != nil {
		x.mu.Lock()
		x.rec.notStored(w)
		x.mu.Unlock()
		return err
	}
	return nil
}

// open makes and opens the target folder, if anything is to be done in it. Where
// messages have come in since its tail was read, they have to be looked at first.
func (x *folderWrite) open(ctx context.Context) error {
	hearsay := x.rec.TargetValidity == 0 // nothing is recorded under what the survey was told
	if hearsay && x.f.dst != nil {
		x.rec.TargetValidity = x.f.dst.UIDValidity
	}
	if len(x.prep.copy)+len(x.prep.changes)+len(x.prep.adopt)+len(x.prep.place) == 0 || x.prep.create && len(x.prep.copy) == 0 {
		return nil
	}
	var err error
	if x.target, err = x.p.target.session(ctx); err != nil {
		return err
	}
	if x.prep.create {
		if err := x.target.Create(ctx, []mailbox.NewFolder{{Name: x.f.target}})[0]; err != nil {
			return fmt.Errorf("create folder %q: %w", x.f.target, err)
		}
		x.f.dst = &mailbox.Status{UIDNext: 1}
		x.rec.TargetValidity, x.rec.TargetSeen, x.rec.stale = 0, 1, true
		x.rec.uids.forgetTargets()
	}
	looked := false
	if !x.prep.create && x.f.care == quick {
		x.selected, looked = x.w.peek(ctx, x.f, x.target)
	}
	if looked {
		x.openAs = x.selected.UIDValidity
	} else if x.selected, err = x.target.Select(ctx, x.f.target, false); err != nil {
		return err
	}
	if v := x.rec.TargetValidity; v != 0 && v != x.selected.UIDValidity {
		// Courier draws one at each STATUS, until a folder is opened for the first time.
		if hearsay && x.f.overtaken < 3 {
			x.rec.TargetValidity = 0
			return x.lookAgain()
		}
		return migration.NewFault(migration.SourceChanged, migration.ScopeFolder, migration.Target,
			"the target folder's UIDVALIDITY changed while the pass ran", nil)
	}
	x.rec.TargetValidity, x.f.dst.UIDValidity = x.selected.UIDValidity, x.selected.UIDValidity
	if x.f.overtaken < 3 && x.f.unexplained(x.selected.UIDNext).Minus(mailbox.Span(1, x.prep.tailRead-1)).Len() > 0 {
		return x.lookAgain()
	}
	return nil
}

// lookAgain has the folder taken up anew, with its tail read.
func (x *folderWrite) lookAgain() error {
	x.f.overtaken++
	x.f.fresh, x.again = true, true
	return errAborted
}

// carriage is what is done about flags in one go.
type carriage struct {
	changes          []flagChange
	adopted, updated int64
}

// flagsAtOnce bounds a carriage, in windows: a folder may hold a million messages that
// are adopted.
const flagsAtOnce = 5

// carriages are what prep says about flags: changes, then adoptions, then placings.
func (x *folderWrite) carriages() iter.Seq[carriage] {
	return func(yield func(carriage) bool) {
		prep, c := x.prep, carriage{changes: x.prep.changes, updated: int64(len(x.prep.changes))}
		add := func(change flagChange) bool {
			c.changes = append(c.changes, change)
			if len(c.changes) < flagsAtOnce*x.p.job.Window {
				return true
			}
			full := c
			c = carriage{}
			return yield(full)
		}
		for _, a := range prep.adopt {
			c.adopted++
			if !add(prep.adopting(a)) {
				return
			}
		}
		for _, a := range prep.place {
			change := prep.adopting(a)
			x.mu.Lock()
			_, base, _ := x.rec.uids.get(a.src)
			x.mu.Unlock()
			change.remove = base.Without(change.now)
			if !add(change) {
				return
			}
		}
		if len(c.changes) > 0 {
			yield(c)
		}
	}
}

// carryFlags adopts, places, and applies flag changes: first at the target, then in
// the record, so that nothing is believed to be carried that was not.
func (x *folderWrite) carryFlags(ctx context.Context) error {
	if x.target == nil {
		return nil
	}
	for c := range x.carriages() {
		if x.stopped() {
			return nil // what is left is found again
		}
		ops := storeOps(c.changes, x.selected.Keeps)
		if len(ops) == 0 {
			if err := x.flagsCarried(ctx, c); err != nil {
				return err
			}
			continue
		}
		failpoint.Reach(failpoint.BeforeFlags)
		if err := x.startAppends(ctx); err != nil {
			return err
		}
		x.appends.store(ctx, ops, c)
	}
	return nil
}

// flagsAnswered notes what the target said to flag changes.
func (x *folderWrite) flagsAnswered(ctx context.Context, c carriage, answer mailbox.Answer) error {
	if answer.Refused != nil {
		x.note(fmt.Errorf("change flags in %q: %w", x.f.target, answer.Refused))
		return nil
	}
	failpoint.Reach(failpoint.FlagsStored)
	return x.flagsCarried(ctx, c)
}

func (x *folderWrite) flagsCarried(ctx context.Context, c carriage) error {
	x.mu.Lock()
	for _, change := range c.changes {
		x.rec.deliver(change.src, change.dst, change.now)
	}
	x.tally.adopted += c.adopted
	x.tally.flagsUpdated += c.updated
	x.mu.Unlock()
	if err := x.commit(ctx); err != nil {
		return err
	}
	x.p.committed()
	return nil
}

// write appends one message, or skips it.
func (x *folderWrite) write(ctx context.Context, m *mailbox.Message) error {
	if limit := x.p.limit(x.target); limit > 0 && m.Size > limit {
		x.skip(x.item(m, peekHeader(m.Body), migration.MessageTooLarge,
			fmt.Sprintf("the message has %d bytes, the limit is %d", m.Size, limit)))
		return nil
	}
	if !x.wrote {
		if err := x.beginWriting(ctx); err != nil {
			return err
		}
	}
	if x.f.care == stepwise {
		return x.writeStepwise(ctx, m)
	}
	return x.appends.add(ctx, m, x.selected.Keeps(m.Flags))
}

// skip notes a message that is left behind for good. Once there is one too many, the pass
// ends, and what other folders come to just then is not looked at any more.
func (x *folderWrite) skip(it migration.Item) {
	x.mu.Lock()
	x.p.mu.Lock()
	err := x.p.tooMany(x.p.tally.Skipped)
	if err == nil {
		x.rec.skip(mailbox.UID(it.UID), it)
		x.tally.skipped++
		x.p.count(x.f, x.tally)
		err = x.p.tooMany(x.p.tally.Skipped)
	}
	x.p.mu.Unlock()
	x.mu.Unlock()
	x.note(err)
}

func (x *folderWrite) item(m *mailbox.Message, header []byte, code migration.Code, reason string) migration.Item {
	return migration.Item{
		Folder: displayPath(x.f.source), UID: uint32(m.UID), MessageID: messageID(header),
		Date: m.Date, Size: m.Size, Code: code, Reason: migration.Clean(reason),
	}
}

// end closes the folder: done, to be taken up again, or failed.
func (x *folderWrite) end(ctx context.Context) (*work, error) {
	s := x.last
	unsure := x.settleAppends()
	if x.hand != nil {
		return nil, x.endHelp(unsure)
	}
	if x.prep.shared != nil {
		x.prep.shared.await(ctx)
		x.mu.Lock()
		unsure = unsure || x.unsure
		x.mu.Unlock()
	}
	if cause := context.Cause(ctx); cause != nil || x.cut {
		return nil, cause
	}
	if unsure {
		return x.leaveToSettle()
	}
	if x.again {
		return x.f, nil
	}
	if x.err != nil {
		return x.afterError(ctx, x.err)
	}
	x.f.notBefore = time.Time{}
	x.tally.gone += s.gone
	switch {
	case x.p.hasYielded() || x.p.hasFailed(): // some of it may not have been sent
		return nil, x.pause(ctx)
	case s.err != nil && !errors.Is(s.err, errAborted):
		return x.readOn(ctx, s)
	case len(s.unread) > 0 && !x.f.readAgain && x.f.stuck < hopelessAfter:
		x.f.readAgain = true
		x.f.only = s.unread.Union(mailbox.NewUIDSet(x.refused...))
		return x.f, x.pause(ctx)
	}
	if x.skipUnread(s.unread); x.err != nil {
		return x.afterError(ctx, x.err)
	}
	if len(x.refused) > 0 {
		x.f.only, x.f.care = mailbox.NewUIDSet(x.refused...), x.f.care+1
		return x.f, x.pause(ctx)
	}
	if x.f.probing {
		// The messages in doubt are dealt with: the others go on as before.
		x.f.probing, x.f.unsure, x.f.fresh = false, 0, true
		x.f.only, x.f.care, x.f.synchronous = nil, quick, x.f.bad
		return x.f, x.pause(ctx)
	}
	if len(x.rec.uids.unplaced()) > 0 && !x.f.placing && x.target != nil {
		// The target does not tell UIDs: its tail does.
		x.f.placing, x.f.fresh, x.f.only, x.f.care = true, true, mailbox.UIDSet{}, quick
		return x.f, x.pause(ctx)
	}
	return nil, x.finish(ctx)
}

// readOn takes a folder up again whose reading broke off. Of a message that it cannot
// read a server may say so (NO), for all that were asked for with it: as when it hangs up
// over it, the rest is read without it in the end.
func (x *folderWrite) readOn(ctx context.Context, s step) (*work, error) {
	switch migration.AsFault(s.err).Scope {
	case migration.ScopeMessage:
		if x.f.unreadable++; x.f.unreadable > mostUnreadable {
			return x.afterError(ctx, s.err)
		}
	case migration.ScopeEndpoint:
	default:
		return x.afterError(ctx, s.err)
	}
	if x.skipUnread(s.unread); len(s.unread) > 0 {
		x.f.stuck = 1 // that was at another message
	}
	if x.err != nil {
		return x.afterError(ctx, x.err)
	}
	x.f.stuckOver = migration.AsFault(s.err).Reason
	x.f.only, x.f.care = nil, quick
	return x.f, x.pause(ctx)
}

func (x *folderWrite) skipUnread(unread mailbox.UIDSet) {
	reason := "the source lists the message and does not deliver it"
	if x.f.stuckOver != "" {
		reason += ": " + x.f.stuckOver
	}
	for u := range unread.All() {
		x.skip(x.item(&mailbox.Message{UID: u}, nil, migration.MessageUnreadable, reason))
	}
}

// pause commits a folder as it is, with nothing under way and something left.
func (x *folderWrite) pause(ctx context.Context) error {
	x.count()
	if x.rec.Writing {
		x.rec.Writing = false
		return x.commit(ctx)
	}
	return nil
}

// endHelp ends a lane's help with another's folder.
func (x *folderWrite) endHelp(unsure bool) error {
	x.mu.Lock()
	x.unsure = x.unsure || unsure
	x.mu.Unlock()
	x.hand.written()
	return nil
}

// finish records that the folder is in step with what the survey saw.
func (x *folderWrite) finish(ctx context.Context) error {
	r, now := x.rec, x.prep.selected.Status
	if x.f.src != nil {
		now = *x.f.src // the numbers from before anything was read
	}
	r.Writing, r.Gone, r.AgainBelow, r.SizeLimit = false, false, 0, x.p.sizeLimit
	r.Finished = x.tally.failed == 0
	r.SourceValidity, r.Messages, r.UIDNext, r.ModSeq = now.UIDValidity, now.Messages, now.UIDNext, now.HighestModSeq
	r.Since, r.Before = x.p.job.dates().seconds()
	r.LeftOut = x.f.leftBelow(now.UIDNext)
	r.TargetSeen = max(r.TargetSeen, x.prep.tailRead)
	t := &x.tally
	t.unchanged = max(0, t.seen-t.gone-t.copied-t.adopted-t.skipped-t.failed)
	x.p.mu.Lock()
	x.p.tally.FoldersDone++
	x.p.mu.Unlock()
	failpoint.Reach(failpoint.BeforeFinish)
	if err := x.commit(ctx); err != nil {
		return err
	}
	failpoint.Reach(failpoint.Finished)
	return nil
}

// leaveToSettle puts a folder aside in which the fate of a message is not known:
// the target may still apply it.
func (x *folderWrite) leaveToSettle() (*work, error) {
	x.count()
	fault := migration.AsFault(x.err)
	bad := errors.Is(x.err, mailbox.ErrBad)
	if errors.Is(x.err, migration.ErrLeaseLost) || fault.Class() != migration.Retry && !bad {
		return nil, x.err
	}
	f, broken := x.f, x
	f.only = nil
	x.p.settleFirst(f)
	if x.prep.shared != nil {
		f.disturbed++
		broken = x.firstBroken
	}
	if body := (*mailbox.BodyError)(nil); errors.As(x.err, &body) {
		return f, nil // the source failed in mid-message, not the target
	}
	trouble, first := broken.p.lostTarget(broken.target)
	if trouble > maxTrouble && broken == x && x.p.n == 0 {
		return nil, x.err
	}
	if !first {
		return f, nil // the connection ended over a folder before it
	}
	f.blamed++
	f.bad = f.bad || bad
	switch f.unsure++; {
	case f.unsure > 1 && len(broken.doubt) > 0:
		// Something in the window in doubt may make the server hang up: one message at a
		// time shows which.
		f.probing, f.only = true, nil
		for _, m := range broken.doubt {
			f.only = f.only.Union(mailbox.NewUIDSet(m.src))
		}
		f.synchronous, f.care = true, stepwise
	case f.bad:
		f.synchronous, f.care = true, max(f.care, apart) // no literal without its leave
	}
	return f, nil
}

// afterError decides what a definite error of this folder means for it and the pass.
func (x *folderWrite) afterError(ctx context.Context, err error) (*work, error) {
	fault := migration.AsFault(err)
	if x.prep.shared != nil {
		x.f.disturbed++
	}
	switch body := (*mailbox.BodyError)(nil); {
	case errors.Is(err, migration.ErrLeaseLost):
		return nil, err
	case errors.As(err, &body): // the source's, for the reader to judge
		x.f.only, x.f.care = nil, quick
		return x.f, x.pause(ctx)
	case fault.Scope == migration.ScopeFolder, fault.Scope == migration.ScopeMessage:
		if err := x.pause(ctx); err != nil {
			return nil, err
		}
		x.p.folderFailed(x.f, fault)
		return nil, nil
	case x.p.retires(): // the first lane will tell whether it is more than that
		x.f.fresh, x.f.only = true, nil
		return x.f, nil
	case fault.Scope == migration.ScopeEndpoint && fault.Class() == migration.Retry:
		x.p.target.lose(x.target, err)
		trouble, first := x.p.lostTarget(x.target)
		if first {
			x.f.blamed++
		}
		if trouble <= maxTrouble || x.p.n > 0 {
			x.f.fresh, x.f.only = true, nil
			return x.f, nil
		}
	}
	if perr := x.pause(ctx); perr != nil {
		return nil, errors.Join(err, perr)
	}
	return nil, err
}
