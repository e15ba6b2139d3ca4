package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
)

func look(second int, messages, size int64) client.Fleet {
	at := time.Date(2026, 7, 1, 12, 0, second, 0, time.UTC)
	eta := 3723.0
	return client.Fleet{
		At: at, ETASeconds: &eta, Due: map[string]int{"first": 40, "resync": 2}, Copied: client.Copied{Messages: messages, Bytes: size},
		Workers: []client.Worker{
			{ID: "w-1", Host: "h1", PID: 7, Version: "v1", State: "running", Running: 3, Concurrency: 8, Since: at},
			{ID: "w-2", Host: "h2", PID: 8, Version: "v1", State: "drained", Concurrency: 8, Since: at},
		},
		Endpoints: []client.FleetAt{
			{Name: "new", InUse: map[string]int{"first": 3}, Limit: 20, WorkingLimit: 20, ResyncLimit: 10, Due: map[string]int{"first": 40}},
			{
				Name: "old", InUse: map[string]int{"first": 2, "resync": 1}, Limit: 7, WorkingLimit: 3, ResyncLimit: 1, Due: map[string]int{"first": 40, "resync": 2},
				Waits: []client.Reason{{Kind: "parked", What: "endpoint old is parked\x1b[2J", Until: &at}},
			},
		},
	}
}

func TestTop(t *testing.T) {
	code, out, errs := mailhaul(t, &script{answers: []any{look(0, 100, 1000), look(2, 300, 2_001_000)}}, "top", "--once")
	for _, want := range []string{
		"100 messages/s, 1.0 MB/s; due: 2 resync, 40 first; until they have had their pass: 1h2m3s",
		"w-1", "3/8", "drained", "2 workers, 3 passes, room for 8",
		"old       3/7 (now 3)  1/1      1 resync, 2 first  2 resync, 40 first  endpoint old is parked[2J, until ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != 0 || errs != "" || strings.Contains(out, "\x1b") {
		t.Errorf("code %d, said %q, out %q", code, errs, out)
	}
	code, out, _ = mailhaul(t, &script{answers: []any{look(0, 100, 1000), look(2, 300, 3000)}}, "top", "--once", "--output", "json")
	var f struct {
		client.Fleet
		MessagesPerSecond, BytesPerSecond float64
	}
	if err := json.Unmarshal([]byte(out), &f); err != nil || code != 0 || f.MessagesPerSecond != 100 || f.BytesPerSecond != 1000 || len(f.Endpoints) != 2 {
		t.Errorf("code %d, %v: %s", code, err, out)
	}
	// A counter that began anew (midnight, another database) is no rate.
	_, out, _ = mailhaul(t, &script{answers: []any{look(0, 100, 1000), look(2, 3, 10)}}, "top", "--once")
	if !strings.Contains(out, " 0 messages/s, 0 B/s") {
		t.Errorf("got %s", out)
	}
	// Without --once it goes on until something ends it.
	gone := &client.Problem{Status: 403, Code: "Forbidden", Detail: "revoked"}
	code, out, _ = mailhaul(t, &script{answers: []any{look(0, 0, 0), look(2, 2, 2), look(4, 6, 6), gone}}, "top", "--output", "ndjson")
	if n := strings.Count(out, "\n"); n != 3 || code != exitAuth {
		t.Errorf("code %d, %d lines: %s", code, n, out)
	}
	// A token that sees no workers sees the rest.
	alone := look(0, 0, 0)
	alone.Workers = nil
	if _, out, _ = mailhaul(t, &script{answers: []any{alone}}, "top", "--once"); strings.Contains(out, "workers") || !strings.Contains(out, "ENDPOINT") {
		t.Errorf("got %s", out)
	}
}

func TestWorkersAndWhy(t *testing.T) {
	page := client.Page[client.Worker]{Items: look(0, 0, 0).Workers}
	code, out, _ := mailhaul(t, &script{answers: []any{page}}, "worker", "list")
	if code != 0 || !strings.Contains(out, "w-2  h2    8    v1       0/8     drained") {
		t.Errorf("code %d:\n%s", code, out)
	}
	s := &script{answers: []any{page.Items[0]}}
	code, _, errs := mailhaul(t, s, "worker", "drain", "w-1")
	if code != 0 || s.requests[0] != "POST /v1/workers/w-1/drain" || !strings.Contains(errs, "w-1 hands back") {
		t.Errorf("code %d, %v, said %s", code, s.requests, errs)
	}
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	why := client.Why{EmailAddress: "a@example.com", Status: "Queued", Reasons: []client.Reason{
		{Kind: "parked", What: "endpoint old is parked", Until: &at, Remedy: "Wait."}, {Kind: "turn", What: "7 users go before it", Remedy: "Wait."},
	}}
	s = &script{answers: []any{why}}
	code, out, _ = mailhaul(t, s, "user", "why", "a@example.com", "--batch", "b")
	if want := "a@example.com is Queued\n1. endpoint old is parked, until " + when(&at) + "\n   -> Wait.\n2. 7 users go before it\n   -> Wait.\n"; code != 0 || out != want {
		t.Errorf("code %d, got\n%s\nwant\n%s", code, out, want)
	}
	if s.requests[0] != "GET /v1/orgs/default/batches/b/users/a@example.com/why" {
		t.Errorf("asked %v", s.requests)
	}
}
