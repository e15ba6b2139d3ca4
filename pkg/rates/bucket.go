package rates

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// chunkTime is the time whose worth of tokens is asked for at most.
	chunkTime = 250 * time.Millisecond
	// keepTime is how long tokens stay in hand.
	keepTime = time.Second

	// A piece is a sixteenth of a second's worth, within these bounds.
	piecesASecond      = 16
	minPiece, maxPiece = 256, 64 << 10
)

// Bucket is what one process draws for one endpoint, of one kind. Its methods are
// safe for any number of callers.
type Bucket struct {
	limiter *Limiter
	key     string
	share   func() float64 // of the rate, while Redis is away
	rate    atomic.Int64   // tokens a second; 0: no limit

	mu      sync.Mutex
	queue   []*waiter
	drawing bool // a goroutine asks for tokens

	inHand  int64
	drawn   time.Time // when the last tokens came
	stride  int64     // how many are asked for beyond what is needed now
	stopgap alone
}

// waiter is one caller of Wait.
type waiter struct {
	need int64
	done chan struct{}
}

func newBucket(l *Limiter, key string, share func() float64) *Bucket {
	return &Bucket{limiter: l, key: key, share: share}
}

// Piece is how many bytes should go at a time: so few that all who share the rate have
// their turn several times a second.
func (b *Bucket) Piece() int {
	rate := b.rate.Load()
	if rate == 0 {
		return maxPiece
	}
	return int(min(max(rate/piecesASecond, minPiece), maxPiece))
}

// Wait returns when n tokens are given, in the order of calling; or, at once when ctx
// ends, with its cause. Tokens that were given meanwhile are then lost.
func (b *Bucket) Wait(ctx context.Context, n int) error {
	if n <= 0 || b.rate.Load() == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w := b.join(int64(n))
	if w == nil {
		return nil
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		b.leave(w)
		return context.Cause(ctx)
	case <-b.limiter.closing.Done():
		return errClosed
	}
}

// join takes what is in hand, or queues; nil: nothing is left to wait for.
func (b *Bucket) join(n int64) *waiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.drawn) > keepTime {
		b.inHand = 0
	}
	if len(b.queue) == 0 && b.inHand >= n {
		b.inHand -= n
		return nil
	}
	w := &waiter{need: n, done: make(chan struct{})}
	b.queue = append(b.queue, w)
	if !b.drawing {
		b.drawing = b.limiter.run(b.draw)
	}
	return w
}

func (b *Bucket) leave(w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.queue, w); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	}
}

// set changes the rate, for what is asked from now on: what is reserved already is for
// a few seconds at most.
func (b *Bucket) set(rate int64) {
	if b.rate.Swap(rate) == rate {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inHand = min(b.inHand, chunk(rate))
	if rate == 0 {
		b.release()
	}
}

// release lets all go who wait.
func (b *Bucket) release() {
	for _, w := range b.queue {
		close(w.done)
	}
	b.queue = nil
}

// draw asks for tokens and gives them out, as long as somebody waits.
func (b *Bucket) draw() {
	for {
		r, waiting := b.next()
		if !waiting {
			return
		}
		g, ok := b.limiter.link.ask(b.limiter.closing, r)
		if !ok {
			g = b.stopgap.take(r, b.share(), time.Now())
		}
		if g.wait > 0 {
			timer := time.NewTimer(g.wait)
			select {
			case <-timer.C:
			case <-b.limiter.closing.Done():
			}
			timer.Stop()
		}
		b.pour(g.tokens)
	}
}

// next says what to ask for; nobody waits: draw is over.
func (b *Bucket) next() (r request, waiting bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rate := b.rate.Load()
	if rate == 0 {
		b.release()
	}
	if len(b.queue) == 0 || b.limiter.closing.Err() != nil {
		b.drawing = false
		return request{}, false
	}
	var need int64
	for _, w := range b.queue {
		need += w.need
	}
	if time.Since(b.drawn) < chunkTime {
		b.stride *= 2
	} else {
		b.stride = 0
	}
	b.stride = min(max(b.stride, need), chunk(rate))
	least := min(b.queue[0].need, max(1, rate/piecesASecond))
	return request{key: b.key, rate: rate, least: min(least, b.stride), want: b.stride}, true
}

// pour gives tokens to those who wait, the first first, and keeps what is left.
func (b *Bucket) pour(tokens int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if tokens == 0 {
		return
	}
	if time.Since(b.drawn) > keepTime {
		b.inHand = 0
	}
	b.inHand += tokens
	b.drawn = time.Now()
	for len(b.queue) > 0 && b.inHand > 0 {
		w := b.queue[0]
		n := min(w.need, b.inHand)
		w.need -= n
		b.inHand -= n
		if w.need > 0 {
			return
		}
		close(w.done)
		b.queue = b.queue[1:]
	}
}

func chunk(rate int64) int64 { return max(1, int64(float64(rate)*chunkTime.Seconds())) }
