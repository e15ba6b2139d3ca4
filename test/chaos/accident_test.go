package chaos_test

import (
	"fmt"
	"sync"
	"syscall"
	"time"
)

// happened is an accident with its times by the clock on the wall, which the mail
// server's log has too.
type happened struct {
	accident
	at, over time.Time
	// hit tells whether a pass was under way that it could disturb.
	hit bool
	err error
}

func (h happened) String() string {
	if h.hit {
		return h.accident.String()
	}
	return h.accident.String() + ": no pass was under way"
}

// suffer lets the schedule's accidents happen and returns when the last is over.
func (f *fleet) suffer(s schedule) []happened {
	out := make([]happened, len(s.accidents))
	begun := time.Now()
	var all sync.WaitGroup
	for i, a := range s.accidents {
		pause(time.Until(begun.Add(a.at)))
		out[i] = happened{accident: a}
		all.Go(func() {
			f.befall(&out[i])
			out[i].over = time.Now()
		})
	}
	all.Wait()
	return out
}

// leaseQueues are the queues whose leases asynq keeps in a key of its own.
var leaseQueues = []string{"first", "resync", "complete", "verify"}

func (f *fleet) befall(a *happened) {
	switch a.kind {
	case killWorker, renewWorker, freezeWorker:
		f.strike(a)
		return
	}
	a.hit = within(f.aim, func() bool { return f.busyWorkers() > 0 })
	a.at = time.Now()
	switch a.kind {
	case killAPI:
		n := f.apis[a.who]
		n.mu.Lock()
		defer n.mu.Unlock()
		a.at, a.err = n.replace(f, syscall.SIGKILL, a.lasts)
	case flushRedis:
		_ = f.redisDo("FLUSHALL") // refused while it is killed: then it is empty anyway
	case dropLeases:
		for _, queue := range leaseQueues {
			_ = f.redisDo("DEL asynq:{" + queue + "}:lease")
		}
	case killRedis:
		if a.err = f.redis.Kill(); a.err == nil {
			pause(a.lasts)
			a.err = f.redis.Start()
		}
	case stopDatabase:
		a.err = f.database.stop(a.lasts)
	default:
		a.err = fmt.Errorf("%s: no such accident", a.kind)
	}
}

// strike lets an accident of a worker happen: of the one that the schedule names, or
// of the next one that is in a pass; where none is, it waits for one.
func (f *fleet) strike(a *happened) {
	f.aiming.Lock()
	n := f.workers[a.who]
	a.hit = within(f.aim, func() bool {
		for i := range f.workers {
			if n = f.workers[(a.who+i)%workers]; !n.mu.TryLock() {
				continue // being replaced, or frozen
			}
			if f.passes(n) > 0 && !f.onTheBrink() {
				return true
			}
			n.mu.Unlock()
		}
		return false
	})
	if !a.hit {
		n = f.workers[a.who]
		n.mu.Lock()
	}
	f.aiming.Unlock()
	defer n.mu.Unlock()
	switch a.at = time.Now(); a.kind {
	case killWorker:
		a.at, a.err = n.replace(f, syscall.SIGKILL, a.lasts)
	case renewWorker:
		a.at, a.err = n.replace(f, syscall.SIGTERM, 0)
	default:
		a.err = n.freeze(a.lasts)
	}
}

// within tells whether a condition is met before the time is up.
func within(d time.Duration, met func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(d); !met(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// pause is how long an accident lasts: nothing is waited for.
func pause(d time.Duration) { <-time.After(d) }
