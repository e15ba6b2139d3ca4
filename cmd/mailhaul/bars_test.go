package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mailhaul/mailhaul/pkg/client"
)

func TestBarsEnd(t *testing.T) {
	for name, looks := range map[string][]client.Batch{
		"no such batch":    nil,
		"nobody in step":   {{Status: "Syncing", Counts: map[string]int{"total": 5}}},
		"some in step":     {{Status: "SyncedWithErrors", Counts: map[string]int{"total": 5, "synced": 2}, Bytes: client.Bytes{Copied: 1, Total: 2}}},
		"all in step":      {{Status: "Synced", Counts: map[string]int{"total": 5, "synced": 5}, Bytes: client.Bytes{Copied: 2, Total: 2}}},
		"full, then fewer": {{Counts: map[string]int{"total": 1, "synced": 1}}, {Status: "Syncing", Counts: map[string]int{"total": 4, "synced": 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // a bar that is never completed would be a deadlock
				var out bytes.Buffer
				g := &global{stdio: stdio{nil, &out, &out}}
				show := g.bars(t.Context())
				for _, b := range looks {
					show.batch(b)
				}
				show.end()
				want := ""
				if n := len(looks); n > 0 {
					want = progress(looks[n-1]) + "\n"
				}
				if got := out.String(); !strings.HasSuffix(got, want) || want == "" && strings.TrimSpace(got) != "" {
					t.Errorf("got %q, want %q at its end", got, want)
				}
			})
		})
	}
}

// A batch in step says so, also while some of its users are being synced again.
func TestInStep(t *testing.T) {
	counts := map[string]int{"total": 9, "synced": 3, "incrementalSyncing": 2, "queued": 2, "waiting": 1, "failed": 1}
	for status, want := range map[string]int{"Syncing": 5, "SyncedWithErrors": 8} {
		if got := inStep(client.Batch{Status: status, Counts: counts}); got != want {
			t.Errorf("%s: %d in step, want %d", status, got, want)
		}
	}
}
