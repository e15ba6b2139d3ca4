package migration

import "time"

// Working is how many passes an endpoint is given after it asked for time: half as
// many as before, then one more each minute, up to what its operator allows. The zero
// Working is just that.
type Working struct {
	Limit int       // as of At
	At    time.Time // when it was halved last
}

const (
	// oneBurst is how long further answers of the same kind say nothing new: the passes
	// of one moment all get them.
	oneBurst = 30 * time.Second
	// growEvery is how long it takes until one more pass is tried.
	growEvery = time.Minute
)

// LimitAt is how many passes there may be now, where the operator allows limit.
func (w Working) LimitAt(limit int, now time.Time) int {
	if w.At.IsZero() {
		return limit
	}
	return min(limit, w.Limit+int(max(0, now.Sub(w.At))/growEvery))
}

// GrownAt is when the limit is the operator's again, zero where it is.
func (w Working) GrownAt(limit int, now time.Time) time.Time {
	if w.LimitAt(limit, now) >= limit {
		return time.Time{}
	}
	return w.At.Add(time.Duration(limit-w.Limit) * growEvery)
}

// Throttle returns what follows when the endpoint asks for time, and whether that is
// news.
func (w Working) Throttle(limit int, now time.Time) (Working, bool) {
	if !w.At.IsZero() && now.Sub(w.At) < oneBurst {
		return w, false
	}
	return Working{Limit: max(1, w.LimitAt(limit, now)/2), At: now}, true
}

// LimitAt is how many passes the endpoint is given now.
func (e *Endpoint) LimitAt(now time.Time) int {
	return e.Working.LimitAt(e.MaxConcurrentMigrations, now)
}
