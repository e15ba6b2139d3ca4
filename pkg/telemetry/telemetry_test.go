package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestLogFormats(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("unheard")
	log.Info("pass ended", zap.Duration("took", 1500*time.Millisecond), zap.Int64("user", 7))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	if line["message"] != "pass ended" || line["level"] != "info" || line["took"] != 1.5 || line["user"] != 7.0 {
		t.Errorf("line is %v", line)
	}
	if _, err := time.Parse(time.RFC3339, line["time"].(string)); err != nil {
		t.Errorf("time: %v", err)
	}
	for _, wrong := range [][2]string{{"loud", "json"}, {"info", "xml"}} {
		if _, err := NewLogger(&out, wrong[0], wrong[1]); err == nil {
			t.Errorf("level %q with format %q is taken", wrong[0], wrong[1])
		}
	}
}

func TestMetricNames(t *testing.T) {
	m := NewMetrics(ReadBuild())
	m.Passes.WithLabelValues("first", "synced").Inc()
	m.PassDuration.WithLabelValues("first").Observe(0.2)
	m.MessagesSkipped.WithLabelValues("MessageTooLarge").Inc()
	m.Faults.WithLabelValues("AuthFailed", "source").Inc()
	m.Throttled.WithLabelValues("default/old").Add(9)
	m.ObserveFleet(func(context.Context) Fleet {
		return Fleet{
			Mailboxes: map[string]int{"Synced": 3},
			InUse:     []Slots{{"default/old", "first", 2}},
			Limits:    []Slots{{"default/old", "all", 20}},
			Queues:    []Queue{{"first", 4, 3 * time.Second}},
			Backlog:   new(90 * time.Second),
		}
	})
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		"mailhaul_messages_copied_total 0", "mailhaul_bytes_copied_total 0", "mailhaul_lease_lost_total 0",
		`mailhaul_passes_total{kind="first",result="synced"} 1`, `mailhaul_pass_duration_seconds_count{kind="first"} 1`,
		`mailhaul_messages_skipped_total{code="MessageTooLarge"} 1`, `mailhaul_faults_total{code="AuthFailed",side="source"} 1`,
		`mailhaul_mailboxes{status="Synced"} 3`, `mailhaul_slots_in_use{endpoint="default/old",kind="first"} 2`,
		`mailhaul_slots_limit{endpoint="default/old",kind="all"} 20`, `mailhaul_queue_depth{queue="first"} 4`,
		`mailhaul_queue_oldest_seconds{queue="first"} 3`, "mailhaul_build_info{", `mailhaul_throttled_seconds_total{endpoint="default/old"} 9`, "mailhaul_backlog_estimated_seconds 90",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s", want)
		}
	}
}
