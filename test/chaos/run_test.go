package chaos_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
)

const (
	// patience is how long a run may take after its last accident: backoff after
	// faults, parks, settling and the rest of the mail.
	patience = 4 * time.Minute
	// goOn is how long a mailbox may stand still after its worker was killed; goOnBusy on
	// a machine that runs all other tests beside the short schedules.
	goOn     = 30 * time.Second
	goOnBusy = 2 * time.Minute
	// givenUp is how long a worker stands still before its passes are another's.
	givenUp = 12 * time.Second
)

// outcome is what became of a run.
type outcome struct {
	schedule
	took               time.Duration // from the first message to the last
	messages           client.Messages
	doubled, differing int
	crossings          int
	hit                int // mailboxes of killed workers
	// slowest of them to go on: after a kill, and after an outage that followed it.
	slowest, slowestAway time.Duration
	takeovers            int // lines of the logs
	missed               int // accidents that no pass was under way for
	searched             int64
	failed               bool
}

// run lets one schedule happen and judges what is left.
func run(t *testing.T, old *oldServer, s schedule, z size) (o outcome) {
	o.schedule = s
	defer func() { o.failed = t.Failed() }()
	t.Log(s)
	f := newFleet(t, old, newKeeper(t, s.database), z)
	t.Cleanup(f.tell)
	for _, w := range f.workers {
		f.start(w)
	}
	f.plant()
	if _, err := f.client(0).Do(t.Context(), batchName, "start"); err != nil {
		t.Fatal(err)
	}
	f.await("the first message is copied", patience, func() bool {
		b, err := f.batch()
		return err == nil && b.Messages.Copied > 0
	})
	begun := time.Now()
	accidents := f.suffer(s)
	for _, a := range accidents {
		if a.err != nil {
			t.Errorf("%s: %v", a.accident, a.err)
		}
		if !a.hit {
			o.missed++
			t.Log(a)
		}
	}
	f.await("the batch is in step", patience, func() bool {
		b, err := f.batch()
		o.messages = b.Messages
		return err == nil && b.Status != "Syncing" && b.Status != "Created"
	})
	o.took = time.Since(begun)
	if b, err := f.batch(); err != nil || b.Status != "Synced" {
		t.Errorf("the batch is %s, %v: %v", b.Status, err, b.Counts)
	}
	o.takeovers = f.logged(takenOver)
	f.judgeMail(z, &o)
	f.judgeWriters(z, &o, accidents)
	o.searched = f.search()
	return o
}

var fault = regexp.MustCompile(`(\w+)=(\d+)`)

// verdict reads what the judge tells of a mailbox of so many messages: that both sides
// are the same, or how many copies there are beyond the source's where nothing else is
// wrong. Where it has not compared them it is neither.
func verdict(told string, messages int) (same bool, doubled int) {
	for line := range strings.Lines(told) {
		same = same || strings.HasPrefix(line, fmt.Sprintf("SAME source=%d ", messages))
		if !strings.HasPrefix(line, fmt.Sprintf("DIFFERENT source=%d ", messages)) {
			continue
		}
		for _, m := range fault.FindAllStringSubmatch(line, -1) {
			n, _ := strconv.Atoi(m[2])
			switch {
			case m[1] == "duplicate":
				doubled = n
			case n > 0 && m[1] != "source" && m[1] != "target" && m[1] != "wrong_zone":
				return false, 0
			}
		}
	}
	return same, doubled
}

// judgeMail has the independent judge compare all mailboxes.
func (f *fleet) judgeMail(z size, o *outcome) {
	var mu sync.Mutex
	var all sync.WaitGroup
	turns := make(chan struct{}, 2)
	for i := range z.users {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			out, err := exec.Command("python3", "../../bench/verify.py", "--src", addr(f.old.Port), "--dst", addr(f.new.Port),
				"--user", sourceOf(i), "--dst-user", mailboxName(i), "--show", "8").CombinedOutput()
			same, doubled := verdict(string(out), z.messages)
			if err == nil && same {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			o.doubled += doubled
			o.differing++
			if doubled > 0 && o.frozen() {
				f.t.Logf("%s: %s", mailboxName(i), out)
				return
			}
			f.t.Errorf("%s differs: %v: %s", mailboxName(i), err, out)
		})
	}
	all.Wait()
	if o.messages.Surplus != int64(o.doubled) {
		f.t.Logf("surplus %d, doubled %d", o.messages.Surplus, o.doubled)
	}
}

// awaitLog reads the target's log, which a process of its own writes, once it tells of
// all messages.
func (f *fleet) awaitLog(z size) (deeds []deed) {
	f.t.Helper()
	f.await("the target's log tells of all messages", patience, func() bool {
		var err error
		if deeds, err = readLog(f.new.Log); err != nil {
			f.t.Fatal(err)
		}
		sent := saved(deeds)
		for i := range z.users {
			if sent[mailboxName(i)] < z.messages {
				return false
			}
		}
		return true
	})
	return deeds
}

