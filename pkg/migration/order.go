package migration

import (
	"slices"
	"time"
)

// Order is what a running pass is told to do at its window's end. The zero Order is to
// go on.
type Order struct {
	// Stop: an operator stopped or removed the user.
	Stop bool
	// Yield: others' limits say so. With Rest the mailbox waits until its end, else it
	// is the next to be admitted.
	Yield bool
	Rest  *Rest
}

// Orders tells what the passes of tokens are to do at their endpoints as they are set
// now: to yield where an endpoint rests, and where more passes are there than its
// operator allows, all but the oldest. live are all leases there, of all processes.
func Orders(tokens []int64, live []Lease, endpoints map[int64]*Endpoint, now time.Time) map[int64]Order {
	live = slices.SortedFunc(slices.Values(live), func(a, b Lease) int { return int(a.Token - b.Token) })
	rests := map[int64]*Rest{}
	for id, e := range endpoints {
		rests[id] = e.RestAt(now)
	}
	asked := make(map[int64]bool, len(tokens))
	for _, token := range tokens {
		asked[token] = true
	}
	total, resyncs := map[int64]int{}, map[int64]int{}
	out := map[int64]Order{}
	for _, l := range live {
		var o Order
		for _, id := range slices.Compact([]int64{l.SourceEndpointID, l.TargetEndpointID}) {
			total[id]++
			if l.Kind == Resync {
				resyncs[id]++
			}
			e := endpoints[id]
			if e == nil {
				continue
			}
			o.Rest = o.Rest.Later(rests[id])
			o.Yield = o.Yield || o.Rest != nil || total[id] > e.MaxConcurrentMigrations ||
				l.Kind == Resync && resyncs[id] > e.MaxConcurrentIncrementalSyncs
		}
		if asked[l.Token] {
			out[l.Token] = o
		}
	}
	return out
}
