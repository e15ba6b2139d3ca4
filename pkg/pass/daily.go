package pass

import (
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/provider"
)

// daily holds what is copied for one user in a day against what either endpoint lets one
// mailbox move. Both count messages copied: what is read to compare is not among them.
type daily struct {
	limits []dailyLimit

	mu sync.Mutex
	// traffic is what earlier passes copied on its day; of this pass's bytes, done were
	// copied before that day began.
	traffic migration.Traffic
	done    int64
}

// dailyLimit is how many bytes a day an endpoint lets one mailbox move.
type dailyLimit struct {
	endpoint *migration.Endpoint
	bytes    int64 // 0: any
}

func dailyOf(e *migration.Endpoint, side migration.Side) dailyLimit {
	return dailyLimit{e, provider.DailyBytes(e, side)}
}

// rest tells whether the user's day is over, with the bytes that this pass has copied so
// far; nil: it is not.
func (d *daily) rest(copied int64, now time.Time) *migration.Rest {
	d.mu.Lock()
	defer d.mu.Unlock()
	if day := migration.DayOf(now); day > d.traffic.Day {
		d.traffic, d.done = migration.Traffic{Day: day}, copied
	}
	today := d.traffic.Bytes + copied - d.done
	var rest *migration.Rest
	for _, l := range d.limits {
		rest = rest.Later(l.endpoint.MailboxRest(today, l.bytes, now))
	}
	return rest
}
