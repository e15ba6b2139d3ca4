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

// Traffic is what was copied from and to an endpoint, or for a user, on a day, the last
// that was counted.
type Traffic struct{ Day, Bytes int64 }

// Add counts bytes on a day. Whose clock is late at midnight counts for the new day.
func (t Traffic) Add(day, bytes int64) Traffic {
	if day > t.Day {
		return Traffic{day, bytes}
	}
	t.Bytes += bytes
	return t
}

// On is what was copied on a day.
func (t Traffic) On(day int64) int64 {
	if t.Day < day {
		return 0
	}
	return t.Bytes
}

// DayOf is the day of t in UTC, counted from 1970.
func DayOf(t time.Time) int64 { return t.Unix() / int64(oneDay/time.Second) }

// BytesToday is what was copied from and to the endpoint since midnight in UTC.
func (e *Endpoint) BytesToday(now time.Time) int64 {
	return e.Traffic.On(DayOf(now))
}

// RestAt tells whether the endpoint rests now: outside its hours, or with the bytes
// of the day used up; nil: it does not. A day ends at midnight in UTC.
func (e *Endpoint) RestAt(now time.Time) *Rest {
	week, err := e.Hours.Week()
	if err != nil {
		week = Week{} // nothing is stored that cannot be read
	}
	if e.DailyBytes > 0 && e.BytesToday(now) >= e.DailyBytes {
		return &Rest{BudgetExhausted, fmt.Sprintf("the %d bytes a day of endpoint %s are used up", e.DailyBytes, e.Name), week.NextOpening(midnight(now))}
	}
	if week.Open(now) {
		return nil
	}
	return &Rest{Reason: fmt.Sprintf("endpoint %s is used %s only", e.Name, e.Hours), Until: week.NextOpening(now)}
}

func midnight(now time.Time) time.Time { return now.UTC().Truncate(oneDay).Add(oneDay) }

// MailboxRest tells whether one mailbox rests at the endpoint now, with what was copied
// for it today and what may be copied in a day; nil: it does not. A limit of 0 or less is
// none. Others at the endpoint go on.
func (e *Endpoint) MailboxRest(today, limit int64, now time.Time) *Rest {
	if limit <= 0 || today < limit {
		return nil
	}
	return &Rest{BudgetExhausted, fmt.Sprintf("the %d bytes a day of one mailbox at endpoint %s are used up", limit, e.Name), midnight(now)}
}

// Later is the one of two rests that lasts longer; either may be nil.
func (r *Rest) Later(other *Rest) *Rest {
	if r == nil || other != nil && other.Until.After(r.Until) {
		return other
	}
	return r
}
