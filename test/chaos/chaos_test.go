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
// killed workers must have gone on within half a minute. Only a worker that was
// frozen between a check and a write may slip through; what that doubles is counted.
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
	code := func() int {
		dir, err := os.MkdirTemp("", "mailhaul-chaos-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		bin = dir
		build := exec.Command("go", "build", "-o", dir, "../../cmd/...", "../../bench/delayproxy")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}()
	os.Exit(code)
}

// size is how much is moved in a run.
type size struct {
	users, messages int
	span            time.Duration // in which accidents begin
}

var (
	whole = size{users: 60, messages: 300, span: 25 * time.Second}
	// short is for every change: it has to end within a minute.
	short = size{users: 16, messages: 120, span: 5 * time.Second}
)

// shortSeeds are of schedules that are soon over: kills on PostgreSQL, a mixed one on
// SQLite.
var shortSeeds = []uint64{5, 4}

// sources is how many mailboxes the old server has.
const sources = 4

func TestChaos(t *testing.T) {
	wanted, next := whole, func(n int) uint64 { return *seedFlag + uint64(n) }
	runs, until := *runsFlag, time.Now().Add(*forFlag)
	if runs == 0 && *forFlag == 0 {
		wanted, runs, next = short, len(shortSeeds), func(n int) uint64 { return shortSeeds[n] }
	}
	old := servers.Dovecot(t, servers.DovecotConfig{})
	fill(t, old, wanted.messages)

	var mu sync.Mutex
	var outcomes []outcome
	var all sync.WaitGroup
	turns := make(chan struct{}, *besideFlag)
	for n := 0; n < runs || runs == 0; n++ {
		turns <- struct{}{}
		if runs == 0 && time.Now().After(until) {
			break
		}
		s := plan(next(n), wanted.span)
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

// fill makes the mail of the old server.
func fill(t *testing.T, old *servers.IMAP, messages int) {
	t.Helper()
	out, err := exec.Command("python3", "../../bench/corpus.py", "--port", strconv.Itoa(old.Port), "--prefix", "m",
		"--users", strconv.Itoa(sources), "--messages", strconv.Itoa(messages)).CombinedOutput()
	if err != nil {
		t.Fatalf("corpus.py: %v\n%s", err, out)
	}
}
