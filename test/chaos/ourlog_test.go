package chaos_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// told is a line of the processes' logs about a user's pass.
type told struct {
	Time      time.Time
	Message   string
	User      int64
	Takeovers int
}

const (
	committed = "window committed"
	ended     = "pass ended"
	takenOver = "pass of a worker that is gone taken over"
)

// passesTold reads those lines from all logs, in the order of their times.
func (f *fleet) passesTold() (lines []told) {
	files, _ := filepath.Glob(filepath.Join(f.dir, "*.log")) // the pattern is well formed
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			f.t.Error(err)
		}
		for text := range bytes.Lines(body) {
			if !slices.ContainsFunc([]string{committed, ended, takenOver}, func(m string) bool { return bytes.Contains(text, []byte(m)) }) {
				continue
			}
			var l told
			if json.Unmarshal(text, &l) == nil { // the last one may not be whole yet
				lines = append(lines, l)
			}
		}
	}
	slices.SortStableFunc(lines, func(a, b told) int { return a.Time.Compare(b.Time) })
	return lines
}

// takeovers is when the passes of workers that are gone were another's, by mailbox:
// users are numbered as they stand in the file.
func (f *fleet) takeovers() map[string][]time.Time {
	out := map[string][]time.Time{}
	for _, l := range f.passesTold() {
		if l.Message == takenOver {
			user := mailboxName(int(l.User) - 1)
			out[user] = append(out[user], l.Time)
		}
	}
	return out
}

// brinkEvery is how often the logs are read for it.
const brinkEvery = 300 * time.Millisecond

// onTheBrink tells whether a mailbox has lost a worker that had not committed a
// window. It may be losing the next one just now, and a third in a row would end the
// user, which is the rule and no fault: another accident waits until it has moved on.
func (f *fleet) onTheBrink() bool {
	if time.Since(f.looked) < brinkEvery {
		return true
	}
	f.looked = time.Now()
	last := map[int64]int{}
	for _, l := range f.passesTold() {
		last[l.User] = l.Takeovers
	}
	for _, n := range last {
		if n > 0 {
			return true
		}
	}
	return false
}
