package migration

import (
	"fmt"
	"time"
)

// Rest is why and until when nobody works at an endpoint, by its operator's word: it
// is no fault, and no attempt of anybody.
type Rest struct {
	Code   Code // "" outside the hours
	Reason string
	Until  time.Time
}

// Traffic is what was copied from and to an endpoint on a day, the last that was
// counted.
type Traffic struct{ Day, Bytes int64 }

// DayOf is the day of t in UTC, counted from 1970.
func DayOf(t time.Time) int64 { return t.Unix() / int64(oneDay/time.Second) }

// BytesToday is what was copied from and to the endpoint since midnight in UTC.
func (e *Endpoint) BytesToday(now time.Time) int64 {
	if e.Traffic.Day < DayOf(now) {
		return 0
	}
	return e.Traffic.Bytes
}

// RestAt tells whether the endpoint rests now: outside its hours, or with the bytes
// of the day used up; nil: it does not. A day ends at midnight in UTC.
func (e *Endpoint) RestAt(now time.Time) *Rest {
	week, err := e.Hours.Week()
	if err != nil {
		week = Week{} // nothing is stored that cannot be read
	}
	if e.DailyBytes > 0 && e.BytesToday(now) >= e.DailyBytes {
		midnight := now.UTC().Truncate(oneDay).Add(oneDay)
		return &Rest{BudgetExhausted, fmt.Sprintf("the %d bytes a day of endpoint %s are used up", e.DailyBytes, e.Name), week.NextOpening(midnight)}
	}
	if week.Open(now) {
		return nil
	}
	return &Rest{Reason: fmt.Sprintf("endpoint %s is used %s only", e.Name, e.Hours), Until: week.NextOpening(now)}
}

// Later is the one of two rests that lasts longer; either may be nil.
func (r *Rest) Later(other *Rest) *Rest {
	if r == nil || other != nil && other.Until.After(r.Until) {
		return other
	}
	return r
}
