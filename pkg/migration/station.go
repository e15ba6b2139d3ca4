package migration

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Slots is how many passes of a kind hold a slot at an endpoint.
type Slots struct {
	EndpointID, OrgID int64
	Org, Endpoint     string
	Kind              PassKind
	InUse             int
}

// Backlog is how many users are due for a kind of pass between two endpoints.
type Backlog struct {
	OrgID, SourceEndpointID, TargetEndpointID int64
	Kind                                      PassKind
	Users                                     int
}

// PassKinds are the kinds of pass in the order of admission.
var PassKinds = []PassKind{LastSync, Resync, FirstSync, Verify, Preflighting}

// Station is an endpoint with what is going on at it.
type Station struct {
	Endpoint
	InUse map[PassKind]int // slots that passes hold
	Due   map[PassKind]int // users that are due and have a side here
}

// NewStations makes stations of endpoints, by their IDs. Passes and users with both
// sides at one endpoint count once there.
func NewStations(endpoints []Endpoint, slots []Slots, backlog []Backlog) map[int64]*Station {
	out := make(map[int64]*Station, len(endpoints))
	for _, e := range endpoints {
		out[e.ID] = &Station{Endpoint: e, InUse: map[PassKind]int{}, Due: map[PassKind]int{}}
	}
	for _, v := range slots {
		if s := out[v.EndpointID]; s != nil {
			s.InUse[v.Kind] += v.InUse
		}
	}
	for _, b := range backlog {
		if s := out[b.SourceEndpointID]; s != nil {
			s.Due[b.Kind] += b.Users
		}
		if s := out[b.TargetEndpointID]; s != nil && b.TargetEndpointID != b.SourceEndpointID {
			s.Due[b.Kind] += b.Users
		}
	}
	return out
}

// ByName lists stations by name.
func ByName(stations map[int64]*Station) []*Station {
	return slices.SortedFunc(maps.Values(stations), func(a, b *Station) int { return strings.Compare(a.Name, b.Name) })
}

// Total is how many slots are in use.
func (s *Station) Total() int {
	n := 0
	for _, v := range s.InUse {
		n += v
	}
	return n
}

// limit is how many passes there may be now.
func (s *Station) limit(now time.Time) int { return s.LimitAt(now) }

// Closed tells why nobody is admitted there now, or nobody for a pass of kind ("" for
// what holds for all kinds). Empty: somebody is.
func (s *Station) Closed(kind PassKind, now time.Time) []Reason {
	var out []Reason
	add := func(r ReasonKind, until time.Time, remedy, what string, args ...any) {
		out = append(out, Reason{Kind: r, Endpoint: s.Name, Until: until, Remedy: remedy, What: fmt.Sprintf(what, args...)})
	}
	p := s.Park
	switch {
	case p.Held:
		add(ReasonHeld, time.Time{}, p.Code.Remedy()+" Nothing is tried at the endpoint before it is changed (mailhaul endpoint set "+s.Name+").",
			"endpoint %s is held after %s: %s", s.Name, p.Code, p.Reason)
	case p.Until.After(now):
		add(ReasonParked, p.Until, p.Code.Remedy(), "endpoint %s is parked after %s: %s", s.Name, p.Code, p.Reason)
	case p.Untried() && s.Total() > 0:
		add(ReasonProbe, time.Time{}, "Wait until it has opened its first mailbox; the others follow.",
			"the administrator of endpoint %s has a new password, and one pass goes first to see whether it is right", s.Name)
	case !p.Until.IsZero() && s.Total() > 0:
		add(ReasonProbe, time.Time{}, "Wait for its end; the others follow when it gets through.",
			"endpoint %s was parked after %s, and one pass goes first to see whether it is well again", s.Name, p.Code)
	}
	if r := s.RestAt(now); r != nil {
		add(ReasonResting, r.Until, "Wait, or change its hours or its budget: mailhaul endpoint set "+s.Name+".", "%s", r.Reason)
	}
	total, resyncs := s.Total(), s.InUse[Resync]
	remedy := fmt.Sprintf("Wait, or raise the limit if the mail system can take more: mailhaul endpoint set %s --max-concurrent-migrations %d.", s.Name, 2*s.MaxConcurrentMigrations)
	lowered, grown := "", s.Working.GrownAt(s.MaxConcurrentMigrations, now)
	if !grown.IsZero() {
		lowered = fmt.Sprintf(": the server throttled, so its limit of %d is lowered, and grows again by one a minute", s.MaxConcurrentMigrations)
		remedy = "Wait: a higher limit would change nothing. If it comes again and again, lower it: mailhaul endpoint set " + s.Name + " --max-concurrent-migrations."
	}
	switch n := s.limit(now); {
	case total >= n:
		add(ReasonLimit, grown, remedy, "all %d slots of endpoint %s are taken%s", n, s.Name, lowered)
	case kind == Resync && resyncs >= s.share(now):
		if s.share(now) >= s.MaxConcurrentIncrementalSyncs { // it is their own limit
			lowered, grown = "", time.Time{}
			remedy = fmt.Sprintf("Wait, or raise their share: mailhaul endpoint set %s --max-concurrent-incremental-syncs %d.", s.Name, 2*s.MaxConcurrentIncrementalSyncs)
		}
		add(ReasonShare, grown, remedy, "the %d slots of endpoint %s that resyncs may have are taken%s", s.share(now), s.Name, lowered)
	case kind == FirstSync && total+s.kept(now) >= n:
		add(ReasonShare, grown, remedy, "the free slots of endpoint %s are kept for resyncs that wait too%s", s.Name, lowered)
	}
	return out
}

