package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Hours is when an endpoint may be used, as an operator writes it:
//
//	18:00-06:00
//	Mon-Fri 20:00-06:00, Sat-Sun 00:00-24:00 Europe/Berlin
//
// Hours that end before they begin end on the next day. The zone stands at the end,
// UTC where there is none. "" is always.
type Hours string

// Week is Hours understood. The zero Week is always open.
type Week struct {
	spans []span
	zone  *time.Location
}

// span is from a time of the week to the time that it ends, which may lie in the next
// week; both are what clocks on the wall show, counted from Sunday midnight.
type span struct{ from, to time.Duration }

const (
	oneDay  = 24 * time.Hour
	oneWeek = 7 * oneDay
)

var days = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// Week parses h. The error says what to write instead.
func (h Hours) Week() (Week, error) {
	text := strings.TrimSpace(string(h))
	if text == "" {
		return Week{}, nil
	}
	w := Week{zone: time.UTC}
	parts := strings.Split(text, ",")
	for i, part := range parts {
		words := strings.Fields(part)
		if n := len(words); n > 1 && !strings.Contains(words[n-1], ":") {
			var err error
			if w.zone, err = zone(words[n-1]); err != nil {
				return Week{}, err
			}
			if i < len(parts)-1 {
				return Week{}, fmt.Errorf("hours: the time zone %s holds for all: write it once, after the last hours", w.zone)
			}
			words = words[:n-1]
		}
		spans, err := parseSpans(words, strings.TrimSpace(part))
		if err != nil {
			return Week{}, err
		}
		w.spans = append(w.spans, spans...)
	}
	return w, nil
}

// zone finds a time zone. "Local" would mean another one on each machine.
func zone(name string) (*time.Location, error) {
	z, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("hours: %q is no time zone: write one such as Europe/Berlin or UTC, once, after the last hours", Clean(name))
	}
	return z, nil
}

// parseSpans reads one entry: days, which may be left out, and hours.
func parseSpans(words []string, part string) ([]span, error) {
	first, last := 0, len(days)-1
	var err error
	switch len(words) {
	case 1:
	case 2:
		if first, last, err = parseDays(words[0]); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("hours: %q is not understood: write 18:00-06:00, or days before it as in Mon-Fri 20:00-06:00; several entries have commas between them", Clean(part))
	}
	begin, end, _ := strings.Cut(words[len(words)-1], "-")
	from, okFrom := parseClock(begin)
	to, okTo := parseClock(end)
	switch {
	case !okFrom || !okTo || from == oneDay:
		return nil, fmt.Errorf("hours: %q is not understood: write hours as 18:00-06:00 (00:00 to 23:59, the end up to 24:00), each entry with its own", Clean(part))
	case from == to:
		return nil, fmt.Errorf("hours: %q begins when it ends: write 00:00-24:00 for the whole day", Clean(part))
	case to < from:
		to += oneDay
	}
	var out []span
	for d := first; ; d = (d + 1) % len(days) {
		out = append(out, span{time.Duration(d)*oneDay + from, time.Duration(d)*oneDay + to})
		if d == last {
			return out, nil
		}
	}
}

func parseDays(s string) (first, last int, err error) {
	begin, end, run := strings.Cut(s, "-")
	if !run {
		end = begin
	}
	day := func(name string) int {
		return slices.IndexFunc(days, func(d string) bool { return strings.EqualFold(d, name) })
	}
	if first, last = day(begin), day(end); first < 0 || last < 0 {
		return 0, 0, fmt.Errorf("hours: %q is no day: write Mon, Tue, Wed, Thu, Fri, Sat or Sun, or from one to another as in Mon-Fri", Clean(s))
	}
	return first, last, nil
}

// parseClock reads hh:mm, up to 24:00.
func parseClock(s string) (time.Duration, bool) {
	if s == "24:00" {
		return oneDay, true
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, false
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, true
}

// Open tells whether now lies within the hours, as a clock on the wall of their zone
// shows it: an hour that the clock skips is not there, one that it shows twice counts
// twice.
func (w Week) Open(now time.Time) bool {
	if len(w.spans) == 0 {
		return true
	}
	at := w.onTheWall(now)
	return slices.ContainsFunc(w.spans, func(s span) bool {
		return at >= s.from && at < s.to || at+oneWeek < s.to
	})
}

// NextOpening is the first time at or after now that is open.
func (w Week) NextOpening(now time.Time) time.Time {
	for t := now; ; {
		if w.Open(t) {
			return t
		}
		at, wait := w.onTheWall(t), oneWeek
		for _, s := range w.spans {
			wait = min(wait, (s.from-at+oneWeek)%oneWeek)
		}
		next := t.Add(wait)
		// The clock on the wall jumps before that: look again from there.
		if _, jump := t.In(w.zone).ZoneBounds(); !jump.IsZero() && jump.Before(next) {
			next = jump
		}
		t = next.In(now.Location())
	}
}

// onTheWall is the time of the week that a clock in w's zone shows.
func (w Week) onTheWall(t time.Time) time.Duration {
	t = t.In(w.zone)
	return time.Duration(t.Weekday())*oneDay + time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute +
		time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
}
