package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// TestPace: between two readings nothing is made up; what has no measure has its time.
func TestPace(t *testing.T) {
	for _, tt := range []struct {
		done, total int64
		took, now   time.Duration
		amount      func(float64) string
		then, want  string
	}{
		{0, 0, 0, time.Second, ofUsers, "", ""},
		{0, 50_000, time.Second, time.Second, ofUsers, "", "0 users of 50000 users"},
		{5_000, 50_000, 10 * time.Second, 10 * time.Second, ofUsers, "", "5000 users of 50000 users, 500 users/s, 1m30s left"},
		{5_000, 50_000, 10 * time.Second, 15 * time.Second, ofUsers, "", "5000 users of 50000 users, 500 users/s, 1m30s left"},
		{5, 50, 10 * time.Second, 10 * time.Second, ofUsers, "", "5 users of 50 users, 0.5 users/s, 1m30s left"},
		{50, 50, 10 * time.Second, 11 * time.Second, ofUsers, "", "50 users of 50 users, 10s"},
		{1_000_000, 4_000_000, 2 * time.Second, 2 * time.Second, ofBytes, "stored", "1.0 MB of 4.0 MB, 500.0 kB/s, 6s left"},
		{4_000_000, 4_000_000, 2 * time.Second, 9 * time.Second, ofBytes, "being stored", "4.0 MB, being stored: 7s"},
		{4_000_000, 4_000_000, 2 * time.Second, 2 * time.Second, ofBytes, "being stored", "4.0 MB, being stored"},
	} {
		if got := (reading{tt.done, tt.total, tt.took}).pace(tt.now, tt.amount, tt.then); got != tt.want {
			t.Errorf("%d of %d after %s, %s later: %q, want %q", tt.done, tt.total, tt.took, tt.now-tt.took, got, tt.want)
		}
	}
}

// TestLongWorkIsToldInLines: where no terminal is, a line every ten seconds and not more.
func TestLongWorkIsToldInLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		g := &global{stdio: stdio{strings.NewReader(""), &bytes.Buffer{}, &errs}, output: "table"}
		long := g.gauge("verified", ofUsers, "")
		for i := range int64(25) {
			time.Sleep(time.Second) // bubble
			long.set(i+1, 50)
		}
		long.end()
		if want := "verified 10 users of 50 users, 1 users/s, 40s left\nverified 20 users of 50 users, 1 users/s, 30s left\n"; errs.String() != want {
			t.Errorf("said %q, want %q", errs.String(), want)
		}
	})
}

// TestARemovalIsFollowed: while the API removes a batch its users are counted, until
// the removal is answered.
func TestARemovalIsFollowed(t *testing.T) {
	var looks atomic.Int64
	answer := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			<-answer
			w.WriteHeader(http.StatusNoContent)
			return
		}
		n := looks.Add(1)
		if n == 4 {
			close(answer)
		}
		_ = json.NewEncoder(w).Encode(client.Batch{Name: "b", Counts: map[string]int{"total": 1000 / int(n)}})
	}))
	defer server.Close()
	var out, errs bytes.Buffer
	g := &global{stdio: stdio{strings.NewReader(""), &out, &errs}, every: time.Millisecond}
	code := g.run(t.Context(), []string{"batch", "delete", "b", "--force", "--api", server.URL}, func(string) (string, bool) { return "", false })
	if code != exitDone || looks.Load() < 4 || !strings.Contains(errs.String(), "batch b removed") {
		t.Errorf("code %d after %d looks, said %q", code, looks.Load(), errs.String())
	}
}

// TestAnUploadIsCounted: all of it, and not more.
func TestAnUploadIsCounted(t *testing.T) {
	var got, sent, total atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		got.Store(n)
		_ = json.NewEncoder(w).Encode(batch("Created", 0))
	}))
	defer server.Close()
	c, err := client.New(client.Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	c = c.Sending(func(n, of int64) { sent.Store(n); total.Store(of) })
	if _, err := c.CreateBatch(t.Context(), client.BatchSpec{}, "b.csv", bytes.Repeat([]byte("x"), 300_000)); err != nil {
		t.Fatal(err)
	}
	if got.Load() < 300_000 || sent.Load() != got.Load() || total.Load() != got.Load() {
		t.Errorf("%d of %d bytes sent, %d arrived", sent.Load(), total.Load(), got.Load())
	}
}
