package migration

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Workload is what a batch has to carry.
type Workload struct {
	Mailboxes       int
	Messages, Bytes int64
	// Of the largest mailbox of each kind.
	LargestMessages, LargestBytes int64
	// DailyBytes are what one mailbox may move in a day; 0: any number.
	DailyBytes int64
}

// BatchEstimate is how long the first syncs of a batch take.
type BatchEstimate struct {
	From, To    time.Duration // from beginning to end, the hours of rest included
	Concurrency int           // passes at once
	// Pilot names the batch that it was measured with; "": it is a guess.
	Pilot string
	// Comparable is whether the pilot's mailboxes are about as large.
	Comparable bool
	// Bound is what it is that takes the time, in plain words.
	Bound string
}

// Conservative figures of one mailbox where nothing was measured: what providers that
// throttle were seen to give, and what a server of one's own gives with ease.
var guesses = [2]pace{{messages: 50, bytes: 2e6}, {messages: 5, bytes: 200e3}}

// pace is how fast one mailbox goes, each a second.
type pace struct{ messages, bytes float64 }

// fast and slow are how long a mailbox takes by whichever of both says less, or more:
// of mail of the pilot's kind they say the same.
func (p pace) fast(messages, bytes int64) float64 {
	return min(float64(messages)/p.messages, float64(bytes)/p.bytes)
}

func (p pace) slow(messages, bytes int64) float64 {
	return max(float64(messages)/p.messages, float64(bytes)/p.bytes)
}

// Pilots that are too small to measure by.
const (
	pilotMessages = 50
	pilotWork     = time.Second
	// alike is how many times as large as the pilot's a mailbox may be, or as small.
	alike = 4
)

func (p Pilot) tells() bool {
	return p.Messages >= pilotMessages && p.Bytes > 0 && p.Work >= pilotWork && p.Synced > 0
}

// comparable tells whether the pilot's mailboxes are about as large as those of w.
func (p Pilot) comparable(w Workload) bool {
	if w.Mailboxes == 0 || w.Bytes == 0 {
		return false
	}
	ratio := float64(p.Bytes) / float64(p.Synced) / (float64(w.Bytes) / float64(w.Mailboxes))
	return ratio <= alike && ratio >= 1.0/alike
}

// ChoosePilot is the pilot to estimate w by: of those with mailboxes of about the same
// size the one with most of them, else the one that carried most; nil: there is none.
func ChoosePilot(pilots []Pilot, w Workload) *Pilot {
	var best *Pilot
	for i := range pilots {
		p := &pilots[i]
		if !p.tells() {
			continue
		}
		better := best == nil || p.comparable(w) && !best.comparable(w) ||
			p.comparable(w) == best.comparable(w) && cmp.Or(cmp.Compare(p.Synced, best.Synced), cmp.Compare(p.Bytes, best.Bytes)) > 0
		if better {
			best = p
		}
	}
	return best
}

// EstimateBatch tells how long it takes to carry w from source to target, beginning now
// and with nobody else there. capacity is how many passes the workers run at once; 0:
// none runs now.
func EstimateBatch(w Workload, source, target *Endpoint, capacity int, pilot *Pilot, now time.Time) BatchEstimate {
	out := BatchEstimate{Concurrency: max(1, min(source.MaxConcurrentMigrations, target.MaxConcurrentMigrations, max(1, w.Mailboxes)))}
	if capacity > 0 {
		out.Concurrency = min(out.Concurrency, capacity)
	}
	from, to, widen := guesses[0], guesses[1], 1.0
	if pilot != nil {
		p := pace{pilot.MessagesPerSecond(), pilot.BytesPerSecond()}
		from, to, widen = p, p, 1.25
		out.Pilot, out.Comparable = pilot.Batch, pilot.comparable(w)
		if !out.Comparable {
			widen = 2
		}
	}
	n := float64(out.Concurrency)
	fast := max(from.fast(w.Messages, w.Bytes)/n, from.fast(w.LargestMessages, w.LargestBytes)) / widen
	together, alone := to.slow(w.Messages, w.Bytes)/n, to.slow(w.LargestMessages, w.LargestBytes)
	slow := max(together, alone) * widen
	out.Bound = fmt.Sprintf("%d mailboxes at once", out.Concurrency)
	if out.Concurrency == 1 {
		out.Bound = "1 mailbox at once"
	}
	if alone > together {
		out.Bound = "the largest mailbox alone"
	}
	least, what := leastBySetRates(w, source, target)
	if days := w.days(); days > least {
		least, what = days, fmt.Sprintf("the largest mailbox, of which %d bytes may move in a day", w.DailyBytes)
	}
	if least > fast {
		fast = least
	}
	if least > slow {
		slow, out.Bound = least, what
	}
	var rests string
	out.From, _ = onTheCalendar(fast, w.Bytes, source, target, now)
	out.To, rests = onTheCalendar(slow, w.Bytes, source, target, now)
	if rests != "" {
		out.Bound += ", and " + rests
	}
	return out
}

