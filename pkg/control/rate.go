package control

import (
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Rate is how fast a batch goes.
type Rate struct {
	// BytesPerSecond is measured between two looks at the batch; 0: not known.
	BytesPerSecond float64
	// ETA is the time that is left at this rate; 0: not known.
	ETA time.Duration
}

// Bounds of what is remembered of batches that somebody looks at.
const (
	rateWindow  = 2 * time.Minute
	rateSpacing = 2 * time.Second
	maxRates    = 1000
)

// rates remembers, for batches that are looked at, how many bytes were copied when.
// It belongs to one process: a rate is known after the second look.
type rates struct {
	mu      sync.Mutex
	samples map[int64][]sample
}

type sample struct {
	at    time.Time
	bytes int64
}

func newRates() *rates { return &rates{samples: map[int64][]sample{}} }

// observe notes a look and answers the rate since the oldest one in the window.
func (r *rates) observe(batchID int64, status migration.BatchStatus, s migration.Summary, now time.Time) Rate {
	if status != migration.BatchSyncing && status != migration.BatchCompleting {
		r.forget(batchID)
		return Rate{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.samples[batchID]
	for len(list) > 0 && (now.Sub(list[0].at) > rateWindow || s.Messages.Bytes < list[0].bytes) {
		list = list[1:]
	}
	var rate Rate
	if len(list) > 0 {
		if elapsed := now.Sub(list[0].at); elapsed >= rateSpacing {
			rate.BytesPerSecond = float64(s.Messages.Bytes-list[0].bytes) / elapsed.Seconds()
		}
	}
	if n := len(list); n == 0 || now.Sub(list[n-1].at) >= rateSpacing {
		if len(r.samples) >= maxRates && n == 0 {
			clear(r.samples)
		}
		list = append(list, sample{now, s.Messages.Bytes})
	}
	r.samples[batchID] = list
	rate.ETA = eta(s, rate.BytesPerSecond)
	return rate
}

func (r *rates) forget(batchID int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.samples, batchID)
}

// eta is the time for the bytes that are left. Mailboxes nobody has looked into yet
// are taken to be as large as the average of the others.
func eta(s migration.Summary, bytesPerSecond float64) time.Duration {
	n := s.Counts.ByStatus
	unseen := n[migration.UserCreated] + n[migration.UserValidating] + n[migration.UserQueued]
	seen := s.Counts.Total() - unseen
	if bytesPerSecond <= 0 || seen <= 0 || s.Messages.BytesTotal <= 0 {
		return 0
	}
	total := float64(s.Messages.BytesTotal) / float64(seen) * float64(s.Counts.Total())
	left := total - float64(s.Messages.Bytes)
	if left <= 0 {
		return 0
	}
	seconds := min(left/bytesPerSecond, (10 * 365 * 24 * time.Hour).Seconds())
	return time.Duration(seconds * float64(time.Second))
}
