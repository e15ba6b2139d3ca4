package dispatch

import (
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestWhoCountsAsDead(t *testing.T) {
	type look struct {
		at   int // seconds
		beat int64
	}
	rows := []struct {
		story   string
		state   migration.LeaseState
		looks   []look
		dead    bool // at the last look
		waiting bool
	}{
		{"seen for the first time", migration.LeaseRunning, []look{{0, 5}}, false, false},
		{"stood still for 8 s", migration.LeaseRunning, []look{{0, 5}, {4, 5}, {8, 5}}, false, false},
		{"stood still for 10 s", migration.LeaseRunning, []look{{0, 5}, {4, 5}, {8, 5}, {10, 5}}, true, false},
		{"beats every 3 s", migration.LeaseRunning, []look{{0, 5}, {4, 6}, {8, 7}, {12, 8}}, false, false},
		{"beat once, then no more", migration.LeaseRunning, []look{{0, 5}, {4, 6}, {8, 6}, {12, 6}, {14, 6}}, true, false},
		{"the observer was frozen itself", migration.LeaseRunning, []look{{0, 5}, {4, 5}, {30, 5}}, false, false},
		{"frozen, and 10 s later still no beat", migration.LeaseRunning, []look{{0, 5}, {30, 5}, {34, 5}, {38, 5}, {40, 5}}, true, false},
		{"waits for a worker since 4 s", migration.LeaseQueued, []look{{0, 0}, {4, 0}}, false, false},
		{"waits for a worker since 6 s", migration.LeaseQueued, []look{{0, 0}, {4, 0}, {6, 0}}, false, true},
	}
	start := time.Now()
	for _, row := range rows {
		o := observer{deadAfter: deadAfter, lostAfter: lostAfter}
		var dead, waiting []migration.Lease
		for _, l := range row.looks {
			lease := migration.Lease{Token: 1, State: row.state, Beat: l.beat}
			dead, waiting = o.look([]migration.Lease{lease}, start.Add(time.Duration(l.at)*time.Second))
		}
		if len(dead) == 1 != row.dead || len(waiting) == 1 != row.waiting {
			t.Errorf("%s: dead %v, waiting %v; want %v, %v", row.story, dead, waiting, row.dead, row.waiting)
		}
	}
}

func TestAnotherTokenIsAnotherHolder(t *testing.T) {
	o := observer{deadAfter: deadAfter, lostAfter: lostAfter}
	start := time.Now()
	for s := 0; s <= 20; s += 4 { // a new lease of the mailbox at every look
		l := migration.Lease{Token: int64(s + 1), State: migration.LeaseRunning}
		if dead, _ := o.look([]migration.Lease{l}, start.Add(time.Duration(s)*time.Second)); len(dead) > 0 {
			t.Fatalf("dead at %d s: %v", s, dead)
		}
	}
	if len(o.seen) != 1 {
		t.Errorf("%d leases remembered, want 1", len(o.seen))
	}
}

func TestAUserWhoNeverBegan(t *testing.T) {
	now := time.Now()
	for _, row := range []struct {
		story string
		state migration.UserState
		want  migration.UserStatus
		due   bool
	}{
		{"is due again", migration.UserState{Status: migration.UserQueued}, migration.UserQueued, true},
		{"was stopped meanwhile", migration.UserState{Status: migration.UserQueued, Stopping: true}, migration.UserStopped, false},
		{"was removed meanwhile", migration.UserState{Status: migration.UserRemoving, Removing: true}, migration.UserRemoving, false},
	} {
		if got := dueAgain(row.state, now); got.Status != row.want || got.NextRunAt.IsZero() == row.due || got.Attempts != 0 {
			t.Errorf("%s: got %+v", row.story, got)
		}
	}
}
