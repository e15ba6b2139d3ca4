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

// preflights is an API at which a preflight takes three looks, and then is done. It gives
// out users one at a time.
func preflights(t *testing.T, done client.Preflight, asked *int) http.HandlerFunc {
	looks := 0
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			*asked++
			_ = json.NewEncoder(w).Encode(client.Batch{Name: "b"})
			return
		}
		if !strings.HasSuffix(r.URL.Path, "/batches/b/preflight") {
			t.Errorf("asked for %s", r.URL.Path)
		}
		p := done
		if looks++; *asked > 0 && looks < min(3, done.Users) {
			p = client.Preflight{Users: done.Users, Checked: looks, Left: done.Users - looks}
		}
		items := p.Items
		p.Items = nil
		at := len(r.URL.Query().Get("cursor"))
		if at < len(items) {
			p.Items = items[at : at+1]
		}
		if at+1 < len(items) {
			p.NextCursor = strings.Repeat("x", at+1)
		}
		_ = json.NewEncoder(w).Encode(p)
	}
}

func runPreflight(t *testing.T, done client.Preflight, args ...string) (code, asked int, out, said string) {
	t.Helper()
	server := httptest.NewServer(preflights(t, done, &asked))
	defer server.Close()
	var stdout, stderr bytes.Buffer
	g := &global{stdio: stdio{strings.NewReader(""), &stdout, &stderr}, every: time.Millisecond}
	code = g.run(t.Context(), append([]string{"batch", "preflight", "b", "--api", server.URL}, args...), func(string) (string, bool) { return "", false })
	return code, asked, stdout.String(), stderr.String()
}

func TestPreflightEndsWithWhatItFound(t *testing.T) {
	finding := func(level, what string) []client.Finding {
		return []client.Finding{{Code: "QuotaExceeded", Level: level, What: what, Remedy: "raise it"}}
	}
	some := client.Preflight{
		Users: 3, Checked: 3, Ready: 1, Warnings: 1, Failing: 1, Messages: 50, Bytes: 5000,
		Findings: []client.FindingCount{{Code: "QuotaExceeded", Level: "failing", Users: 1, Remedy: "Raise the quota."}},
		Items: []client.UserPreflight{
			{EmailAddress: "ann", Findings: finding("failing", "it will not fit")},
			{EmailAddress: "bob", Findings: finding("warning", "perhaps")},
			{EmailAddress: "eve", Findings: finding("note", "by the way")},
		},
		Estimate: &client.Estimate{FromSeconds: 60, ToSeconds: 7200, Basis: "guess", Bound: "3 mailboxes at once"},
	}
	measured := some
	measured.Estimate = &client.Estimate{FromSeconds: 60, ToSeconds: 300_000, Basis: "pilot", Pilot: "first", Comparable: true, Bound: "x"}
	measured.Pilot = &client.Pilot{Batch: "first", Mailboxes: 7, Seconds: 90, Advice: &client.Advice{MaxConcurrentMigrations: 40, BatchSize: 500, Because: []string{"all were used"}}}
	for name, tt := range map[string]struct {
		found client.Preflight
		args  []string
		code  int
		asked int
		told  []string // on stdout
	}{
		"all are ready": {client.Preflight{Users: 3, Checked: 3, Ready: 3}, nil, exitDone, 1, []string{"3 of 3 users looked at: 3 ready"}},
		"none can be moved": {
			client.Preflight{Users: 1, Checked: 1, Failing: 1, Items: some.Items[:1]}, nil, exitFailed, 1, []string{"it will not fit"},
		},
		"some": {some, nil, exitExceptions, 1, []string{
			"ann", "it will not fit", "bob", "QuotaExceeded (failing, users: 1): Raise the quota.", "Estimate: 1m0s to 2h0m0s, bound by 3 mailboxes at once. This is a guess",
		}},
		"not all were looked at": {client.Preflight{Users: 3, Checked: 2, Ready: 2}, nil, exitExceptions, 1, nil},
		"only told":              {some, []string{"--show"}, exitExceptions, 0, []string{"it will not fit"}},
		"nothing to tell":        {client.Preflight{Users: 3}, []string{"--show"}, exitDone, 0, nil},
		"only asked for":         {some, []string{"--no-wait"}, exitDone, 1, nil},
		"with a pilot": {measured, []string{"--show"}, exitExceptions, 0, []string{
			"3.5 days", "as measured with first.", "Pilot first: 7 mailboxes in step in 1m30s", "--max-concurrent-migrations 40, batches of up to 500 mailboxes, because all were used.",
		}},
		"as CSV": {some, []string{"--show", "--output", "csv"}, exitExceptions, 0, []string{"USER,MESSAGES", "eve,0,", "by the way"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, asked, out, said := runPreflight(t, tt.found, tt.args...)
			if code != tt.code || asked != tt.asked {
				t.Errorf("code %d, want %d; asked %d times: %s", code, tt.code, asked, said)
			}
			for _, want := range tt.told {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if tt.args == nil && strings.Contains(out, "by the way") {
				t.Errorf("told\n%s\nsaid\n%s", out, said)
			}
		})
	}
}

// TestPreflightAsJSONIsWhole: all pages are in it.
func TestPreflightAsJSONIsWhole(t *testing.T) {
	done := client.Preflight{Users: 3, Checked: 3, Ready: 3, Items: []client.UserPreflight{{EmailAddress: "ann"}, {EmailAddress: "bob"}, {EmailAddress: "eve"}}}
	code, _, out, said := runPreflight(t, done, "--output", "json")
	var got client.Preflight
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitDone || len(got.Items) != 3 || got.Items[2].EmailAddress != "eve" || got.NextCursor != "" {
		t.Errorf("code %d, %v, %s\n%s", code, err, out, said)
	}
}
