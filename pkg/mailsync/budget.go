package mailsync

import (
	"context"
	"math/bits"
	"slices"
	"sync"
)

// Budget bounds the bytes of messages that all passes with it hold in memory between
// source and target. Nobody waits for it with empty hands: who holds nothing and finds
// no room passes its message straight through, which takes no memory. So passes never
// wait for each other, and a message larger than the budget still goes through.
type Budget struct {
	mu    sync.Mutex
	free  int64
	queue []*turn
}

// NewBudget returns a budget of so many bytes.
func NewBudget(size int64) *Budget { return &Budget{free: size} }

// share is what one pass has of a budget, at most so much. It is for one taker.
type share struct {
	of   *Budget
	most int64
	held int64 // of.mu guards it
}

// turn is a taker that waits: for room, or until it holds nothing any more.
type turn struct {
	share   *share
	need    int64
	granted chan bool
}

// take takes n bytes, waiting for room as long as the share holds some. granted is
// false where there is no room and nothing is held.
func (s *share) take(ctx context.Context, n int64) (granted bool, err error) {
	s.of.mu.Lock()
	if s.fits(n) {
		s.grant(n)
		s.of.mu.Unlock()
		return true, nil
	}
	if s.held == 0 {
		s.of.mu.Unlock()
		return false, nil
	}
	t := &turn{share: s, need: n, granted: make(chan bool, 1)}
	s.of.queue = append(s.of.queue, t)
	s.of.mu.Unlock()
	select {
	case granted = <-t.granted:
		return granted, nil
	case <-ctx.Done():
		s.of.leave(t)
		return false, context.Cause(ctx)
	}
}

func (s *share) fits(n int64) bool { return n <= s.of.free && s.held+n <= s.most }

func (s *share) grant(n int64) {
	s.of.free -= n
	s.held += n
}

// give gives n bytes back, and lets those go on that waited for them.
func (s *share) give(n int64) {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	s.grant(-n)
	b.queue = slices.DeleteFunc(b.queue, func(t *turn) bool {
		switch {
		case t.share.fits(t.need):
			t.share.grant(t.need)
			t.granted <- true
		case t.share.held == 0:
			t.granted <- false
		default:
			return false
		}
		return true
	})
}

// leave gives up waiting; what was granted in the same moment is given back.
func (b *Budget) leave(t *turn) {
	b.mu.Lock()
	b.queue = slices.DeleteFunc(b.queue, func(x *turn) bool { return x == t })
	b.mu.Unlock()
	select {
	case granted := <-t.granted:
		if granted {
			t.share.give(t.need)
		}
	default:
	}
}

// Messages are held in buffers of a few sizes, so that one made for a large message is
// not kept for a small one, and that what is taken of the budget is what is in use.
const (
	smallestBuffer = 12 // 4 KB, as a power of two
	largestBuffer  = 19 // 512 KB: streamAbove
)

var buffers [largestBuffer - smallestBuffer + 1]sync.Pool

// bufferSize is how many bytes the buffer of a message of n bytes takes.
func bufferSize(n int64) int64 {
	return 1 << max(smallestBuffer, bits.Len64(uint64(max(n, 1)-1)))
}

// getBuffer returns a buffer of a size that bufferSize gave.
func getBuffer(size int64) *[]byte {
	if b, ok := buffers[bits.Len64(uint64(size))-1-smallestBuffer].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, size)
	return &b
}

func putBuffer(b *[]byte) {
	buffers[bits.Len(uint(len(*b)))-1-smallestBuffer].Put(b)
}
