package fleet_test

import (
	"testing"
	"time"
)

// idleTime is how long a process without work may take to end: less than a folder takes
// to settle, and than a queue's server gives to passes. That it did not wait for requests
// its log says (terminate).
const idleTime = 8 * time.Second

// TestWorkerKilled: another worker takes over what a killed one held.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	m := newMail(t, 4)
	m.corpus("--messages", "80")
	m.narrow(16 << 10)
	s := newService(t, m, time.Hour)
	first := s.start("worker")
	s.create("--autostart")
	s.awaitCopying()
	s.kill(first) // at once: however long the other takes to start, there is a pass left
	begun := time.Now()
	s.start("worker")
	s.await("the other worker goes on", func() bool { return s.logged("pass of a worker that is gone taken over") > 0 })
	t.Logf("taken over %s after the kill", time.Since(begun).Round(time.Second))
	s.awaitSynced()
	t.Logf("synced %s after the kill: %+v", time.Since(begun).Round(time.Second), s.batch().Messages)
}

// TestDrain: a worker that is asked to end hands its passes over, and one that has
// nothing to do ends at once.
func TestDrain(t *testing.T) {
	t.Parallel()
	m := newMail(t, 4)
	m.corpus("--messages", "80")
	m.narrow(16 << 10)
	s := newService(t, m, time.Hour)
	first := s.start("worker")
	s.create("--autostart")
	s.awaitCopying()
	s.terminate(first, 25*time.Second) // at once: however long the other takes to start
	if b := s.batch(); b.Status != "Syncing" {
		t.Errorf("the batch is %s: nothing was left to hand over", b.Status)
	}
	second := s.start("worker")
	s.awaitSynced()
	if b := s.batch(); b.Messages.Adopted != 0 {
		t.Errorf("after a drain messages were looked for: %+v", b.Messages)
	}
	if n := s.logged("taken over"); n != 0 {
		t.Errorf("%d passes were taken over: they were not handed over", n)
	}
	s.terminate(second, idleTime)
	s.terminate(s.plane, idleTime)
}