// Waits tells what keeps those who wait at the endpoint, each reason once.
func (s *Station) Waits(now time.Time) []Reason {
	var out []Reason
	for _, kind := range PassKinds {
		if s.Due[kind] == 0 {
			continue
		}
		for _, r := range s.Closed(kind, now) {
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	if len(out) == 0 && s.rests(now) { // also where nobody waits yet
		out = s.Closed("", now)
	}
	return out
}

// share is how many resyncs there may be: where first syncs wait too and the limit on
// resyncs leaves them nothing, one slot is theirs.
func (s *Station) share(now time.Time) int {
	n := min(s.MaxConcurrentIncrementalSyncs, s.limit(now))
	if s.Due[FirstSync] > 0 && n == s.limit(now) && n > 1 {
		n--
	}
	return n
}

// kept is how many slots first syncs leave to resyncs. A single slot goes from one to
// the other by turns.
func (s *Station) kept(now time.Time) int {
	if s.limit(now) == 1 {
		return 0
	}
	return max(0, min(s.share(now)-s.InUse[Resync], s.Due[Resync]))
}

// Estimate is how long it takes until everybody who is due now has had a pass: the
// time of all those passes (users due of each kind times the mean of such a pass)
// over the slots that there are, at whichever is the narrowest, the workers or an
// endpoint. It takes no account of who becomes due meanwhile. Users at an endpoint
// that is held or parked are left out: nobody knows when it is well again. known is
// false where nobody else is due, no pass has been measured yet, or nobody takes work.
func Estimate(backlog []Backlog, stations map[int64]*Station, tempo Tempo, capacity int, now time.Time) (d time.Duration, known bool) {
	var all float64
	rests := false
	at := map[*Station]float64{}
	for _, b := range backlog {
		source, target := stations[b.SourceEndpointID], stations[b.TargetEndpointID]
		if b.Users == 0 || source == nil || target == nil {
			continue
		}
		if source.rests(now) || target.rests(now) {
			rests = true
			continue
		}
		mean, measured := tempo.Mean(b.Kind)
		if !measured {
			return 0, false
		}
		work := mean.Seconds() * float64(b.Users)
		all += work
		at[source] += work
		if target != source {
			at[target] += work
		}
	}
	if all == 0 {
		return 0, !rests
	}
	if capacity <= 0 {
		return 0, false
	}
	longest := all / float64(capacity)
	for s, work := range at {
		longest = max(longest, work/float64(max(1, s.limit(now))))
	}
	const aDecade = 10 * 365 * 24 * time.Hour
	return time.Duration(math.Min(longest, aDecade.Seconds()) * float64(time.Second)), true
}

func (s *Station) rests(now time.Time) bool {
	return s.Park.Held || s.Park.Until.After(now) || s.RestAt(now) != nil
}
