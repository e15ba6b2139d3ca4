package rates

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// patience is how long Redis may take to answer.
	patience = 500 * time.Millisecond
	// retryEvery is how often a Redis that did not answer is asked again, by one bucket
	// for all.
	retryEvery = 2 * time.Second
)

// link asks Redis, and knows while it does not answer.
type link struct {
	asker asker
	log   *zap.Logger

	mu    sync.Mutex
	away  bool
	retry time.Time // while away
}

// ask asks Redis; ok is false where it does not answer now.
func (l *link) ask(ctx context.Context, r request) (g grants, ok bool) {
	if !l.turn() {
		return grants{}, false
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g, err := l.asker.ask(limited, r)
	if ctx.Err() == nil {
		l.told(err)
	}
	return g, err == nil
}

// turn reports whether Redis is to be asked: always while it answers, else now and
// then.
func (l *link) turn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.away {
		return true
	}
	if time.Now().Before(l.retry) {
		return false
	}
	l.retry = time.Now().Add(retryEvery)
	return true
}

func (l *link) told(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		if !l.away {
			l.log.Warn("redis does not answer: each process keeps to its share of the endpoints' rates", zap.Error(err))
		}
		l.away, l.retry = true, time.Now().Add(retryEvery)
	case l.away:
		l.log.Info("redis answers again: the endpoints' rates are kept together")
		l.away = false
	}
}
