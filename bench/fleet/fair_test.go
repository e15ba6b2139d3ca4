package fleet_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	small     = 10 // organisations
	smallSize = 50
	largeSize = 5000
	// slots of the workers are fewer than those of the endpoints.
	workerSlots = 24
	quick       = 400 * time.Millisecond
	slow        = 2 * time.Second
)

// BenchmarkFairness: one organisation with many users on a slow endpoint does not
// hold up ten with few.
func BenchmarkFairness(b *testing.B) {
	for range b.N {
		alone := together(b, false)
		beside := together(b, true)
		report(b, beside.Seconds() <= 1.2*alone.Seconds(), "ten organisations of 50 beside one of 5,000 (slow endpoint, 24 worker slots)",
			"<= 1.20 x alone", "%.2f x (%.1f s, alone %.1f s)", beside.Seconds()/alone.Seconds(), beside.Seconds(), alone.Seconds())
	}
}

// together is how long the small organisations take, all started at once.
func together(b *testing.B, large bool) time.Duration {
	h := newHouse(b, sqlite(b))
	var mu sync.Mutex
	left := small * smallSize
	done := make(chan struct{})
	h.engine = func(ctx context.Context, batch string) {
		wait := quick
		if batch == "large" {
			wait = slow
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		if batch == "large" {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if left--; left == 0 {
			close(done)
		}
	}
	var all []*migration.Batch
	add := func(name string, n int) {
		org, err := h.store.CreateOrg(b.Context(), name)
		if err != nil {
			b.Fatal(err)
		}
		h.endpoint(org, name+"-old", 20)
		h.endpoint(org, name+"-new", 20)
		all = append(all, h.batch(org, name, name+"-old", name+"-new", n))
	}
	if large {
		add("large", largeSize)
	}
	for i := range small {
		add(fmt.Sprintf("small%d", i), smallSize)
	}
	begun := time.Now()
	for _, batch := range all {
		if _, err := h.store.StartUsers(b.Context(), batch.ID, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	h.run(workerSlots)
	select {
	case <-done:
	case <-time.After(3 * time.Minute):
		b.Fatal("the small organisations are not done after three minutes")
	}
	took := time.Since(begun)
	h.stop()
	return took
}