// days is how long the largest mailbox takes at least, in seconds: a day for each day's
// bytes but the first.
func (w Workload) days() float64 {
	if w.DailyBytes == 0 || w.LargestBytes == 0 {
		return 0
	}
	return float64((w.LargestBytes-1)/w.DailyBytes) * oneDay.Seconds()
}

// leastBySetRates is the time, in seconds, that the operators' limits on rates leave no
// way around.
func leastBySetRates(w Workload, source, target *Endpoint) (least float64, what string) {
	for _, e := range []*Endpoint{source, target} {
		if e.BytesPerSecond > 0 {
			if t := float64(w.Bytes) / float64(e.BytesPerSecond); t > least {
				least, what = t, "the bytes a second of endpoint "+e.Name
			}
		}
		if e.MessagesPerSecond > 0 {
			if t := float64(w.Messages) / float64(e.MessagesPerSecond); t > least {
				least, what = t, "the messages a second of endpoint "+e.Name
			}
		}
	}
	return least, what
}

// longest is how far an estimate looks: what takes longer is told as that.
const longest = 366 * oneDay

// onTheCalendar spreads work of so many seconds and bytes over the hours of both
// endpoints and their bytes a day, and tells which of these lengthened it.
func onTheCalendar(seconds float64, bytes int64, source, target *Endpoint, now time.Time) (took time.Duration, what string) {
	left := time.Duration(min(seconds, longest.Seconds()) * float64(time.Second))
	rate := float64(bytes) / max(seconds, 1e-9)
	var reasons []string
	because := func(r string) {
		if !slices.Contains(reasons, r) {
			reasons = append(reasons, r)
		}
	}
	at := now
	spent := map[*Endpoint]float64{source: float64(source.BytesToday(now)), target: float64(target.BytesToday(now))}
	day := DayOf(now)
	for left > 0 && at.Sub(now) < longest {
		if d := DayOf(at); d > day {
			day, spent[source], spent[target] = d, 0, 0
		}
		step := min(left, 10*time.Minute, nextMidnight(at).Sub(at))
		var rest time.Time
		for _, e := range []*Endpoint{source, target} {
			week, err := e.Hours.Week()
			if err == nil && !week.Open(at) {
				rest = later(rest, week.NextOpening(at))
				because("endpoint " + e.Name + " is used " + string(e.Hours) + " only")
			}
			if e.DailyBytes > 0 && spent[e] >= float64(e.DailyBytes) {
				rest = later(rest, nextMidnight(at))
				because(fmt.Sprintf("endpoint %s gives %d bytes a day", e.Name, e.DailyBytes))
			} else if e.DailyBytes > 0 && rate > 0 {
				step = min(step, time.Duration((float64(e.DailyBytes)-spent[e])/rate*float64(time.Second))+time.Second)
			}
		}
		if !rest.IsZero() {
			at = rest
			continue
		}
		at, left = at.Add(step), left-step
		spent[source] += rate * step.Seconds()
		if target != source {
			spent[target] += rate * step.Seconds()
		}
	}
	return min(at.Sub(now), longest), strings.Join(reasons, ", ")
}

