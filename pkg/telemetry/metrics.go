package telemetry

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "mailhaul"

// Metrics are the counters of one process, in a registry of their own.
type Metrics struct {
	registry *prometheus.Registry

	MessagesCopied  prometheus.Counter
	BytesCopied     prometheus.Counter
	LeaseLost       prometheus.Counter
	Passes          *prometheus.CounterVec   // kind, result
	PassDuration    *prometheus.HistogramVec // kind
	MessagesSkipped *prometheus.CounterVec   // code
	Faults          *prometheus.CounterVec   // code, side
	Throttled       *prometheus.CounterVec   // endpoint
}

// NewMetrics returns metrics at zero.
func NewMetrics(b Build) *Metrics {
	m := &Metrics{
		registry:        prometheus.NewRegistry(),
		MessagesCopied:  counter("messages_copied_total", "Messages written to targets."),
		BytesCopied:     counter("bytes_copied_total", "Bytes of messages written to targets."),
		LeaseLost:       counter("lease_lost_total", "Passes that ended because their lease was no longer theirs."),
		Passes:          counters("passes_total", "Passes that ended, by kind and by how they ended.", "kind", "result"),
		MessagesSkipped: counters("messages_skipped_total", "Messages that could not be copied, by reason.", "code"),
		Faults:          counters("faults_total", "Faults that ended a pass, by code and side.", "code", "side"),
		Throttled:       counters("throttled_seconds_total", "Time for which mailboxes were parked because an endpoint asked for it.", "endpoint"),
		PassDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "pass_duration_seconds", Help: "Time from claim to end of a pass.",
			Buckets: []float64{0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600},
		}, []string{"kind"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with what the binary was built from.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": b.Go},
	})
	build.Set(1)
	m.registry.MustRegister(m.MessagesCopied, m.BytesCopied, m.LeaseLost, m.Passes, m.PassDuration, m.MessagesSkipped, m.Faults, m.Throttled, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

// Handler serves the metrics in Prometheus' formats. What cannot be gathered is left
// out: a database that is down must not hide what the process itself counted.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
