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
	at  time.Time
	err error
}

// suffer lets the schedule's accidents happen and returns when the last is over.
func (f *fleet) suffer(s schedule) []happened {
	out := make([]happened, len(s.accidents))
	begun := time.Now()
	var all sync.WaitGroup
	for i, a := range s.accidents {
		pause(time.Until(begun.Add(a.at)))
		out[i] = happened{accident: a, at: time.Now()}
		all.Go(func() { f.befall(&out[i]) })
	}
	all.Wait()
	return out
}

// leaseQueues are the queues whose leases asynq keeps in a key of its own.
var leaseQueues = []string{"first", "resync", "complete", "verify"}

func (f *fleet) befall(a *happened) {
	switch a.kind {
	case killWorker:
		a.at, a.err = f.workers[a.who].replace(f, syscall.SIGKILL, a.lasts)
	case renewWorker:
		a.at, a.err = f.workers[a.who].replace(f, syscall.SIGTERM, 0)
	case freezeWorker:
		a.err = f.workers[a.who].freeze(a.lasts)
	case killAPI:
		a.at, a.err = f.apis[a.who].replace(f, syscall.SIGKILL, a.lasts)
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