// judgeWriters reads in the target's log who wrote when.
func (f *fleet) judgeWriters(z size, o *outcome, accidents []happened) {
	deeds := f.awaitLog(z)
	if !slices.ContainsFunc(deeds, func(d deed) bool { return d.what == left }) {
		f.t.Error("the target's log tells of nobody who left")
	}
	found := crossings(deeds)
	o.crossings = len(found)
	for _, c := range found {
		if o.frozen() {
			f.t.Logf("two writers: %s", c)
		} else {
			f.t.Errorf("two writers: %s", c)
		}
	}
	var killed []time.Time
	var outages []away
	for _, a := range accidents {
		switch a.kind {
		case killWorker:
			killed = append(killed, a.at)
		case killRedis, stopDatabase:
			outages = append(outages, away{a.at, a.over})
		case freezeWorker: // it may just have taken the mailbox over: until it too is given up
			outages = append(outages, away{a.at, a.at.Add(min(a.lasts, givenUp))})
		}
	}
	slices.SortFunc(outages, func(a, b away) int { return a.from.Compare(b.from) })
	stood := recoveries(deeds, killed)
	if len(stood) == 0 && o.class == kills {
		f.t.Error("no killed worker left a mailbox: there is nothing to judge")
	}
	gone, most := f.takeovers(), goOn
	if !asked() {
		most = goOnBusy
	}
	for _, r := range stood {
		o.hit++
		if r.on.IsZero() {
			f.t.Errorf("%s never went on after its worker was killed", r.user)
			continue
		}
		from, waited := since(hitLast(r, killed, gone[r.user]), r.on, outages)
		slowest, what := &o.slowest, "its worker was killed"
		if waited {
			slowest, what = &o.slowestAway, "its worker was killed and what was away was back"
		}
		took := r.on.Sub(from)
		if *slowest = max(*slowest, took); took > most {
			f.t.Errorf("%s stood still for %s after %s, want at most %s", r.user, took, what, most)
		}
	}
}

// hitLast is when a mailbox's worker was killed last before it went on: a worker that
// dies before it has come to the server is not in the server's log. That it was taken
// over twice tells.
func hitLast(r recovery, killed, gone []time.Time) time.Time {
	last, dead := r.hit, 0
	for _, t := range gone {
		if t.Before(r.hit) || t.After(r.on) {
			continue
		}
		if dead++; dead == 1 {
			continue
		}
		for _, k := range killed {
			if k.After(last) && k.Before(t) {
				last = k
			}
		}
	}
	return last
}

// logged counts the lines of all logs that hold text.
func (f *fleet) logged(text string) (n int) {
	files, _ := filepath.Glob(filepath.Join(f.dir, "*.log"))
	for _, path := range files {
		if body, err := os.ReadFile(path); err == nil {
			n += strings.Count(string(body), text)
		}
	}
	return n
}

// tell keeps the logs of a run that failed.
func (f *fleet) tell() {
	if !f.t.Failed() {
		return
	}
	kept, err := os.MkdirTemp("", "mailhaul-chaos-failed-")
	if err != nil {
		f.t.Log(err)
		return
	}
	files, _ := filepath.Glob(filepath.Join(f.dir, "*.log"))
	for _, path := range append(files, f.new.Log) {
		if body, err := os.ReadFile(path); err == nil {
			_ = os.WriteFile(filepath.Join(kept, filepath.Base(path)), body, 0o600)
		}
	}
	f.t.Logf("logs are kept in %s", kept)
}

// table is what is printed of all runs.
func table(outcomes []outcome) string {
	slices.SortFunc(outcomes, func(a, b outcome) int { return cmp.Compare(a.seed, b.seed) })
	var b strings.Builder
	fmt.Fprintf(&b, "%6s %-9s %-9s %9s %6s %8s %7s %8s %7s %8s %9s %9s %6s %8s %10s %9s\n", "seed", "class", "database", "accidents", "missed", "took",
		"copied", "adopted", "doubled", "surplus", "crossings", "takeovers", "killed", "slowest", "after away", "searched")
	for _, o := range outcomes {
		verdict := "ok"
		if o.failed {
			verdict = "FAILED"
		}
		fmt.Fprintf(&b, "%6d %-9s %-9s %9d %6d %7.1fs %7d %8d %7d %8d %9d %9d %6d %7.1fs %9.1fs %6d MB %s\n", o.seed, o.class, o.database,
			len(o.accidents), o.missed, o.took.Seconds(), o.messages.Copied, o.messages.Adopted, o.doubled, o.messages.Surplus, o.crossings,
			o.takeovers, o.hit, o.slowest.Seconds(), o.slowestAway.Seconds(), o.searched>>20, verdict)
	}
	return b.String()
}
