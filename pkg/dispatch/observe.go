package dispatch

import (
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Times by which a lease's holder is judged.
const (
	// deadAfter is how long a counter stands still before its holder counts as gone;
	// holders raise it every 3 s and stop writing after 8 s without success.
	deadAfter = 10 * time.Second
	// lostAfter is how old a queued lease is before its task is looked for.
	lostAfter = 5 * time.Second
	// blinkAfter is the gap between two looks after which the observer trusts none of
	// what it saw before: while it was frozen, so may others have been.
	blinkAfter = 5 * time.Second
)

// observer watches leases on one monotonic clock.
type observer struct {
	deadAfter, lostAfter time.Duration
	last                 time.Time
	seen                 map[int64]sight
}

type sight struct {
	state migration.LeaseState
	beat  int64
	since time.Time
}

// look takes note of the leases there are now and returns those that stood still
// for too long: running ones whose holder is dead, and queued ones whose task may
// be lost.
func (o *observer) look(leases []migration.Lease, now time.Time) (dead, waiting []migration.Lease) {
	if now.Sub(o.last) > blinkAfter {
		o.seen = nil
	}
	o.last = now
	seen := make(map[int64]sight, len(leases))
	for _, l := range leases {
		s, known := o.seen[l.Token]
		if !known || s.state != l.State || s.beat != l.Beat {
			s = sight{state: l.State, beat: l.Beat, since: now}
		}
		seen[l.Token] = s
		still := now.Sub(s.since)
		switch {
		case l.State == migration.LeaseRunning && still >= o.deadAfter:
			dead = append(dead, l)
		case l.State == migration.LeaseQueued && still >= o.lostAfter:
			waiting = append(waiting, l)
		}
	}
	o.seen = seen
	return dead, waiting
}
