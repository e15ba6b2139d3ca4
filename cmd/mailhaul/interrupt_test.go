package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// TestWhoInterruptsIsToldWhatGoesOn: with exit code 130, and nothing on stdout.
func TestWhoInterruptsIsToldWhatGoesOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "b.csv")
	if err := os.WriteFile(file, []byte("EmailAddress\nann@example.org\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	then := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	users := client.Page[client.User]{Items: []client.User{{EmailAddress: "ann", Status: "Synced", LastSyncedAt: &then}}}
	busy := client.Batch{Name: "b", Status: "Syncing", Counts: map[string]int{"total": 1, "queued": 1}}
	for args, want := range map[string]struct {
		path, told string // of the request in which it is interrupted
	}{
		"batch create b --source a --target b --csv " + file: {"POST /batches", "The file is stored whole or not at all: see mailhaul batch list."},
		"batch create b --dry-run --csv " + file:             {"POST /batches", ""},
		"batch add-users b --csv " + file:                    {"POST /batches/b/users", "whole or not at all: see mailhaul batch get b."},
		"batch delete b --force":                             {"DELETE /batches/b", "goes on: see mailhaul batch get b."},
		"batch reverse b":                                    {"POST /batches/b/reverse", "whole or not at all: see mailhaul batch list."},
		"batch sync b --wait":                                {"GET /batches/b", "The sync goes on: see mailhaul batch watch b."},
		"batch verify b --wait":                              {"GET /batches/b", "The verify goes on: see mailhaul report receipts b."},
		"batch preflight b":                                  {"GET /batches/b/preflight", "goes on: see mailhaul batch preflight b --show."},
		"batch watch b --output json":                        {"GET /batches/b", "The batch goes on: see mailhaul batch get b."},
		"batch wait b":                                       {"GET /batches/b", "The batch goes on: see mailhaul batch get b."},
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path := strings.TrimPrefix(r.URL.Path, "/v1/orgs/default")
			if r.Method+" "+path == want.path {
				_, _ = io.Copy(io.Discard, r.Body) // only then is it seen that a client goes
				interrupt()
				<-r.Context().Done()
				return
			}
			var answer any = busy
			switch {
			case strings.HasSuffix(path, "/users"):
				answer = users
			case strings.HasSuffix(path, "/receipts"):
				answer = map[string]any{"items": []any{}}
			}
			_ = json.NewEncoder(w).Encode(answer)
		}))
		var out, errs bytes.Buffer
		g := &global{stdio: stdio{strings.NewReader(""), &out, &errs}, every: time.Millisecond}
		code := g.run(ctx, append(strings.Fields(args), "--api", server.URL), func(string) (string, bool) { return "", false })
		server.Close()
		said, _ := strings.CutPrefix(errs.String(), "mailhaul: interrupted\n")
		if code != exitInterrupted || out.Len() > 0 || said == errs.String() || !strings.Contains(said, want.told) || (want.told == "") != (said == "") {
			t.Errorf("%s: code %d, out %q, said %q, want %q", args, code, out.String(), errs.String(), want.told)
		}
	}
}
