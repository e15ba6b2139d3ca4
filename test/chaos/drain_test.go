package chaos_test

import (
	"flag"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
)

var drainsFlag = flag.Int("chaos.drains", 0, "how often a worker is asked to end; 0: three times, with less mail")

const (
	// endsIn is how long a worker may take to end after SIGTERM.
	endsIn = 25 * time.Second
	// brokenOff is what a worker gives its passes (queue.drainTime): one that the machine
	// holds up for longer leaves messages without an answer, which are looked for.
	brokenOff = 12 * time.Second
	// handedOver is how long a mailbox that it gave back may wait then for the next;
	// handedOverBusy on a machine that runs all other tests beside this one, where an
	// admission that began before may give its slot to somebody else first.
	handedOver     = 2 * time.Second
	handedOverBusy = 10 * time.Second
)

// drained is a worker that was asked to end.
type drained struct {
	asked, ended time.Time
	// waited is how long each mailbox that it gave back waited for its next connection
	// after the worker had ended; 0 where somebody was faster.
	waited []time.Duration
}

// TestDrain asks workers in passes to end, again and again. Each ends with 0, and
// soon; what it gave back goes on at once; and no message is sent to the server twice.
func TestDrain(t *testing.T) {
	t.Parallel()
	z := size{users: 60, messages: 300, window: 16 << 10, aim: 30 * time.Second}
	times := *drainsFlag
	if times == 0 {
		times, z.users, z.messages, z.window = 3, 16, 120, 24<<10
	}
	old := newOldServer(t, z.messages)
	f := newFleet(t, old, newKeeper(t, "postgres"), z)
	t.Cleanup(f.tell)
	for _, w := range f.workers {
		f.start(w)
	}
	if _, err := f.client(0).Do(t.Context(), batchName, "start"); err != nil {
		t.Fatal(err)
	}
	var all []drained
	for i := range times {
		all = append(all, f.drain(f.workers[i%workers], z.aim))
	}
	f.await("the batch is in step", patience, func() bool {
		b, err := f.batch()
		return err == nil && b.Status == "Synced"
	})
	var o outcome
	f.judgeDrains(z, all) // before the judge of mail opens all mailboxes itself
	f.judgeMail(z, &o)
	slow := slices.ContainsFunc(all, func(d drained) bool { return d.ended.Sub(d.asked) >= brokenOff })
	if b, err := f.batch(); err != nil || b.Messages.Adopted != 0 && !slow {
		t.Errorf("after a drain messages were looked for: %+v, %v", b.Messages, err)
	}
	if n := f.logged(takenOver); n != 0 {
		t.Errorf("%d passes were taken over: they were not handed over", n)
	}
}

// drain asks a worker to end that is in a pass, and starts another in its place.
func (f *fleet) drain(n *node, aim time.Duration) (d drained) {
	f.t.Helper()
	if !within(aim, func() bool { return f.passes(n) > 0 }) {
		f.t.Fatalf("%s was in no pass for %s: there is too little mail", n.name, aim)
	}
	d.asked = time.Now()
	if err := n.process.Signal(syscall.SIGTERM); err != nil {
		f.t.Fatal(err)
	}
	code, err := n.process.Wait(endsIn)
	d.ended = time.Now()
	if code != 0 || err != nil {
		f.t.Fatalf("%s after SIGTERM: exit code %d, %v; want 0 within %s", n.name, code, err, endsIn)
	}
	f.start(n)
	return d
}

// judgeDrains reads in the target's log what became of the mailboxes that were given
// back: those that a connection left after a worker was asked, and that another one
// opened later. Nothing else lets a mailbox be opened again here. The server may hear a
// worker's farewell when that has ended: there is a line between them.
func (f *fleet) judgeDrains(z size, all []drained) {
	f.t.Helper()
	deeds := f.awaitLog(z)
	for _, c := range crossings(deeds) {
		f.t.Errorf("two writers: %s", c)
	}
	sent, leaving, given := saved(deeds), map[string]deed{}, 0
	for _, e := range deeds {
		switch e.what {
		case left, cutOff:
			leaving[e.user] = e
		case loggedIn:
			for i, d := range slices.Backward(all) {
				if l, ok := leaving[e.user]; ok && l.at.After(d.asked) {
					all[i].waited = append(d.waited, max(0, e.at.Sub(d.ended)))
					given++
					break
				}
			}
			delete(leaving, e.user)
		}
	}
	for i := range z.users {
		if n := sent[mailboxName(i)]; n != z.messages {
			f.t.Errorf("%s was sent %d messages, want %d: each once", mailboxName(i), n, z.messages)
		}
	}
	// One that is asked while its passes end has nothing to give back, which is no fault.
	if given < len(all)/2 {
		f.t.Errorf("%d workers gave only %d mailboxes back: they were not asked under load", len(all), given)
	}
	f.tellDrains(all)
}

func (f *fleet) tellDrains(all []drained) {
	f.t.Helper()
	want := handedOver
	if *drainsFlag == 0 {
		want = handedOverBusy
	}
	var ends, waits []time.Duration
	for _, d := range all {
		ends = append(ends, d.ended.Sub(d.asked))
		waits = append(waits, d.waited...)
		for _, w := range d.waited {
			if w > want {
				f.t.Errorf("a mailbox waited %s for the next worker, want at most %s", w, want)
			}
		}
	}
	f.t.Logf("%d workers ended after %s; %d mailboxes given back waited %s\nends: %v", len(ends), spread(ends), len(waits), spread(waits), ends)
}

// spread tells the least, the middle and the most.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "-"
	}
	s := slices.Sorted(slices.Values(all))
	r := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	return fmt.Sprintf("%s / %s / %s (least, median, most)", r(s[0]), r(s[len(s)/2]), r(s[len(s)-1]))
}
