package store

import (
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// slots is one endpoint in the eyes of an admission.
type slots struct {
	id             int64
	max, maxResync int
	total, resync  int // live leases, and the resyncs among them
	// closed endpoints admit nobody: parked, outside their hours, the day's bytes used
	// up. probing ones are parked, but the time has
	// come to look: they admit one, who closes them.
	closed, probing bool
	// lastKind is which of first syncs and resyncs was admitted last.
	lastKind migration.PassKind
	batches  []*dueBatch // that have a side here
}

func (e *slots) full() bool { return e.closed || e.total >= e.max }

// park closes the endpoint as far as p says; probe is whether the pass that went
// first is still under way.
func (e *slots) park(p migration.Park, probe bool, now time.Time) {
	switch {
	case p.Held, p.Until.After(now):
		e.closed = true
	case !p.Until.IsZero():
		e.probing, e.closed = true, probe
	}
}

// share is how many resyncs there may be. Where first syncs wait too and the limit
// on resyncs leaves them nothing, one slot is theirs.
func (e *slots) share(firstWaits bool) int {
	n := min(e.maxResync, e.max)
	if firstWaits && n == e.max && e.max > 1 {
		n--
	}
	return n
}

// dueBatch is a batch of which users are due.
type dueBatch struct {
	id             int64
	org            *dueOrg
	source, target *slots
	stopped        bool  // only its preflights are looked at
	served         int64 // token of the lease it was given last
	groups         []*group
}

// dueOrg is an organisation that has such batches.
type dueOrg struct {
	id     int64
	served int64 // token of the lease it was given last
	live   int   // leases
}

// group is the users of a batch that are due at one turn, a page of them at a time.
type group struct {
	batch *dueBatch
	turn  int
	kind  migration.PassKind
	page  []candidate
	more  bool // there may be a further page
}

// candidate is a user that is due.
type candidate struct {
	id    int64
	due   int64
	login string
}

// The turns: the order of admission, as the column users.turn has it.
const (
	turnLast = 1 + iota
	turnYieldedVerify
	turnYieldedFirst
	turnYieldedResync
	turnResync
	turnFirst
	turnVerify
	turnPreflight
)

// turnKinds is what kind of pass a turn is for.
var turnKinds = map[int]migration.PassKind{
	turnLast:          migration.LastSync,
	turnYieldedVerify: migration.Verify,
	turnYieldedFirst:  migration.FirstSync,
	turnYieldedResync: migration.Resync,
	turnResync:        migration.Resync,
	turnFirst:         migration.FirstSync,
	turnVerify:        migration.Verify,
	turnPreflight:     migration.Preflighting,
}

// rounds is the order: cutover, yielded passes, resyncs up to their share, first
// syncs, verifies, preflights. Yielded passes come again after the resyncs, for the case that
// slots were kept for resyncs that then could not use them.
var rounds = [][]int{
	{turnLast},
	{turnYieldedVerify, turnYieldedFirst, turnYieldedResync},
	{turnResync},
	{turnYieldedVerify, turnYieldedFirst, turnYieldedResync},
	{turnFirst},
	{turnVerify},
	{turnPreflight},
}

// other is b's endpoint that is not e, e itself where there is only one.
func (b *dueBatch) other(e *slots) *slots {
	if b.source == e {
		return b.target
	}
	return b.source
}

// full tells whether b has an endpoint that admits nobody.
func (b *dueBatch) full() bool { return b.source.full() || b.target.full() }

func (b *dueBatch) waiting(kind migration.PassKind) int {
	n := 0
	for _, g := range b.groups {
		if g.kind == kind {
			n += len(g.page)
		}
	}
	return n
}

// firstWaits tells whether a first sync waits for e and could have a slot at its
// other endpoint.
func (e *slots) firstWaits() bool {
	for _, b := range e.batches {
		if b.waiting(migration.FirstSync) > 0 && !b.other(e).full() {
			return true
		}
	}
	return false
}

// resyncsWaiting is how many resyncs wait for e that their other endpoints would let
// in.
func (e *slots) resyncsWaiting() int {
	n := 0
	for _, b := range e.batches {
		w := b.waiting(migration.Resync)
		if o := b.other(e); o != e {
			if o.full() {
				continue
			}
			w = min(w, o.max-o.total, o.share(o.firstWaits())-o.resync)
		}
		n += max(w, 0)
	}
	return n
}

// admits tells whether e has a slot for a pass of kind. Where first syncs and
// resyncs both wait, slots are kept for the resyncs up to their share; the others
// are the first syncs'. With a single slot the two take turns.
func (e *slots) admits(kind migration.PassKind) bool {
	if e.full() {
		return false
	}
	switch kind {
	case migration.Resync:
		first := e.firstWaits()
		if first && e.max == 1 && e.lastKind == migration.Resync {
			return false
		}
		return e.resync < e.share(first)
	case migration.FirstSync:
		waiting := e.resyncsWaiting()
		if waiting == 0 {
			return true
		}
		if e.max == 1 {
			return e.lastKind != migration.FirstSync
		}
		kept := max(0, min(e.share(true)-e.resync, waiting))
		return e.total+kept < e.max
	default:
		return true
	}
}

// take counts a pass of kind that was admitted.
func (e *slots) take(kind migration.PassKind) {
	e.total++
	switch kind {
	case migration.Resync:
		e.resync++
		e.lastKind = kind
	case migration.FirstSync:
		e.lastKind = kind
	}
	if e.probing {
		e.closed = true
	}
}

// next picks the group whose user is to be admitted next among those of turns: of
// the organisation with the fewest leases, among equals the one served longest ago,
// the batch served longest ago. nil: nobody may be admitted.
func next(batches []*dueBatch, turns []int) *group {
	var best *group
	for _, b := range batches {
		if b.full() {
			continue
		}
		if best != nil && !before(b, best.batch) {
			continue
		}
		for _, turn := range turns {
			g := b.group(turn)
			if g != nil && len(g.page) > 0 && b.source.admits(g.kind) && (b.target == b.source || b.target.admits(g.kind)) {
				best = g
				break
			}
		}
	}
	return best
}

func (b *dueBatch) group(turn int) *group {
	for _, g := range b.groups {
		if g.turn == turn {
			return g
		}
	}
	return nil
}

// before tells whether it is a's turn before b's. By turns alone, an organisation
// whose passes take long would come to hold most of the workers' slots.
func before(a, b *dueBatch) bool {
	if a.org != b.org {
		if a.org.live != b.org.live {
			return a.org.live < b.org.live
		}
		if a.org.served != b.org.served {
			return a.org.served < b.org.served
		}
		return a.org.id < b.org.id
	}
	if a.served != b.served {
		return a.served < b.served
	}
	return a.id < b.id
}

// served marks a batch and its organisation as served with token, and takes its
// slots.
func (g *group) served(token int64) {
	b := g.batch
	b.served, b.org.served = token, token
	b.org.live++
	b.source.take(g.kind)
	if b.target != b.source {
		b.target.take(g.kind)
	}
}
