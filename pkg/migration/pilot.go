package migration

import "time"

// Pilot is how the first sync of a batch went: what others between the same endpoints
// may expect.
type Pilot struct {
	Batch   string
	BatchID int64
	Users   int // of the batch
	Synced  int // of those, that had their first sync
	Failed  int // of those, that failed or need credentials
	// What the first syncs brought, and the time of their passes, all added up.
	Messages, Bytes int64
	Work            time.Duration
	// From its start to the first sync that ended last.
	StartedAt, LastAt time.Time
}

// Took is the time from the batch's start to its last first sync.
func (p Pilot) Took() time.Duration { return max(0, p.LastAt.Sub(p.StartedAt)) }

// Concurrency is how many passes there were at once, on the average.
func (p Pilot) Concurrency() float64 {
	if p.Took() <= 0 {
		return 0
	}
	return min(float64(p.Synced), max(1, p.Work.Seconds()/p.Took().Seconds()))
}

// MessagesPerSecond and BytesPerSecond are of one mailbox, while its pass runs.
func (p Pilot) MessagesPerSecond() float64 { return perSecond(p.Messages, p.Work) }

// BytesPerSecond is described at MessagesPerSecond.
func (p Pilot) BytesPerSecond() float64 { return perSecond(p.Bytes, p.Work) }

func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
