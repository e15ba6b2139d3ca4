package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Fleet is the state of all processes together, as the control plane sees it.
type Fleet struct {
	Mailboxes map[string]int // by status
	InUse     []Slots        // by endpoint and kind of pass
	Limits    []Slots        // by endpoint and "all" or "resync"
	Queues    []Queue
	// Backlog is nil where it cannot be told.
	Backlog *time.Duration
}

// Slots is a number of passes at one endpoint.
type Slots struct {
	Endpoint string // org/endpoint
	Kind     string
	N        int
}

// Queue is what waits in one queue.
type Queue struct {
	Name   string
	Depth  int
	Oldest time.Duration
}

// scrapeTimeout bounds what a scrape may take: a slow database must not pile up
// scrapes.
const scrapeTimeout = 5 * time.Second

// ObserveFleet adds the fleet's gauges, read by read at every scrape. What of it
// cannot be read is left zero by read and does not appear.
func (m *Metrics) ObserveFleet(read func(ctx context.Context) Fleet) {
	m.registry.MustRegister(&fleetCollector{
		read:      read,
		mailboxes: gauge("mailboxes", "Users by status.", "status"),
		slots:     gauge("slots_in_use", "Passes that hold a slot at an endpoint.", "endpoint", "kind"),
		limits:    gauge("slots_limit", "Passes that may hold a slot at an endpoint.", "endpoint", "kind"),
		depth:     gauge("queue_depth", "Passes admitted and not yet begun.", "queue"),
		backlog: gauge("backlog_estimated_seconds", "How long it takes until all users that are due now have had their pass: those of each kind times the mean "+
			"duration of such a pass, over the slots of the workers or of the narrowest endpoint. Without users at endpoints that are parked."),
		oldest: gauge("queue_oldest_seconds", "How long the oldest of them has waited.", "queue"),
	})
}

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

type fleetCollector struct {
	read                                             func(ctx context.Context) Fleet
	mailboxes, slots, limits, depth, oldest, backlog *prometheus.Desc
}

func (c *fleetCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.mailboxes, c.slots, c.limits, c.depth, c.oldest, c.backlog} {
		ch <- d
	}
}

func (c *fleetCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	f := c.read(ctx)
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for status, n := range f.Mailboxes {
		send(c.mailboxes, float64(n), status)
	}
	for _, s := range f.InUse {
		send(c.slots, float64(s.N), s.Endpoint, s.Kind)
	}
	for _, s := range f.Limits {
		send(c.limits, float64(s.N), s.Endpoint, s.Kind)
	}
	if f.Backlog != nil {
		send(c.backlog, f.Backlog.Seconds())
	}
	for _, q := range f.Queues {
		send(c.depth, float64(q.Depth), q.Name)
		send(c.oldest, q.Oldest.Seconds(), q.Name)
	}
}
