package rates

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a Redis in memory whose clock the test sets.
type bench struct {
	*miniredis.Miniredis
	fleet
	now time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{Miniredis: miniredis.RunT(t), now: time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.UTC)}
	b.SetTime(b.now)
	rdb := redis.NewClient(&redis.Options{Addr: b.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	b.fleet = fleet{rdb}
	return b
}

func (b *bench) pass(d time.Duration) {
	b.now = b.now.Add(d)
	b.SetTime(b.now)
}

func (b *bench) must(t *testing.T, r request) grants {
	t.Helper()
	g, err := b.ask(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGrants(t *testing.T) {
	ask := func(rate, least, want int64) request { return request{"k", rate, least, want} }
	type step struct {
		after time.Duration
		r     request
		want  grants
	}
	rows := []struct {
		story string
		steps []step
	}{
		{"a second's worth at once, then in the order of asking", []step{
			{0, ask(100, 1, 100), grants{100, 0}},
			{0, ask(100, 1, 25), grants{25, 250 * time.Millisecond}},
			{0, ask(100, 1, 25), grants{25, 500 * time.Millisecond}},
			{600 * time.Millisecond, ask(100, 1, 25), grants{25, 150 * time.Millisecond}},
		}},
		{"what is not used for an hour is not saved up", []step{
			{0, ask(100, 1, 100), grants{100, 0}},
			{time.Hour, ask(100, 1, 100), grants{100, 0}},
			{0, ask(100, 1, 1), grants{1, 10 * time.Millisecond}},
		}},
		{"where many wait each has little, and nobody waits for ever", []step{
			{0, ask(10, 1, 10), grants{10, 0}},
			{0, ask(10, 1, 10), grants{10, time.Second}},
			{0, ask(10, 1, 10), grants{10, 2 * time.Second}},
			{0, ask(10, 1, 10), grants{1, 2100 * time.Millisecond}},
			{0, ask(10, 10, 10), grants{10, 3100 * time.Millisecond}},
			{0, ask(10, 10, 10), grants{10, 4100 * time.Millisecond}},
			{0, ask(10, 10, 10), grants{10, 5100 * time.Millisecond}},
			{0, ask(10, 10, 10), grants{0, 350 * time.Millisecond}},
			{350 * time.Millisecond, ask(10, 10, 10), grants{10, 5750 * time.Millisecond}},
		}},
		{"another rate holds from the next grant on", []step{
			{0, ask(100, 1, 100), grants{100, 0}},
			{0, ask(1000, 1, 100), grants{100, 100 * time.Millisecond}},
			{0, ask(10, 1, 1), grants{1, 200 * time.Millisecond}},
		}},
		{"Redis's clock is set back by a day", []step{
			{0, ask(100, 1, 100), grants{100, 0}},
			{-24 * time.Hour, ask(100, 1, 25), grants{25, 250 * time.Millisecond}},
		}},
		{"a third of a microsecond is rounded against who asks", []step{
			{0, ask(3, 1, 3), grants{3, 0}},
			{0, ask(3, 1, 1), grants{1, 333_334 * time.Microsecond}},
			{0, ask(3, 1, 1), grants{1, 666_668 * time.Microsecond}},
		}},
	}
	for _, row := range rows {
		t.Run(row.story, func(t *testing.T) {
			b := newBench(t)
			for i, s := range row.steps {
				b.pass(s.after)
				if got := b.must(t, s.r); got != s.want {
					t.Fatalf("step %d: %d tokens after %s, want %d after %s", i, got.tokens, got.wait, s.want.tokens, s.want.wait)
				}
			}
		})
	}
}

// Whatever is asked and whenever: never more than rate × t and a second's worth.
func TestGrantsAreNeverMoreThanTheRate(t *testing.T) {
	b := newBench(t)
	const rate = 1000
	began := b.now
	sum := int64(0)
	for i := range 2000 {
		b.pass(time.Duration(i*7919%5) * time.Millisecond)
		g := b.must(t, request{"k", rate, 1, int64(1 + i*104729%300)})
		sum += g.tokens
		free := b.now.Add(g.wait).Sub(began)
		if most := rate*free.Seconds() + rate; g.tokens > 0 && float64(sum) > most {
			t.Fatalf("%d tokens by %s, at most %.0f", sum, free, most)
		}
	}
	if elapsed := b.now.Sub(began).Seconds(); float64(sum) < rate*elapsed {
		t.Errorf("%d tokens in %.1f s: less than the rate, though more was always asked for", sum, elapsed)
	}
}

func TestABucketThatSaysNothingExpires(t *testing.T) {
	b := newBench(t)
	b.must(t, request{bucketKey(1, bytesKind), 100, 1, 100})
	b.must(t, request{bucketKey(1, bytesKind), 100, 1, 50})
	if ttl := b.TTL("mailhaul:rates:1:bytes"); ttl != 1500*time.Millisecond {
		t.Errorf("it is kept for %s", ttl)
	}
	b.FastForward(1500 * time.Millisecond)
	if keys := b.Keys(); len(keys) != 0 {
		t.Errorf("%q are left", keys)
	}
}
