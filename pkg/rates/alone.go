package rates

import "time"

// alone is a bucket's small brother, for the time while Redis does not answer: this
// process's share of the rate, and next to no burst.
type alone struct {
	tokens float64
	at     time.Time // when tokens was right
}

// take gives tokens at once, or none and how long to wait; never longer than Redis is
// left alone.
func (a *alone) take(r request, share float64, now time.Time) grants {
	rate := float64(r.rate) * share
	if !a.at.IsZero() {
		a.tokens += rate * now.Sub(a.at).Seconds()
	}
	a.at = now
	a.tokens = min(a.tokens, max(1, rate*chunkTime.Seconds()))
	if a.tokens < 1 {
		// A little late rather than a little early: a fraction would ask once more.
		wait := time.Duration((1-a.tokens)/rate*float64(time.Second)) + time.Millisecond
		return grants{0, min(max(wait, leastPause), retryEvery)}
	}
	n := min(r.want, int64(a.tokens))
	a.tokens -= float64(n)
	return grants{n, 0}
}

// leastPause keeps a fast bucket from being looked at for every token.
const leastPause = 10 * time.Millisecond
