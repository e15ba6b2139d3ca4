package mailsync

import (
	"context"
	"errors"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// prepared is what is to be done in one folder, decided before anything is written.
type prepared struct {
	selected mailbox.Selected // the source's
	// adopt are messages that the tail holds already; place those of them that the
	// record knows as delivered.
	adopt, place []adoption
	changes      []flagChange
	// copy is what to fetch; UIDs in it that do not exist are no matter.
	copy mailbox.UIDSet
	// exact says that all of copy was seen to exist.
	exact bool
	// listed are those of copy that the server told of as changed, which new ones are.
	listed mailbox.UIDSet
	// tailRead is the target's UIDNEXT when its tail was read: TargetSeen once the
	// folder is finished.
	tailRead mailbox.UID
	create   bool // the target folder has to be made (again) before anything is copied
	surplus  int64
	skipped  int64 // skipped by earlier passes, still there
	flagSets flagSets
	// shared is set where several lanes may copy the folder.
	shared *sharing
}

// adoption is a message that both sides have, with its flags there: indexes into flagSets.
type adoption struct {
	pair
	flags, has uint32
}

// adopting returns what is to be done about a message that was found: the target gets the
// flags that it lacks, but none that says that it is to go.
func (prep *prepared) adopting(a adoption) flagChange {
	flags := prep.flagSets.sets[a.flags]
	return flagChange{src: a.src, dst: a.dst, now: flags, add: flags.Without(prep.flagSets.sets[a.has]).Without(mailbox.Flags{mailbox.Deleted})}
}

// errRenumbered says that the source's UIDs are others than those recorded.
var errRenumbered = errors.New("the source folder's UIDVALIDITY is not the one recorded")

// prepare looks at both sides of a folder. It changes nothing at the target, and in
// the record only what it knows to be void.
func (p *lane) prepare(ctx context.Context, f *work) (*prepared, error) {
	prep, err := p.lookAt(ctx, f)
	if errors.Is(err, errRenumbered) {
		f.rec.forget(false)
		f.rec.TargetSeen = 1
		prep, err = p.lookAt(ctx, f)
	}
	return prep, err
}

func (p *lane) lookAt(ctx context.Context, f *work) (*prepared, error) {
	prep := &prepared{}
	var err error
	if f.rec.Writing {
		f.fresh = true
	}
	tail, all, err := p.readTail(ctx, f, prep)
	if err != nil {
		return nil, err
	}
	if f.isEmpty() {
		prep.selected.Status, prep.exact = *f.src, true // an empty folder is not opened
		return prep, nil
	}
	p.source.use.Lock()
	defer p.source.use.Unlock()
	source, err := p.source.session(ctx)
	if err != nil {
		return nil, err
	}
	if prep.selected, err = source.Select(ctx, f.source.Name, true); err != nil {
		return nil, err
	}
	told := f.src != nil && (f.rec.SourceValidity != 0 || f.src.UIDValidity == prep.selected.UIDValidity)
	if !told { // by the survey, of this folder: these are the numbers from before anything was read
		now := prep.selected.Status
		f.src = &now
	}
	if f.rec.SourceValidity != 0 && prep.selected.UIDValidity != f.rec.SourceValidity {
		if !told {
			return nil, errRenumbered
		}
		return nil, migration.NewFault(migration.SourceChanged, migration.ScopeFolder, migration.Source,
			"the folder's UIDVALIDITY changed while the pass ran", nil)
	}
	f.rec.SourceValidity = prep.selected.UIDValidity
	if err := p.undecided(ctx, f, source, prep, tail, all); err != nil {
		return nil, err
	}
	if err := p.flagChanges(ctx, f, source, prep); err != nil {
		return nil, err
	}
	return prep, p.stillSkipped(ctx, f, source, prep)
}

// readTail reads the fingerprints of the target messages that no record explains.
// Where a writer ended without a word all also holds those like them that were
// delivered shortly before or later: what it brought twice shows there.
func (p *lane) readTail(ctx context.Context, f *work, prep *prepared) (tail, all []entry, err error) {
	if f.dst == nil {
		prep.create, prep.tailRead = true, 1
		return nil, nil, nil
	}
	if !f.fresh && f.dst.UIDNext != 0 && f.unexplained(f.dst.UIDNext).Len() == 0 {
		prep.tailRead = f.dst.UIDNext
		return nil, nil, nil
	}
	p.target.use.Lock()
	defer p.target.use.Unlock()
	target, err := p.target.session(ctx)
	if err != nil {
		return nil, nil, err
	}
	sel, err := target.Select(ctx, f.target, false)
	if err != nil {
		return nil, nil, err
	}
	if f.dst.UIDValidity == 0 && f.rec.TargetValidity != 0 && sel.UIDValidity != f.rec.TargetValidity {
		f.rec.forget(true) // the survey could not tell
		f.rec.TargetSeen = 1
	}
	f.dst.UIDValidity = sel.UIDValidity
	if f.rec.TargetValidity != 0 && sel.UIDValidity != f.rec.TargetValidity {
		return nil, nil, migration.NewFault(migration.SourceChanged, migration.ScopeFolder, migration.Target,
			"the target folder's UIDVALIDITY changed while the pass ran", nil)
	}
	f.rec.TargetValidity = sel.UIDValidity
	prep.tailRead = sel.UIDNext
	loose := f.unexplained(sel.UIDNext)
	if loose.Len() == 0 || sel.Messages == 0 {
		return nil, nil, nil
	}
	tail = make([]entry, 0, min(loose.Len(), int64(sel.Messages), mostExpected))
	if err = target.Metas(ctx, loose, func(m mailbox.Meta) error {
		tail = append(tail, prep.flagSets.entryOf(m))
		return nil
	}); err != nil || len(tail) == 0 || !f.rec.Writing {
		return tail, tail, err
	}
	first := tail[0].uid
	like := map[twin]bool{}
	for _, e := range tail {
		first = min(first, e.uid)
		like[e.twin()] = true
	}
	first = max(f.rec.TargetSeen, first-min(first-1, mailbox.UID(p.around())))
	all = slices.Clone(tail)
	err = target.Metas(ctx, mailbox.Span(first, sel.UIDNext-1).Minus(loose), func(m mailbox.Meta) error {
		if e := prep.flagSets.entryOf(m); like[e.twin()] {
			all = append(all, e)
		}
		return nil
	})
	return tail, all, err
}

// mostExpected is for how many messages room is made because a server says that there
// are so many.
const mostExpected = 1 << 18

// unexplained are the target UIDs below next that may be deliveries without a record.
func (f *work) unexplained(next mailbox.UID) mailbox.UIDSet {
	if next <= f.rec.TargetSeen {
		return nil
	}
	return mailbox.Span(f.rec.TargetSeen, next-1).Minus(f.rec.uids.targets(f.rec.TargetSeen))
}

// undecided finds what is to be copied, adopted and placed.
func (p *lane) undecided(ctx context.Context, f *work, source mailbox.Session, prep *prepared, tail, all []entry) error {
	open := f.undecidedUIDs(prep.selected)
	f.decidedAtStart = f.rec.uids.len() + int64(len(f.rec.skipped))
	dated := false
	switch {
	case f.only != nil:
		open = open.Intersect(f.only)
	case !p.job.dates().any():
		var err error
		if open, err = p.ofTime(ctx, f, source, prep.selected, open); err != nil {
			return err
		}
		dated = true
	}
	prep.copy, prep.exact = open, dated
	unplaced := f.rec.uids.unplaced()
	if len(tail) == 0 || len(open) == 0 && len(unplaced) == 0 && !f.rec.Writing {
		if prep.create && f.rec.uids.len() > 0 {
			return p.onlyIfNew(ctx, source, prep)
		}
		return nil
	}
	found, err := p.recogniseSoon(ctx, f, source, prep, tail)
	if err == nil && found == nil {
		found, err = p.recognise(ctx, f, source, prep, open.Union(unplaced), tail)
	}
	if err != nil {
		return err
	}
	slices.SortFunc(tail, byUID)
	slices.SortFunc(found.source, byUID)
	known, taken := make([]mailbox.UID, len(found.pairs)), make([]mailbox.UID, len(found.pairs))
	for i, x := range found.pairs {
		a := adoption{pair: x, flags: entryOfUID(found.source, x.src).flags &^ namedBit, has: entryOfUID(tail, x.dst).flags &^ namedBit}
		if unplaced.Contains(x.src) {
			prep.place = append(prep.place, a)
		} else {
			prep.adopt = append(prep.adopt, a)
		}
		known[i], taken[i] = x.src, x.dst
	}
	loose := mailbox.NewUIDSet(uids(tail)...).Minus(mailbox.NewUIDSet(taken...))
	prep.copy, prep.exact = found.left.Minus(mailbox.NewUIDSet(known...)).Intersect(open), found.exact || dated
	if !found.exact {
		f.decidedAtStart += int64(len(known)) // they are not among those gone
	}
	return p.findSurplus(ctx, f, prep, all, loose)
}

// undecidedUIDs are the source UIDs that may have to be copied. In a folder that was
// finished only later ones can be.
func (f *work) undecidedUIDs(sel mailbox.Selected) mailbox.UIDSet {
	last := mailbox.MaxUID
	if sel.UIDNext > 0 {
		last = sel.UIDNext - 1
	}
	if sel.Messages == 0 {
		return nil
	}
	first := mailbox.UID(1)
	if f.rec.Finished {
		first = f.rec.UIDNext
	}
	return mailbox.Span(first, last).Minus(f.rec.decided())
}

// onlyIfNew limits the copy to messages that exist, because the target folder was
// deleted by its user and comes back only if there are any.
func (p *lane) onlyIfNew(ctx context.Context, source mailbox.Session, prep *prepared) error {
	var there []mailbox.UID
	if err := source.Flags(ctx, prep.copy, 0, func(u mailbox.UID, _ mailbox.Flags) error {
		there = append(there, u)
		return nil
	}); err != nil {
		return err
	}
	prep.copy, prep.exact = mailbox.NewUIDSet(there...), true
	return nil
}

// findSurplus counts messages that a writer believed dead brought a second time.
func (p *lane) findSurplus(ctx context.Context, f *work, prep *prepared, all []entry, loose mailbox.UIDSet) error {
	if !f.rec.Writing || len(loose) == 0 {
		return nil
	}
	groups := twins(all, loose)
	if len(groups) == 0 {
		return nil
	}
	var ask []mailbox.UID
	for _, g := range groups {
		ask = append(ask, g...)
	}
	found, err := p.targetContents(ctx, f, mailbox.NewUIDSet(ask...))
	if err != nil {
		return err
	}
	prep.surplus = surplusOf(groups, loose, found)
	return nil
}

// flagChanges compares the source's flags with the base.
func (p *lane) flagChanges(ctx context.Context, f *work, source mailbox.Session, prep *prepared) error {
	ask, ok := f.flagsToRead(prep.selected.HighestModSeq)
	if !ok {
		return nil
	}
	var listed []mailbox.UID
	err := source.Flags(ctx, ask.Set, ask.Since, func(u mailbox.UID, flags mailbox.Flags) error {
		dst, base, ok := f.rec.uids.get(u)
		if !ok && prep.copy.Contains(u) {
			listed = append(listed, u)
		}
		if !ok || dst == 0 { // or not known where: undecided places it, with its flags
			return nil
		}
		if c, changed := threeWay(u, dst, base, flags); changed {
			prep.changes = append(prep.changes, c)
		}
		return nil
	})
	prep.listed = mailbox.NewUIDSet(listed...)
	return err
}

// flagsToRead is what has to be read to find changed flags where the source is at
// modification now; ok is false where none can have changed. What is told of changes
// tells of new messages too, and so which of those to be copied there are.
func (f *work) flagsToRead(now mailbox.ModSeq) (ask mailbox.Read, ok bool) {
	if f.rec.uids.len() == 0 || f.only != nil {
		return mailbox.Read{}, false
	}
	delivered := f.rec.uids.sources()
	first, last := delivered[0].First, delivered[len(delivered)-1].Last
	switch then := f.rec.ModSeq; {
	case !f.rec.Finished || now == 0 || now < then:
		return mailbox.Read{Set: mailbox.Span(first, last)}, true
	case now == then:
		return mailbox.Read{}, false
	default:
		return mailbox.Read{Set: mailbox.Span(first, mailbox.MaxUID), Since: then}, true
	}
}

// stillSkipped counts the messages skipped by earlier passes that are still there.
func (p *lane) stillSkipped(ctx context.Context, f *work, source mailbox.Session, prep *prepared) error {
	set := f.rec.skippedUIDs()
	if len(set) == 0 || f.only != nil {
		return nil
	}
	there := map[mailbox.UID]bool{}
	if err := source.Flags(ctx, set, 0, func(u mailbox.UID, _ mailbox.Flags) error {
		there[u] = true
		return nil
	}); err != nil {
		return err
	}
	for u := range f.rec.skipped {
		if !there[u] {
			delete(f.rec.skipped, u)
			f.rec.stale = true
		}
	}
	prep.skipped = int64(len(there))
	return nil
}
