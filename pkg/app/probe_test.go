package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/servers"
)

// TestReadinessTellsTheTruth: of a database and a Redis that die and come back, each
// by its name, and of a process that drains.
func TestReadinessTellsTheTruth(t *testing.T) {
	database, redis := servers.Postgres(t), servers.RestartableRedis(t)
	b, err := openBase(t.Context(), config.Common{
		DatabaseURL: config.NewSecret(database.URL), RedisURL: config.NewSecret(redis.URL), MasterKey: config.NewSecret(vault.GenerateKey()),
	}, zaptest.NewLogger(t))
	must(t, err)
	defer func() { must(t, b.close()) }()
	draining := make(chan struct{})
	p := &probes{checks: b.checks(), metrics: b.metrics, draining: draining, log: b.log, allowed: func(*http.Request) bool { return true }}
	mux := http.NewServeMux()
	p.register(mux)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	expect := func(when string, code int, short, verbose string) {
		t.Helper()
		eventually(t, when, func() bool { c, _ := get("/readyz"); return c == code })
		if c, body := get("/readyz"); c != code || body != short {
			t.Errorf("%s: %d %q, want %d %q", when, c, body, code, short)
		}
		if c, body := get("/readyz?verbose"); c != code || body != verbose {
			t.Errorf("%s: %d %q, want %d %q", when, c, body, code, verbose)
		}
		if c, _ := get("/livez"); c != http.StatusOK {
			t.Errorf("%s: not alive", when)
		}
	}
	expect("all is well", 200, "ok\n", "database: ok\nredis: ok\n")
	must(t, redis.Kill())
	expect("redis is dead", 503, "not ready\n", "database: ok\nredis: not ready\n")
	must(t, database.Kill())
	expect("both are dead", 503, "not ready\n", "database: not ready\nredis: not ready\n")
	must(t, redis.Start())
	eventually(t, "redis is back", func() bool { return b.queue.Ping(t.Context()) == nil })
	expect("the database is dead", 503, "not ready\n", "database: not ready\nredis: ok\n")
	must(t, database.Start())
	expect("both are back", 200, "ok\n", "database: ok\nredis: ok\n")
	close(draining)
	expect("it drains", 503, "draining\n", "database: ok\nredis: ok\ndraining\n")
}

// TestOneThatHangsIsNotBlamedOnAnother: a check that takes all the time there is
// leaves the others theirs.
func TestOneThatHangsIsNotBlamedOnAnother(t *testing.T) {
	ctx, timeIsUp := context.WithCancel(t.Context())
	p := &probes{checks: []check{
		{"database", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		{"redis", func(ctx context.Context) error { defer timeIsUp(); return ctx.Err() }},
	}}
	done := make(chan []error, 1)
	go func() { done <- p.askAll(ctx) }()
	select {
	case problems := <-done:
		if problems[0] == nil || problems[1] != nil {
			t.Errorf("problems: %v", problems)
		}
	case <-time.After(time.Minute):
		timeIsUp()
		t.Fatal("the second is not asked before the first has answered")
	}
}
