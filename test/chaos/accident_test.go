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
	from, to time.Time
	err      error
}

// suffer lets the schedule's accidents happen and returns when the last is over.
func (f *fleet) suffer(s schedule) []happened {
	out := make([]happened, len(s.accidents))
	begun := time.Now()
	var all sync.WaitGroup
	for i, a := range s.accidents {
		pause(time.Until(begun.Add(a.at)))
		out[i] = happened{accident: a, from: time.Now()}
		all.Go(func() {
			out[i].err = f.befall(a)
			out[i].to = time.Now()
		})
	}
	all.Wait()
	return out
}

// leaseQueues are the queues whose leases asynq keeps in a key of its own.
var leaseQueues = []string{"first", "resync", "complete", "verify"}

func (f *fleet) befall(a accident) error {
	switch a.kind {
	case killWorker:
		return f.workers[a.who].replace(f, syscall.SIGKILL, a.lasts)
	case renewWorker:
		return f.workers[a.who].replace(f, syscall.SIGTERM, 0)
	case freezeWorker:
		return f.workers[a.who].freeze(a.lasts)
	case killAPI:
		return f.apis[a.who].replace(f, syscall.SIGKILL, a.lasts)
	case flushRedis:
		_ = f.redisDo("FLUSHALL") // refused while it is killed: then it is empty anyway
		return nil
	case dropLeases:
		for _, queue := range leaseQueues {
			_ = f.redisDo("DEL asynq:{" + queue + "}:lease")
		}
		return nil
	case killRedis:
		if err := f.redis.Kill(); err != nil {
			return err
		}
		pause(a.lasts)
		return f.redis.Start()
	case stopDatabase:
		return f.database.stop(a.lasts)
	}
	return fmt.Errorf("%s: no such accident", a.kind)
}
