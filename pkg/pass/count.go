package pass

import (
	"sync"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/telemetry"
)

// counted passes a tally that grows on to counters.
type counted struct {
	metrics *telemetry.Metrics

	mu              sync.Mutex
	messages, bytes int64
}

// observe takes the pass's tally so far. One that shrank (a folder was taken up
// again) waits until it has grown beyond what is counted.
func (c *counted) observe(t migration.Tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := t.Copied - c.messages; d > 0 {
		c.metrics.MessagesCopied.Add(float64(d))
		c.messages = t.Copied
	}
	if d := t.Bytes - c.bytes; d > 0 {
		c.metrics.BytesCopied.Add(float64(d))
		c.bytes = t.Bytes
	}
}

// copied is how many bytes the pass has copied so far.
func (c *counted) copied() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// skips counts the messages that were skipped for the first time: n of items, which
// the engine lists last.
func (c *counted) skips(items []migration.Item, n int64) {
	for i := len(items) - 1; i >= 0 && n > 0; i-- {
		if items[i].UID != 0 {
			c.metrics.MessagesSkipped.WithLabelValues(string(items[i].Code)).Inc()
			n--
		}
	}
}
