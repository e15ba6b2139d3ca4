package fleet_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/test/servers"
)

// BenchmarkAPI: what an operator asks of a batch of 50,000 is answered at once.
func BenchmarkAPI(b *testing.B) {
	for range b.N {
		asked(b, "SQLite", sqlite(b))
		asked(b, "PostgreSQL", servers.Postgres(b).URL)
	}
}

func asked(b *testing.B, database, url string) {
	p := newPrograms(b, url)
	for _, name := range []string{"old", "new"} {
		_, err := p.client.CreateEndpoint(b.Context(), client.NewEndpoint{Name: name, EndpointSpec: client.EndpointSpec{
			Host: "127.0.0.1", Port: 9, Security: "none",
		}}, true)
		if err != nil {
			b.Fatal(err)
		}
	}
	begun := time.Now()
	p.batch(b.Context(), "big", many, func(i int) string { return fmt.Sprintf("u%05d@example.org,u%05d,secret,,secret", i, i) })
	report(b, time.Since(begun) <= 5*time.Second, "upload of 50,000 users, "+database, "<= 5 s", "%.1f s", time.Since(begun).Seconds())
	begun = time.Now()
	if _, err := p.client.Do(b.Context(), "big", "start"); err != nil {
		b.Fatal(err)
	}
	took := time.Since(begun)
	report(b, took <= 2*time.Second, "start of a batch of 50,000, "+database, "<= 2 s", "%.2f s", took.Seconds())
	for what, path := range map[string]string{
		"counts of the batch":             "",
		"list of users, a page of 100":    "/users?limit=100",
		"list of users, a page of 1,000":  "/users?limit=1000",
		"users by status that all have":   "/users?limit=100&status=Queued",
		"users by status that nobody has": "/users?limit=100&status=Failed",
		"users by code that nobody has":   "/users?limit=100&code=AuthFailed",
		"items by code that nobody has":   "/items?code=MessageTooLarge",
	} {
		usual, worst := p.ask(b, "/v1/orgs/default/batches/big"+path)
		report(b, usual <= 200*time.Millisecond, what+" (of 50,000), "+database, "<= 200 ms", "%.0f ms (worst of ten %.0f ms)",
			usual.Seconds()*1000, worst.Seconds()*1000)
	}
}

// ask makes ten requests and returns the median and the longest time.
func (p *programs) ask(b *testing.B, path string) (usual, worst time.Duration) {
	b.Helper()
	var took []time.Duration
	for range 10 {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+p.api+path, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		begun := time.Now()
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatalf("%s: %d %v %s", path, res.StatusCode, err, body)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)-1]
}