func nextMidnight(t time.Time) time.Time { return t.UTC().Truncate(oneDay).Add(oneDay) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Advice is what a pilot recommends for the batches after it, and why.
type Advice struct {
	MaxConcurrentMigrations int
	BatchSize               int
	Because                 []string
}

// Allowance is what is known of the connections that a server takes; 0: nothing.
type Allowance struct{ PerUser, PerAddress int }

// oneNight is in what time a batch is to be in step.
const oneNight = 8 * time.Hour

// Advise recommends how many mailboxes to move at once, and how many to put into one
// batch, from how the pilot went; nil: it tells nothing.
func (p Pilot) Advise(source, target *Endpoint, capacity int, allowed [2]Allowance) *Advice {
	if !p.tells() {
		return nil
	}
	limit := min(source.MaxConcurrentMigrations, target.MaxConcurrentMigrations)
	a := &Advice{MaxConcurrentMigrations: limit}
	used, asked := p.Concurrency(), p.throttledBy(source, target)
	switch {
	case asked != nil:
		a.MaxConcurrentMigrations = max(1, min(limit, asked.Working.Limit))
		a.because("endpoint %s asked for time while the pilot ran: stay at the %d at once that it was left with", asked.Name, a.MaxConcurrentMigrations)
	case p.Failed*100 > 3*p.Users:
		a.because("%d of the %d mailboxes of %s failed: mend these before more move at once", p.Failed, p.Users, p.Batch)
	case used < 0.8*float64(limit):
		a.because("%.1f mailboxes moved at once on the average, of the %d allowed: %s does not show what more would do", used, limit, p.Batch)
	default:
		a.MaxConcurrentMigrations = 2 * limit
		a.because("all of the %d allowed were used (%.1f on the average), and no server asked for time: try twice as many", limit, used)
	}
	a.within(source, target, capacity, allowed)
	each := p.Work / time.Duration(p.Synced)
	a.BatchSize = roundDown(max(1, int(math.Min(1e6, float64(a.MaxConcurrentMigrations)*oneNight.Seconds()/max(each.Seconds(), 0.001)))))
	a.because("a mailbox took %s on the average: %d at once bring about %d in a night of %.0f hours",
		each.Round(100*time.Millisecond), a.MaxConcurrentMigrations, a.BatchSize, oneNight.Hours())
	return a
}

func (a *Advice) because(what string, args ...any) {
	a.Because = append(a.Because, fmt.Sprintf(what, args...))
}

// within holds the advice to what the servers and the workers can do.
func (a *Advice) within(source, target *Endpoint, capacity int, allowed [2]Allowance) {
	each := max(1, min(source.ConnectionsPerMailbox, target.ConnectionsPerMailbox))
	for i, e := range []*Endpoint{source, target} {
		if most := allowed[i].PerAddress / each; allowed[i].PerAddress > 0 && a.MaxConcurrentMigrations > max(1, most) {
			a.MaxConcurrentMigrations = max(1, most)
			a.because("the server of endpoint %s lets %d connections of one address in, unless it was told otherwise", e.Name, allowed[i].PerAddress)
		}
	}
	if capacity > 0 && a.MaxConcurrentMigrations > capacity {
		a.because("the workers run %d passes at once: start more of them, or give them a higher MAILHAUL_CONCURRENCY", capacity)
	}
}

// throttledBy is the endpoint that asked for time while the pilot ran, nil for none.
func (p Pilot) throttledBy(endpoints ...*Endpoint) *Endpoint {
	for _, e := range endpoints {
		if at := e.Working.At; !at.IsZero() && !at.Before(p.StartedAt) && !at.After(p.LastAt) {
			return e
		}
	}
	return nil
}

// roundDown leaves two digits.
func roundDown(n int) int {
	unit := 1
	for n/unit >= 100 {
		unit *= 10
	}
	return n / unit * unit
}

// JudgeConnections tells where an endpoint's limits and its server's do not fit together.
func JudgeConnections(e *Endpoint, side Side, allowed Allowance) (out []Finding) {
	each := max(1, e.ConnectionsPerMailbox)
	add := func(level Level, text string, args ...any) {
		out = append(out, Finding{Code: FindingConnections, Level: level, Side: side, Text: Clean(fmt.Sprintf(text, args...))})
	}
	if allowed.PerUser > 0 && each > allowed.PerUser {
		add(LevelWarning, "endpoint %s: %d connections for one mailbox, and the server is known to let in %d of one user: lower connectionsPerMailbox", e.Name, each, allowed.PerUser)
	}
	all := e.MaxConcurrentMigrations * each
	switch {
	case allowed.PerAddress > 0 && all > allowed.PerAddress:
		add(LevelWarning, "endpoint %s: %d mailboxes at once with %d connections each, and the server is known to let in %d of one address: "+
			"raise its limit, put workers behind several addresses, or lower maxConcurrentMigrations to %d", e.Name, e.MaxConcurrentMigrations, each, allowed.PerAddress, max(1, allowed.PerAddress/each))
	case allowed.PerUser > 0:
		add(LevelNote, "endpoint %s: the server is known to let in %d connections of one user; a pass takes %d. No limit of one address or of all is known: "+
			"raise maxConcurrentMigrations (%d) when a pilot has shown that it bears more", e.Name, allowed.PerUser, each, e.MaxConcurrentMigrations)
	default:
		add(LevelNote, "endpoint %s: no limit of its server on connections is known; raise maxConcurrentMigrations (%d) when a pilot has shown that it bears more", e.Name, e.MaxConcurrentMigrations)
	}
	return out
}
