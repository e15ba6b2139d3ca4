package migration_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func week(t *testing.T, h migration.Hours) migration.Week {
	t.Helper()
	w, err := h.Week()
	if err != nil {
		t.Fatalf("%q: %v", h, err)
	}
	return w
}

func TestHoursSayWhenTheyAreOpenAndWhenNext(t *testing.T) {
	const (
		nights   = "18:00-06:00"
		weekends = "Mon-Fri 20:00-06:00, Sat-Sun 00:00-24:00 Europe/Berlin"
	)
	for _, c := range []struct {
		hours     migration.Hours
		now, next string // next "": open
	}{
		{"", "2026-03-02T12:00:00Z", ""},
		{nights, "2026-03-02T17:59:59.999Z", "2026-03-02T18:00:00Z"},
		{nights, "2026-03-02T18:00:00Z", ""},
		{nights, "2026-03-03T05:59:59Z", ""},
		{nights, "2026-03-03T06:00:00Z", "2026-03-03T18:00:00Z"},
		{"Sat 22:00-02:00", "2026-03-01T01:59:00Z", ""}, // Sunday, in the week after it began
		{"Sat 22:00-02:00", "2026-03-01T02:00:00Z", "2026-03-07T22:00:00Z"},
		{"fri-mon 08:00-09:00", "2026-03-02T09:00:00Z", "2026-03-06T08:00:00Z"}, // Monday to Friday
		{weekends, "2026-03-02T18:59:00Z", "2026-03-02T19:00:00Z"},              // winter: UTC+1
		{weekends, "2026-07-06T17:59:00Z", "2026-07-06T18:00:00Z"},              // summer: UTC+2
		{weekends, "2026-03-07T05:30:00Z", ""},
		{weekends, "2026-03-08T22:59:59Z", ""},
		{weekends, "2026-03-08T23:00:00Z", "2026-03-09T19:00:00Z"},
		// On 29 March the clock jumps from 2 to 3 (01:00Z), on 25 October from 3 to 2.
		{"Sun 02:30-04:00 Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		{"Sun 02:10-02:50 Europe/Berlin", "2026-03-29T00:00:00Z", "2026-04-05T00:10:00Z"},
		{"Sun 02:10-02:50 Europe/Berlin", "2026-10-25T00:50:00Z", "2026-10-25T01:10:00Z"},
	} {
		now, err := time.Parse(time.RFC3339Nano, c.now)
		if err != nil {
			t.Fatal(err)
		}
		w := week(t, c.hours)
		want := now
		if c.next != "" {
			want, _ = time.Parse(time.RFC3339, c.next)
		}
		if got := w.Open(now); got != (c.next == "") {
			t.Errorf("%q at %s: open %v", c.hours, c.now, got)
		}
		if got := w.NextOpening(now); !got.Equal(want) {
			t.Errorf("%q at %s opens at %s, want %s", c.hours, c.now, got, want)
		}
	}
}

// Whatever the hours and the zone: the next opening is open, and nothing before it is.
func TestNothingIsOpenBeforeTheNextOpening(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	clock := func() string {
		return time.Time{}.Add(time.Duration(r.IntN(48)) * 30 * time.Minute).Format("15:04")
	}
	names := []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	zones := []string{"", " Europe/Berlin", " America/New_York", " Asia/Kathmandu", " Australia/Lord_Howe", " Asia/Shanghai"}
	for range 400 {
		var entries []string
		for range 1 + r.IntN(3) {
			from, to := clock(), clock()
			if from == to {
				to = "24:00"
			}
			entry := from + "-" + to
			if r.IntN(3) > 0 {
				entry = names[r.IntN(7)] + "-" + names[r.IntN(7)] + " " + entry
			}
			entries = append(entries, entry)
		}
		h := migration.Hours(strings.Join(entries, ", ") + zones[r.IntN(len(zones))])
		w := week(t, h)
		// Around the days on which clocks jump, and any other.
		now := []time.Time{
			time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
		}[r.IntN(3)].Add(time.Duration(r.Int64N(int64(72 * time.Hour))))
		next := w.NextOpening(now)
		if next.Before(now) || !w.Open(next) || next.Sub(now) > 15*24*time.Hour {
			t.Fatalf("%q at %s: next opening %s, open then: %v", h, now, next, w.Open(next))
		}
		for at := now; at.Before(next); at = at.Add(10 * time.Minute) {
			if w.Open(at) {
				t.Fatalf("%q at %s: next opening %s, but it is open at %s", h, now, next, at)
			}
		}
		if next.After(now) && w.Open(next.Add(-time.Nanosecond)) {
			t.Fatalf("%q at %s: open before the next opening %s", h, now, next)
		}
	}
}

func TestHoursThatAreNotUnderstoodSayWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"18-6":                        "18:00-06:00",
		"18:00":                       "18:00-06:00",
		"6:00-18:00":                  "06:00",
		"24:00-06:00":                 "00:00",
		"18:00-25:00":                 "24:00",
		"18:00-18:00":                 "00:00-24:00",
		"Mo-Fr 18:00-06:00":           "Mon-Fri",
		"Mon,Tue 18:00-06:00":         "each entry",
		"18:00-06:00 Berlin":          "Europe/Berlin",
		"18:00-06:00 Local":           "Europe/Berlin",
		"18:00-06:00 UTC, 1:00-2:00":  "once",
		"Mon 18:00-06:00 Europe/X":    "Europe/Berlin",
		"weekdays at 18:00-06:00 UTC": "Mon-Fri",
		"18:00-06:00,":                "commas",
		"Mon - Fri 18:00-06:00":       "commas",
	} {
		if _, err := migration.Hours(text).Week(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want it to say %q", text, err, want)
		}
	}
}
