package migration

import (
	"fmt"
	"time"
)

// ParseMoment reads a time as operators give it: a day, which is its beginning in UTC, or
// a time by RFC 3339. "" is the zero time.
func ParseMoment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Second), nil
		}
	}
	return time.Time{}, fmt.Errorf("a day such as 2024-01-31 or a time such as 2024-01-31T22:00:00Z is expected")
}
