package fleet_test

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// many is the largest batch that a file may bring.
const many = 50_000

// costs is what one pass costs, by what Redis and the database themselves count.
type costs struct{ redis, sql float64 }

// BenchmarkPasses: how many passes a second are scheduled, claimed and finished when
// they do nothing, and what each costs, with few users and with many.
func BenchmarkPasses(b *testing.B) {
	for range b.N {
		few := passes(b, "SQLite", sqlite(b), nil, 1000)
		lots := passes(b, "SQLite", sqlite(b), nil, many)
		report(b, constant(few.redis, lots.redis), "Redis commands a pass, 1,000 and 50,000 users", "constant",
			"%.1f and %.1f", few.redis, lots.redis)
	}
}

// BenchmarkPassesPostgres is the same over PostgreSQL, which counts statements.
func BenchmarkPassesPostgres(b *testing.B) {
	for range b.N {
		var cost [2]costs
		for i, n := range []int{1000, many} {
			s := servers.Postgres(b)
			cost[i] = passes(b, "PostgreSQL", s.URL, counted(b, s), n)
		}
		report(b, constant(cost[0].redis, cost[1].redis), "Redis commands a pass over PostgreSQL, 1,000 and 50,000 users", "constant",
			"%.1f and %.1f", cost[0].redis, cost[1].redis)
		report(b, constant(cost[0].sql, cost[1].sql), "SQL statements a pass, 1,000 and 50,000 users", "constant",
			"%.1f and %.1f", cost[0].sql, cost[1].sql)
	}
}

// constant allows for what runs by time and not by pass.
func constant(few, lots float64) bool { return lots <= 1.25*few+1 }

// passes runs at most 5,000 of the first syncs of n users. statements counts what the
// database has carried out, nil where it does not.
func passes(b *testing.B, name, database string, statements func() int, n int) (c costs) {
	h := newHouse(b, database)
	h.endpoint(h.org, "old", 1000)
	h.endpoint(h.org, "new", 1000)
	batch := h.batch(h.org, "big", "old", "new", n)
	if _, err := h.store.StartUsers(b.Context(), batch.ID, time.Now()); err != nil {
		b.Fatal(err)
	}
	if statements == nil {
		statements = func() int { return 0 }
	}
	wanted := int64(min(n, 5000))
	h.run(64)
	await(b, "passes have begun", time.Minute, func() bool { return h.ended.Load() >= 50 })
	first, commands, queries, begun := h.ended.Load(), h.redisCommands(), statements(), time.Now()
	await(b, "passes have ended", 2*time.Minute, func() bool { return h.ended.Load() >= wanted })
	did := float64(h.ended.Load() - first)
	rate := did / time.Since(begun).Seconds()
	c = costs{redis: float64(h.redisCommands()-commands) / did, sql: float64(statements()-queries) / did}
	report(b, rate >= 300, fmt.Sprintf("passes that do nothing, %d users, %s", n, name), ">= 300 a second", "%.0f a second", rate)
	h.stop()
	return c
}

// counted makes a PostgreSQL count statements.
func counted(b *testing.B, s *servers.PostgresServer) func() int {
	b.Helper()
	ask := func(query string) string {
		out, err := exec.Command("psql", s.URL, "-X", "-A", "-t", "-c", query).CombinedOutput()
		if err != nil {
			b.Fatalf("%s: %v\n%s", query, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	ask(`ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'`)
	if err := s.Kill(); err != nil {
		b.Fatal(err)
	}
	if err := s.Start(); err != nil {
		b.Fatal(err)
	}
	ask(`CREATE EXTENSION pg_stat_statements`)
	return func() int {
		n, err := strconv.Atoi(ask(`SELECT COALESCE(SUM(calls), 0) FROM pg_stat_statements`))
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
}

// BenchmarkIdle: users that are not due cost a tick next to nothing.
func BenchmarkIdle(b *testing.B) {
	for range b.N {
		h := newHouse(b, sqlite(b))
		h.endpoint(h.org, "old", 100)
		h.endpoint(h.org, "new", 100)
		batch := h.batch(h.org, "big", "old", "new", many)
		if _, err := h.store.StartUsers(b.Context(), batch.ID, time.Now().Add(24*time.Hour)); err != nil {
			b.Fatal(err)
		}
		h.run(64)
		const ticks = 10
		<-time.After(2 * time.Second) // the first looks are no tick's
		before := cpu(b)
		<-time.After(ticks * time.Second) // the dispatcher ticks each second
		each := (cpu(b) - before) / ticks
		report(b, each <= 10*time.Millisecond, "a tick with 50,000 users not due (dispatcher, reconciler and idle worker)", "<= 10 ms CPU",
			"%.1f ms CPU", each.Seconds()*1000)
		h.stop()
	}
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSpread: resyncs are spread over the interval, also when all first syncs
// ended within minutes.
func BenchmarkSpread(b *testing.B) {
	for range b.N {
		const minutes = 24 * 60
		ended := time.Date(2025, 3, 7, 22, 0, 0, 0, time.UTC)
		var due [3 * minutes]int
		for id := range int64(many) {
			at := ended.Add(time.Duration(id) * 3 * time.Millisecond)
			for range 2 {
				at = migration.NextSync(id+1, 24*time.Hour, at)
				due[int(at.Sub(ended).Minutes())]++
			}
		}
		most := 0
		for _, n := range due {
			most = max(most, n)
		}
		const mean = float64(many) / minutes
		report(b, float64(most) <= 2*mean, "resyncs of 50,000 users, the fullest minute", "<= twice the mean", "%.2f x the mean", float64(most)/mean)
	}
}
