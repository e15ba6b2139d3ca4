package rates_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/rates"
	"github.com/mailhaul/mailhaul/test/servers"
)

// process is a Limiter with connections of its own, as each process has.
func process(t *testing.T, url string, limits rates.Limits) *rates.Limiter {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.MaxRetries, o.DialerRetries = time.Second/2, time.Second/2, time.Second/2, -1, 1
	l := rates.New(redis.NewClient(o), zap.NewNop())
	t.Cleanup(func() { _ = l.Close() })
	t.Cleanup(l.Enter(1, limits))
	return l
}

// busy keeps passes of every process asking until stop; count is what they were given.
func busy(ctx context.Context, wg *sync.WaitGroup, count *atomic.Int64, processes ...*rates.Limiter) {
	for _, l := range processes {
		for range 3 {
			wg.Go(func() {
				for b := l.Bytes(1); ; {
					n := b.Piece()
					if b.Wait(ctx, n) != nil {
						return
					}
					count.Add(int64(n))
				}
			})
		}
	}
}

func TestProcessesTogetherKeepToTheRate(t *testing.T) {
	const rate = 1 << 20
	url := servers.Redis(t)
	limits := rates.Limits{BytesPerSecond: rate, Passes: 20}
	var all []*rates.Limiter
	for range 6 {
		all = append(all, process(t, url, limits))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var given atomic.Int64
	begun := time.Now()
	busy(ctx, &wg, &given, all...)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for range 16 {
		<-tick.C
		sum := given.Load() // read before the clock: a late reading proves nothing
		if elapsed := time.Since(begun).Seconds(); float64(sum) > rate*elapsed+rate {
			t.Fatalf("%d bytes in %.2f s at %d a second", sum, elapsed, rate)
		}
	}
	// Who waits half a second for this Redis, on a busy machine, has only its share.
	await(t, "twice the rate", func() bool { return given.Load() >= 2*rate })
	cancel()
	wg.Wait()
	t.Logf("%d bytes in %.2f s at %d a second", given.Load(), time.Since(begun).Seconds(), rate)
}

// Redis dies in the middle: six processes with a pass each, of 20 that there may be,
// go on, all together at no more than their part of the rate; and with Redis back at all
// of it.
func TestProcessesGoOnWithoutRedis(t *testing.T) {
	const rate = 1 << 20
	server := servers.RestartableRedis(t)
	limits := rates.Limits{BytesPerSecond: rate, Passes: 20}
	var all []*rates.Limiter
	for range 6 {
		all = append(all, process(t, server.URL, limits))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var given atomic.Int64
	busy(ctx, &wg, &given, all...)
	await(t, "tokens from redis", func() bool { return given.Load() > rate*3/2 })
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	// What was reserved before may still be used: at most a quarter second's worth each.
	begun, before := time.Now(), given.Load()
	await(t, "tokens without redis", func() bool { return time.Since(begun) > 4*time.Second })
	sum := given.Load() - before
	elapsed := time.Since(begun).Seconds()
	t.Logf("without redis: %d bytes in %.2f s at %d a second", sum, elapsed, rate)
	if most := rate*elapsed*6/20 + 6*rate/4; float64(sum) > most || sum == 0 {
		t.Errorf("%d bytes in %.2f s without redis, want some, and at most %.0f", sum, elapsed, most)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	back := given.Load()
	await(t, "the rate after redis is back", func() bool { return given.Load()-back > 4*rate })
	cancel()
	wg.Wait()
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in 2 min: %s", what)
		}
		<-tick.C
	}
}
