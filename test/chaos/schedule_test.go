package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// class is what a schedule disturbs.
type class string

const (
	kills    class = "kills"    // workers are killed, again and again
	freezes  class = "freezes"  // workers stand still, then go on as if nothing had been
	redis    class = "redis"    // Redis forgets, dies, loses its leases
	database class = "database" // the database does not answer
	mixed    class = "mixed"    // all of it, half of them with a freeze
)

var classes = []class{kills, freezes, redis, database, mixed}

// kind is one sort of accident.
type kind string

const (
	killWorker   kind = "kill worker"         // SIGKILL; another is started lasts later
	renewWorker  kind = "renew worker"        // SIGTERM; another is started when it has ended
	freezeWorker kind = "freeze worker"       // SIGSTOP; SIGCONT lasts later
	killAPI      kind = "kill api"            // SIGKILL; it is started again lasts later
	flushRedis   kind = "flush redis"         // FLUSHALL
	killRedis    kind = "kill redis"          // SIGKILL; an empty one is started lasts later
	dropLeases   kind = "drop asynq's leases" // its lease keys are deleted
	stopDatabase kind = "stop database"       // PostgreSQL killed, SQLite locked; for lasts
)

// accident is one thing that happens.
type accident struct {
	at    time.Duration // after the first message was copied
	kind  kind
	who   int // which worker or API
	lasts time.Duration
}

func (a accident) String() string {
	s := fmt.Sprintf("%5.1fs %s", a.at.Seconds(), a.kind)
	switch a.kind {
	case killWorker, renewWorker, freezeWorker, killAPI:
		s += fmt.Sprintf(" %d", a.who)
	}
	if a.lasts > 0 {
		s += fmt.Sprintf(" (%.1fs)", a.lasts.Seconds())
	}
	return s
}

// schedule is what happens in one run; the same seed makes the same one.
type schedule struct {
	seed  uint64
	class class
	// database is PostgreSQL for odd seeds, SQLite for even ones, unless one was asked
	// for.
	database  string
	accidents []accident
}

// frozen tells whether a worker stands still in it, after which two may have written.
func (s schedule) frozen() bool {
	return slices.ContainsFunc(s.accidents, func(a accident) bool { return a.kind == freezeWorker })
}

func (s schedule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d (%s, %s):", s.seed, s.class, s.database)
	for _, a := range s.accidents {
		fmt.Fprintf(&b, "\n  %s", a)
	}
	return b.String()
}

// plan makes the schedule of a seed; the seed chooses the class too. Accidents begin
// in the size's span, and each waits then until there is a pass that it can hit.
func plan(seed uint64, z size) schedule {
	s := schedule{seed: seed, class: classes[seed%uint64(len(classes))]}
	if s.database = *databaseFlag; s.database == "" {
		s.database = []string{"sqlite", "postgres"}[seed%2]
	}
	r := rand.New(rand.NewPCG(seed, 0))
	add := func(n int, k kind, shortest, longest time.Duration) {
		for range n {
			a := accident{at: upTo(r, 0, z.span), kind: k, lasts: upTo(r, shortest, longest)}
			switch k {
			case killAPI:
				a.who = r.IntN(apis)
			case killWorker, renewWorker, freezeWorker:
				a.who = r.IntN(workers)
			}
			s.accidents = append(s.accidents, a)
		}
	}
	few := func(most int) int { return 1 + r.IntN(most) }
	const soon, later = 200 * time.Millisecond, 3 * time.Second
	switch s.class {
	case kills:
		add(z.kills, killWorker, soon, later)
	case freezes:
		add(1, freezeWorker, z.frozen, z.frozen)
		// Those that wake while the mailbox is just being taken over.
		add(few(2), freezeWorker, min(7*time.Second, z.frozen), min(25*time.Second, z.frozen))
		add(2, killWorker, soon, later)
	case redis:
		add(few(2), flushRedis, 0, 0)
		add(few(3), dropLeases, 0, 0)
		add(1, killRedis, z.redisAway, z.redisAway)
		add(few(3), killWorker, soon, later)
	case database:
		add(1, stopDatabase, z.databaseAway, z.databaseAway)
		add(few(2), killAPI, soon, later)
		add(few(3), killWorker, soon, later)
	case mixed:
		add(z.kills, killWorker, soon, later)
		add(few(2), renewWorker, 0, 0)
		add(1, killAPI, soon, later)
		add(1, flushRedis, 0, 0)
		add(1, dropLeases, 0, 0)
		add(1, killRedis, z.redisAway, z.redisAway)
		add(1, stopDatabase, z.databaseAway, z.databaseAway)
		add(r.IntN(2), freezeWorker, z.frozen, z.frozen)
	}
	slices.SortStableFunc(s.accidents, func(a, b accident) int { return int(a.at - b.at) })
	return s
}

func upTo(r *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(r.Int64N(int64(most-least))).Round(100*time.Millisecond)
}
