package rates

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// Limits are what an operator allows at one endpoint.
type Limits struct {
	BytesPerSecond, MessagesPerSecond int64 // 0: no limit
	// Passes is how many passes all processes together may have there.
	Passes int
}

var errClosed = errors.New("the rates are closed: the process ends")

// Limiter holds the buckets of the endpoints at which this process has passes.
type Limiter struct {
	rdb     redis.UniversalClient
	link    *link
	closing context.Context
	close   context.CancelFunc
	drawing sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	endpoints map[int64]*endpoint
}

// endpoint is one at which passes run.
type endpoint struct {
	passes, limit   int
	bytes, messages *Bucket
}

// New returns a Limiter that shares its buckets with all others on the same Redis. It
// closes rdb, which should neither wait long nor try again by itself.
func New(rdb redis.UniversalClient, log *zap.Logger) *Limiter {
	l := newLimiter(fleet{rdb}, log)
	l.rdb = rdb
	return l
}

func newLimiter(a asker, log *zap.Logger) *Limiter {
	l := &Limiter{link: &link{asker: a, log: log}, endpoints: map[int64]*endpoint{}}
	l.closing, l.close = context.WithCancel(context.Background())
	return l
}

// Close lets nobody wait any more.
func (l *Limiter) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.close()
	l.drawing.Wait()
	if l.rdb == nil {
		return nil
	}
	return l.rdb.Close()
}

// run runs f beside the caller until Close waits for it; false: it is too late.
func (l *Limiter) run(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.drawing.Go(f)
	return true
}

// Enter tells that a pass begins at an endpoint, until leave is called.
func (l *Limiter) Enter(id int64, limits Limits) (leave func()) {
	l.mu.Lock()
	at := l.endpoints[id]
	if at == nil {
		at = &endpoint{}
		share := func() float64 { return l.share(at) }
		at.bytes = newBucket(l, bucketKey(id, bytesKind), share)
		at.messages = newBucket(l, bucketKey(id, messagesKind), share)
		l.endpoints[id] = at
	}
	at.passes++
	l.mu.Unlock()
	l.Update(id, limits)
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if at.passes--; at.passes == 0 {
			delete(l.endpoints, id)
		}
	})
}

// Update tells the limits as they are now; where no pass runs nothing happens.
func (l *Limiter) Update(id int64, limits Limits) {
	l.mu.Lock()
	at := l.endpoints[id]
	if at != nil {
		at.limit = limits.Passes
	}
	l.mu.Unlock()
	if at != nil {
		at.bytes.set(limits.BytesPerSecond)
		at.messages.set(limits.MessagesPerSecond)
	}
}

// share is the part of an endpoint's rate that belongs to this process's passes.
func (l *Limiter) share(at *endpoint) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return min(1, float64(max(1, at.passes))/float64(max(1, at.limit)))
}

// Bytes is the endpoint's bucket of bytes, for the connections of a pass that has
// entered.
func (l *Limiter) Bytes(endpointID int64) *Bucket { return l.bucket(endpointID, bytesKind) }

// Message waits until one more message may be read or written at the endpoint.
func (l *Limiter) Message(ctx context.Context, endpointID int64) error {
	return l.bucket(endpointID, messagesKind).Wait(ctx, 1)
}

// bucket is one without a limit where no pass has entered.
func (l *Limiter) bucket(endpointID int64, k kind) *Bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.endpoints[endpointID]
	switch {
	case at == nil:
		return &Bucket{}
	case k == bytesKind:
		return at.bytes
	default:
		return at.messages
	}
}
