package migration

import (
	"slices"
	"testing"
	"time"
)

func TestUsageIsSummedUpByMonth(t *testing.T) {
	day := func(date string, mailboxes, messages, bytes int64) DayUsage {
		at, err := time.Parse(time.DateOnly, date)
		if err != nil {
			t.Fatal(err)
		}
		return DayUsage{DayOf(at), Usage{mailboxes, messages, bytes}}
	}
	got := Months([]DayUsage{
		day("2026-01-31", 1, 10, 100), day("2026-02-01", 2, 20, 200), day("2026-02-28", 3, 30, 300), day("2027-02-01", 4, 40, 400),
	})
	want := []MonthUsage{{"2026-01", Usage{1, 10, 100}}, {"2026-02", Usage{5, 50, 500}}, {"2027-02", Usage{4, 40, 400}}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
