package fleet_test

import (
	"strings"
	"testing"
	"time"
)

// TestLimitsThatChange: a limit that is lowered and hours that close end passes at
// their window's end, and what was interrupted goes on when there is room again. Counted
// are the connections at the target.
func TestLimitsThatChange(t *testing.T) {
	t.Parallel()
	m := newMail(t, 8)
	made := m.corpus("--messages", "80", "--folders", "2")
	target := measure(t, &m.newPort)
	s := newService(t, m, time.Hour)
	for range 2 {
		s.start("worker")
	}
	s.create()
	s.cli("endpoint", "set", "new", "--messages-per-second", "4", "--max-concurrent-migrations", "6")
	s.cli("batch", "start", batchName)
	reaches := func(n int64) {
		t.Helper()
		begun := time.Now()
		s.await("the passes are as many as may be", func() bool { return target.open.Load() == n })
		t.Logf("%d connections after %.1f s, %d messages at the target", n, time.Since(begun).Seconds(), target.messages.Load())
	}
	// More than n there must never be, for a while in which others would have begun.
	holds := func(n int64) {
		t.Helper()
		for until := time.Now().Add(3 * time.Second); time.Now().Before(until); {
			if open := target.open.Load(); open > n {
				t.Fatalf("%d connections at the target, at most %d may be", open, n)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	reaches(6)
	holds(6)
	s.cli("endpoint", "set", "new", "--max-concurrent-migrations", "1")
	reaches(1)
	holds(1)
	s.cli("endpoint", "set", "new", "--max-concurrent-migrations", "3")
	reaches(3)

	later := time.Now().UTC().Add(2 * time.Hour)
	s.cli("endpoint", "set", "new", "--hours", later.Format("15:04")+"-"+later.Add(time.Hour).Format("15:04"))
	reaches(0)
	holds(0)
	user := s.cli("user", "why", m.users[0]+"@example.org", "--batch", batchName)
	if opening := later.Format("15:04"); !strings.Contains(user, opening) {
		t.Errorf("why a user waits does not name the opening %s:\n%s", opening, user)
	}

	if n := target.messages.Load(); n == made {
		t.Errorf("all %d messages were sent: no limit had anything to hold back", n)
	}
	s.cli("endpoint", "set", "new", "--hours", "", "--messages-per-second", "0")
	s.awaitSynced()
	if n := s.batch().Messages.Copied; n != made {
		t.Errorf("%d messages copied, want %d", n, made)
	}
}
