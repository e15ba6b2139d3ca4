package migration

import "time"

// Usage is what an organisation has moved: mailboxes that had a first sync, each
// counted once however often it comes again, and messages and bytes copied.
type Usage struct{ Mailboxes, Messages, Bytes int64 }

// Add returns the sum of both.
func (u Usage) Add(v Usage) Usage {
	return Usage{u.Mailboxes + v.Mailboxes, u.Messages + v.Messages, u.Bytes + v.Bytes}
}

// DayUsage is the usage of one day in UTC, counted from 1970.
type DayUsage struct {
	Day int64
	Usage
}

// MonthUsage is the usage of one month in UTC, such as 2026-05.
type MonthUsage struct {
	Month string
	Usage
}

// Months sums up days, which come in their order.
func Months(days []DayUsage) (months []MonthUsage) {
	for _, d := range days {
		month := time.Unix(d.Day*24*60*60, 0).UTC().Format("2006-01")
		if n := len(months); n == 0 || months[n-1].Month != month {
			months = append(months, MonthUsage{Month: month})
		}
		last := &months[len(months)-1]
		last.Usage = last.Add(d.Usage)
	}
	return months
}
