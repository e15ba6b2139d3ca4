package fleet_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/test/servers"
)

const limit = 3

// world is programs between two Dovecots, a delay of 50 ms a round trip before both, with
// little room for bytes in flight: a pass lasts a second and more.
type world struct {
	*programs
	new *servers.IMAP
}

func newWorld(b *testing.B, users, workers int) *world {
	b.Helper()
	old := servers.Dovecot(b, servers.DovecotConfig{})
	out, err := exec.Command("python3", "../corpus.py", "--port", strconv.Itoa(old.Port), "--prefix", "m", "--users", "4", "--messages", "200").CombinedOutput()
	if err != nil {
		b.Fatalf("corpus.py: %v\n%s", err, out)
	}
	w := &world{programs: newPrograms(b, sqlite(b)), new: servers.Dovecot(b, servers.DovecotConfig{Extra: logStamped})}
	oldPort, newPort := servers.FreePort(b), servers.FreePort(b)
	servers.Program(b, newPort, exec.Command(filepath.Join(bin, "delayproxy"), "-delay", "25ms", "-window", "65536",
		fmt.Sprintf("127.0.0.1:%d=127.0.0.1:%d", oldPort, old.Port), fmt.Sprintf("127.0.0.1:%d=127.0.0.1:%d", newPort, w.new.Port)))
	for name, port := range map[string]int{"old": oldPort, "new": newPort} {
		n := limit
		if name == "old" {
			n = 20 // only one of the two is to be the narrow one
		}
		_, err := w.client.CreateEndpoint(b.Context(), client.NewEndpoint{Name: name, EndpointSpec: client.EndpointSpec{
			Host: "127.0.0.1", Port: port, Security: "none", MaxConcurrentMigrations: n,
		}}, true)
		if err != nil {
			b.Fatal(err)
		}
	}
	for range workers {
		w.start("worker")
	}
	w.batch(b.Context(), "pilot", users, userRow)
	if _, err := w.client.Do(b.Context(), "pilot", "start"); err != nil {
		b.Fatal(err)
	}
	return w
}

func (w *world) synced() int {
	batch, err := w.client.Batch(w.b.Context(), "pilot")
	if err != nil {
		w.b.Fatal(err)
	}
	return batch.Counts["synced"]
}

// BenchmarkLimit: never more users at the server than the endpoint's limit, and the
// slots in use, whatever the number of workers.
func BenchmarkLimit(b *testing.B) {
	for _, workers := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			const users = 40
			w := newWorld(b, users, workers)
			await(b, "all users are synced", 3*time.Minute, func() bool { return w.synced() == users })
			changes := occupancy(b, w.new.Log)
			from, to := changes[0].at, lastRise(changes)
			most, mean := within(changes, from, to)
			report(b, most <= limit && mean >= 0.9*limit, fmt.Sprintf("limit 3, 40 users, %d workers", workers),
				"never more than 3, >= 90 % busy", "at most %d, %.0f %% busy (%.1f s a pass)", most, 100*mean/limit,
				to.Sub(from).Seconds()*mean/(users-limit+1))
		})
	}
}

// BenchmarkLimitChanged: a limit that changes while users are moved holds at once:
// nobody is let in above it, and who is there ends at the end of a window.
func BenchmarkLimitChanged(b *testing.B) {
	for range b.N {
		const users = 60
		w := newWorld(b, users, 2)
		for _, step := range []struct{ limit, until int }{{1, 20}, {6, 28}} {
			await(b, "users are synced", 3*time.Minute, func() bool { return w.synced() >= step.until-8 })
			_, err := w.client.ChangeEndpoint(b.Context(), "new", client.EndpointChange{
				MaxConcurrentMigrations: &step.limit, MaxConcurrentIncrementalSyncs: &step.limit,
			})
			if err != nil {
				b.Fatal(err)
			}
			changed := time.Now()
			await(b, "users are synced under the new limit", 3*time.Minute, func() bool { return w.synced() >= step.until })
			until := time.Now()
			held := lastAbove(occupancy(b, w.new.Log), changed, until, step.limit)
			_, mean := within(occupancy(b, w.new.Log), held, until)
			report(b, held.Sub(changed) <= settled, fmt.Sprintf("limit changed to %d in the middle, 2 workers", step.limit),
				"held once passes that run have ended", "after %.1f s, for %.1f s, %.0f %% busy",
				held.Sub(changed).Seconds(), until.Sub(held).Seconds(), 100*mean/float64(step.limit))
		}
		await(b, "all users are synced", 3*time.Minute, func() bool { return w.synced() == users })
		changes := occupancy(b, w.new.Log)
		most, _ := within(changes, changes[0].at, changes[len(changes)-1].at)
		report(b, most <= 6, "the same to its end", "never more than 6", "at most %d", most)
	}
}

// settled is longer than any pass here lasts.
const settled = 5 * time.Second

// lastAbove is when there were more than limit users for the last time between two
// times; from where there never were.
func lastAbove(changes []change, from, to time.Time, limit int) time.Time {
	last, above := from, false
	for _, c := range changes {
		if c.at.After(to) {
			break
		}
		if above && c.at.After(from) {
			last = c.at
		}
		above = c.users > limit
	}
	return last
}
