package rates

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// ledger is grant.lua in the bubble's time, and what became of it.
type ledger struct {
	mu     sync.Mutex
	free   time.Time
	asked  int
	answer func(context.Context) error // nil: it answers
}

func (l *ledger) ask(ctx context.Context, r request) (grants, error) {
	l.mu.Lock()
	l.asked++
	answer := l.answer
	l.mu.Unlock()
	if answer != nil {
		if err := answer(ctx); err != nil {
			return grants{}, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	n := r.want
	if l.free.After(now.Add(time.Second)) {
		n = r.least
	}
	if oldest := now.Add(-time.Second); l.free.Before(oldest) {
		l.free = oldest
	}
	l.free = l.free.Add(time.Duration(n) * time.Second / time.Duration(r.rate))
	return grants{n, max(0, l.free.Sub(now))}, nil
}

func (l *ledger) set(answer func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = answer
}

func (l *ledger) commands() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

var errGone = errors.New("connection refused")

func gone(context.Context) error { return errGone }

func hangs(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// at returns a Limiter with a pass at endpoint 1.
func at(t *testing.T, l asker, limits Limits) *Limiter {
	t.Helper()
	limiter := newLimiter(l, zap.NewNop())
	t.Cleanup(func() { _ = limiter.Close() })
	t.Cleanup(limiter.Enter(1, limits))
	return limiter
}

// drain takes bytes, a piece at a time, until d is over; it returns how many.
func drain(t *testing.T, l *Limiter, d time.Duration) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	b, sum := l.Bytes(1), int64(0)
	for {
		n := b.Piece()
		if b.Wait(ctx, n) != nil {
			return sum
		}
		sum += int64(n)
	}
}

func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestLimiter(t *testing.T) {
	bubble(t, "no limit is no question", func(t *testing.T) {
		book := &ledger{}
		l := at(t, book, Limits{Passes: 20})
		for range 1000 {
			if err := l.Bytes(1).Wait(t.Context(), 1<<30); err != nil {
				t.Fatal(err)
			}
			if err := l.Message(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		if n := book.commands(); n != 0 {
			t.Errorf("redis was asked %d times", n)
		}
	})
	bubble(t, "one process uses all of the rate with few questions", func(t *testing.T) {
		book := &ledger{}
		l := at(t, book, Limits{BytesPerSecond: 1 << 20, Passes: 20})
		sum := drain(t, l, 10*time.Second)
		if sum > 11<<20 || sum < 10<<20 {
			t.Errorf("%d bytes in 10 s at 1 MB/s", sum)
		}
		if n := book.commands(); n > 60 {
			t.Errorf("redis was asked %d times in 10 s", n)
		}
	})
	bubble(t, "many processes share it, and each has some", func(t *testing.T) {
		book := &ledger{}
		var wg sync.WaitGroup
		sums := make([]int64, 12)
		for i := range sums {
			l := at(t, book, Limits{BytesPerSecond: 1 << 20, Passes: 20})
			wg.Go(func() { sums[i] = drain(t, l, 20*time.Second) })
		}
		wg.Wait()
		total := int64(0)
		for _, s := range sums {
			total += s
			if s < 1<<20 {
				t.Errorf("one had %d bytes of the 20 MB", s)
			}
		}
		if total > 21<<20 || total < 18<<20 {
			t.Errorf("%d bytes in 20 s at 1 MB/s", total)
		}
		if n := book.commands(); n > 20*len(sums)*10 {
			t.Errorf("redis was asked %d times", n)
		}
	})
	bubble(t, "who asked first goes first", func(t *testing.T) {
		l := at(t, &ledger{}, Limits{MessagesPerSecond: 1, Passes: 20})
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				if err := l.Message(t.Context(), 1); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			synctest.Wait()
		}
		wg.Wait()
		for i, got := range order {
			if got != i {
				t.Fatalf("the order was %v", order)
			}
		}
	})
	bubble(t, "who gives up goes at once, and the next has its turn", func(t *testing.T) {
		l := at(t, &ledger{}, Limits{MessagesPerSecond: 1, Passes: 20})
		must(t, l.Message(t.Context(), 1))
		stop := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		begun, left := time.Now(), make(chan error)
		go func() { left <- l.Message(ctx, 1) }()
		synctest.Wait()
		cancel(stop)
		if err := <-left; !errors.Is(err, stop) || time.Since(begun) != 0 {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		must(t, l.Message(t.Context(), 1))
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("the next waited %s", took)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsInHandIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &ledger{}
		l := at(t, book, Limits{MessagesPerSecond: 100, Passes: 20})
		b := l.bucket(1, messagesKind)
		b.pour(25)
		must(t, b.Wait(t.Context(), 5))
		if book.commands() != 0 {
			t.Error("redis was asked though there were tokens in hand")
		}
		time.Sleep(keepTime + time.Millisecond) // in the bubble
		must(t, b.Wait(t.Context(), 5))
		if book.commands() == 0 {
			t.Error("tokens are saved up")
		}
	})
}

func TestAChangedRateHoldsWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := at(t, &ledger{}, Limits{BytesPerSecond: 1 << 20, Passes: 20})
		drain(t, l, 3*time.Second)
		l.Update(1, Limits{BytesPerSecond: 10 << 10, Passes: 20})
		if sum := drain(t, l, 20*time.Second); sum > 20*10<<10+256<<10 {
			t.Errorf("%d bytes in 20 s at 10 kB/s", sum)
		}
		l.Update(1, Limits{BytesPerSecond: 1 << 20, Passes: 20})
		if sum := drain(t, l, 20*time.Second); sum < 15<<20 {
			t.Errorf("%d bytes in 20 s at 1 MB/s again", sum)
		}
		l.Update(1, Limits{MessagesPerSecond: 1, Passes: 20})
		must(t, l.Message(t.Context(), 1))
		waiting := make(chan error)
		go func() { waiting <- l.bucket(1, messagesKind).Wait(t.Context(), 100) }()
		synctest.Wait()
		begun := time.Now()
		l.Update(1, Limits{})
		if err := <-waiting; err != nil || time.Since(begun) != 0 {
			t.Errorf("who waited went on after %s, %v: there is no limit any more", time.Since(begun), err)
		}
	})
}

func TestWithoutRedisEachProcessKeepsToItsShare(t *testing.T) {
	for name, away := range map[string]func(context.Context) error{"gone": gone, "hanging": hangs} {
		bubble(t, name, func(t *testing.T) {
			book := &ledger{answer: away}
			l := at(t, book, Limits{BytesPerSecond: 1 << 20, MessagesPerSecond: 2, Passes: 20})
			defer l.Enter(1, Limits{BytesPerSecond: 1 << 20, MessagesPerSecond: 2, Passes: 20})() // two passes of 20
			begun := time.Now()
			must(t, l.Bytes(1).Wait(t.Context(), 1))
			if took := time.Since(begun); took > 2*patience {
				t.Errorf("the first byte waited %s", took)
			}
			sum := drain(t, l, 20*time.Second)
			if share := int64(20 << 20 / 10); sum > share+share/10 || sum < share*8/10 {
				t.Errorf("%d bytes in 20 s, a tenth of the rate is %d", sum, share)
			}
			if n := book.commands(); n > 12 {
				t.Errorf("redis was asked %d times in 20 s", n)
			}
			must(t, l.Message(t.Context(), 1)) // a fifth of a message a second: it comes
			book.set(nil)
			time.Sleep(2 * retryEvery) // in the bubble
			if sum := drain(t, l, 20*time.Second); sum < 17<<20 {
				t.Errorf("%d bytes in 20 s though redis is back", sum)
			}
		})
	}
}

func TestCloseLetsNobodyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := at(t, &ledger{}, Limits{MessagesPerSecond: 1, Passes: 1})
		waiting := make(chan error)
		go func() { waiting <- l.bucket(1, messagesKind).Wait(t.Context(), 1000) }()
		synctest.Wait()
		must(t, l.Close())
		if err := <-waiting; !errors.Is(err, errClosed) {
			t.Errorf("it ended with %v", err)
		}
		if err := l.bucket(1, messagesKind).Wait(t.Context(), 1000); !errors.Is(err, errClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}
