// Package chaos_test lets accidents happen to the whole fleet while it moves mail:
// workers and APIs are killed and frozen, Redis forgets and dies, the database does
// not answer. A schedule of accidents follows from its seed alone, so that what it
// found can be looked for again:
//
//	go test ./test/chaos -run Chaos -v -chaos.seed 17 -chaos.runs 1
//
// Whatever happened, each run must end in step, every mailbox the same by the
// independent judge (bench/verify.py), nothing doubled; and by the target's own log
// no two connections may have written into one mailbox by turns, and mailboxes of
// killed workers must have gone on within half a minute (of the return of Redis and
// the database, where those were away then). Only a worker that was frozen between a
// check and a write may slip through; what that doubles is counted. And none of the
// secrets of a run may be found in what the service wrote, said or kept meanwhile.
package chaos_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/canary"
	"github.com/mailhaul/mailhaul/test/servers"
)

var (
	seedFlag     = flag.Uint64("chaos.seed", 1, "seed of the first schedule; the next ones follow")
	runsFlag     = flag.Int("chaos.runs", 0, "how many schedules; 0: the short ones, or as many as -chaos.for has time for")
	forFlag      = flag.Duration("chaos.for", 0, "begin new schedules for so long")
	databaseFlag = flag.String("chaos.database", "", "sqlite or postgres; absent: by turns")
	besideFlag   = flag.Int("chaos.beside", 2, "how many schedules at once")
)

// bin is the directory of the built programs.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(servers.Main(m, &bin, "../../cmd/...", "../../bench/delayproxy"))
}

// size is how much is moved in a run, and how long accidents last.
type size struct {
	users, messages int
	window          int           // bytes in flight on the line to the servers; 0: many
	kills           int           // of workers, in the schedules that are about them
	span            time.Duration // in which accidents begin
	aim             time.Duration // how long one waits for a pass that it can hit

	frozen, redisAway, databaseAway time.Duration
}

var (
	whole = size{
		users: 60, messages: 300, kills: 5, span: 25 * time.Second, aim: time.Minute,
		frozen: 40 * time.Second, redisAway: 15 * time.Second, databaseAway: 10 * time.Second,
	}
	// short is for every change: it has to end within three quarters of a minute.
	short = size{
		users: 16, messages: 120, kills: 2, span: 2 * time.Second, aim: 3 * time.Second,
		frozen: 12 * time.Second, redisAway: 2 * time.Second, databaseAway: 2 * time.Second,
	}
)

// shortSeeds are of mixed schedules, which have the accidents of every class: without
// a freeze on PostgreSQL, with one on SQLite.
var shortSeeds = []uint64{9, 4}

// asked tells whether somebody runs schedules by themselves, not all tests.
func asked() bool { return *runsFlag != 0 || *forFlag != 0 }

// sources is how many mailboxes the old server has.
const sources = 4

func TestChaos(t *testing.T) {
	t.Parallel()
	wanted, next := whole, func(n int) uint64 { return *seedFlag + uint64(n) }
	runs, until := *runsFlag, time.Now().Add(*forFlag)
	if !asked() {
		wanted, runs, next = short, len(shortSeeds), func(n int) uint64 { return shortSeeds[n] }
	}
	old := newOldServer(t, wanted.messages)

	var mu sync.Mutex
	var outcomes []outcome
	var all sync.WaitGroup
	turns := make(chan struct{}, *besideFlag)
	for n := 0; n < runs || runs == 0; n++ {
		turns <- struct{}{}
		if runs == 0 && time.Now().After(until) {
			break
		}
		s := plan(next(n), wanted)
		all.Go(func() {
			defer func() { <-turns }()
			t.Run(fmt.Sprintf("seed-%d", s.seed), func(t *testing.T) {
				o := run(t, old, s, wanted)
				mu.Lock()
				defer mu.Unlock()
				outcomes = append(outcomes, o)
			})
		})
	}
	all.Wait()
	t.Log("\n" + table(outcomes))
}

// oldServer is where all mail is; it is only read.
type oldServer struct {
	*servers.IMAP
	password string // one that is nowhere else
}

func newOldServer(t *testing.T, messages int) *oldServer {
	t.Helper()
	password := canary.Secret("old")
	old := servers.Dovecot(t, servers.DovecotConfig{Extra: accepts(password)})
	out, err := exec.Command("python3", "../../bench/corpus.py", "--port", strconv.Itoa(old.Port), "--prefix", "m",
		"--users", strconv.Itoa(sources), "--messages", strconv.Itoa(messages)).CombinedOutput()
	if err != nil {
		t.Fatalf("corpus.py: %v\n%s", err, out)
	}
	return &oldServer{old, password}
}

// accepts makes a Dovecot take a password beside the harness's own.
func accepts(password string) string {
	return "passdb {\n  driver = static\n  args = password=" + password + "\n}\n"
}
