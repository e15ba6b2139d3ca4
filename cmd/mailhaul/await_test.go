package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// verifying is an API at which a verify takes a few looks. Of its users one is verified
// well, one is not in step, and one ends as the test says.
func verifying(last string) http.HandlerFunc {
	looks, asked := 0, false
	old := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	receipt := func(email string, at time.Time, same bool) map[string]any {
		return map[string]any{"emailAddress": email, "at": at, "same": same}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		var answer any = client.Batch{Name: "b", Counts: map[string]int{"total": 3, "synced": 2}}
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, "/users"):
			answer = client.Page[client.User]{Items: []client.User{
				{EmailAddress: "ann", Status: "Synced", LastSyncedAt: &old}, {EmailAddress: "bob", Status: "Synced", LastSyncedAt: &old}, {EmailAddress: "new", Status: "Syncing"},
			}}
		case strings.HasSuffix(path, "/verify"):
			asked = true
		case strings.HasSuffix(path, "/receipts"):
			items := []any{receipt("ann", old, true), receipt("bob", old, true)}
			if looks++; asked && looks > 3 {
				items = []any{receipt("ann", old.Add(time.Hour), true), receipt("bob", old, true)}
			}
			if asked && looks > 5 && last != "never" {
				items[1] = receipt("bob", old.Add(2*time.Hour), last == "same")
			}
			answer = map[string]any{"items": items}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func TestVerifyWaitsForEveryReceipt(t *testing.T) {
	for last, want := range map[string]struct {
		code int
		said string
	}{
		"same":      {exitDone, "2 of 2 users the same on both sides\n"},
		"different": {exitExceptions, "1 users are not the same on both sides"},
		"never":     {exitExceptions, "batch b: 1 users have had no verify ("},
	} {
		server := httptest.NewServer(verifying(last))
		var out, errs bytes.Buffer
		g := &global{stdio: stdio{strings.NewReader(""), &out, &errs}, every: time.Millisecond}
		code := g.run(t.Context(), []string{"batch", "verify", "b", "--wait", "--api", server.URL}, func(string) (string, bool) { return "", false })
		server.Close()
		if code != want.code || !strings.Contains(errs.String(), want.said) {
			t.Errorf("%s: code %d, want %d; said %q, want %q", last, code, want.code, errs.String(), want.said)
		}
	}
}

// TestVerifyOfNobodyFindsNothingRight: none of the users is in step, so none is compared.
func TestVerifyOfNobodyFindsNothingRight(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any = client.Batch{Name: "b"}
		if strings.HasSuffix(r.URL.Path, "/users") {
			answer = client.Page[client.User]{Items: []client.User{{EmailAddress: "ann", Status: "Failed"}}}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer server.Close()
	var out, errs bytes.Buffer
	g := &global{stdio: stdio{strings.NewReader(""), &out, &errs}, every: time.Millisecond}
	code := g.run(t.Context(), []string{"batch", "verify", "b", "--wait", "--api", server.URL}, func(string) (string, bool) { return "", false })
	if code != exitExceptions || !strings.Contains(errs.String(), "no user takes part in a verify now") {
		t.Errorf("code %d, said %q", code, errs.String())
	}
}

// TestWaitSeesThatASyncWasAskedFor: the batch is Synced all the time, and still there is
// something to wait for; but not for who becomes due meanwhile.
func TestWaitSeesThatASyncWasAskedFor(t *testing.T) {
	for _, verb := range []string{"wait", "watch"} {
		for name, left := range map[string]struct {
			status string
			synced time.Duration
			counts int // users queued at the end
		}{
			"synced anew":             {"Synced", time.Hour, 1},
			"synced, and due again":   {"Queued", time.Hour, 2},
			"it failed":               {"Failed", 0, 1},
			"nobody is due, says all": {"Synced", time.Hour, 0},
		} {
			looks := 0
			server := httptest.NewServer(askedToSync(&looks, left.status, left.synced, left.counts))
			var out, errs bytes.Buffer
			g := &global{stdio: stdio{strings.NewReader(""), &out, &errs}, every: time.Millisecond}
			code := g.run(t.Context(), []string{"batch", verb, "b", "--api", server.URL}, func(string) (string, bool) { return "", false })
			server.Close()
			if code != exitDone || looks < 4 {
				t.Errorf("%s, %s: code %d after %d looks: %s", verb, name, code, looks, errs.String())
			}
		}
	}
}

// askedToSync is an API whose batch was asked to sync its user a moment ago; the user
// is queued, runs, and at the fourth look has come to status.
func askedToSync(looks *int, status string, synced time.Duration, queued int) http.HandlerFunc {
	old := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	return func(w http.ResponseWriter, r *http.Request) {
		u := client.User{EmailAddress: "ann", Status: "Queued", LastSyncedAt: &old}
		n := 1
		if *looks > 2 {
			u.Status = "IncrementalSyncing"
		}
		if *looks > 3 {
			at := old.Add(synced)
			u.Status, u.LastSyncedAt, n = status, &at, queued
		}
		var answer any = u
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, "/b"):
			*looks++
			answer = client.Batch{Name: "b", Status: "Synced", Counts: map[string]int{"total": 1, "queued": n}}
		case strings.HasSuffix(path, "/users"):
			items := []client.User{}
			if r.URL.Query().Get("status") == u.Status {
				items = append(items, u)
			}
			answer = client.Page[client.User]{Items: items}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}
