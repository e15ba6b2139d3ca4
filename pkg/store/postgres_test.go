package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

func TestPostgres(t *testing.T) {
	server := servers.Postgres(t)
	// Databases are copies of one whose schema is up to date: faster than to migrate each.
	template := newDatabase(t, server, "template1")
	s, err := Open(t.Context(), urlOf(server, template))
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	place := func(t *testing.T) opener { return openerOf(urlOf(server, newDatabase(t, server, template))) }
	suite(t, place)
	// Where one writes at a time there is nobody to keep off.
	t.Run("held lease", func(t *testing.T) { testHeld(t, place(t)) })
	t.Run("bound is left", func(t *testing.T) { testBoundIsLeft(t, place(t)) })
}

var databases atomic.Int64

// newDatabase makes a database that is a copy of another.
func newDatabase(t testing.TB, server *servers.PostgresServer, template string) (name string) {
	t.Helper()
	c, err := pgx.ParseConfig(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*c)
	defer func() { _ = db.Close() }()
	name = fmt.Sprint("t", databases.Add(1))
	if _, err := db.ExecContext(t.Context(), `CREATE DATABASE `+name+` TEMPLATE `+template); err != nil {
		t.Fatal(err)
	}
	return name
}

// urlOf is the URL of a server's database.
func urlOf(server *servers.PostgresServer, name string) string {
	return strings.Replace(server.URL, "/postgres?", "/"+name+"?", 1)
}

// TestPostgresKilled: a server that died and came back is used again, by stores that
// were open all the time; while it is gone every call answers with an error, soon.
func TestPostgresKilled(t *testing.T) {
	server := servers.Postgres(t)
	open := openerOf(server.URL)
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	w.batch("pilot", many("u", 20)...)
	l := w.claim(w.admit(1)[0])
	commit := func(i int) error {
		return s.Commit(ctx, l.Token, migration.Window{Folder: "INBOX", Append: fmt.Appendf(nil, "window %d", i), Tally: migration.Tally{Copied: int64(i)}})
	}
	w.ok(commit(1))
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for what, err := range map[string]error{"commit": commit(2), "ping": s.Ping(ctx)} {
		if err == nil {
			t.Errorf("%s without a server: no error", what)
		}
	}
	_, err := s.Admit(ctx, noon, 1)
	if err == nil {
		t.Error("admission without a server: no error")
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the errors took %v", took)
	}
	started := make(chan error, 1)
	go func() { started <- server.Start() }()
	late := open(t) // waits for a server that is starting
	w.ok(<-started)
	w.ok(late.Ping(ctx))
	w.ok(commit(2))
	records, err := s.Records(ctx, l.Token)
	w.ok(err)
	if len(records) != 1 || len(records[0].Journal) != 2 {
		t.Errorf("records after the crash: %+q", records)
	}
	next := w.admit(1)
	if len(next) != 1 || next[0].Token <= l.Token {
		t.Errorf("admitted after the crash: %+v, the token before was %d", next, l.Token)
	}
}

// TestPostgresSessionsBroken: connections that somebody ends cost callers nothing.
func TestPostgresSessionsBroken(t *testing.T) {
	server := servers.Postgres(t)
	open := openerOf(server.URL)
	s, other := open(t), open(t)
	w := newWorld(t, s, "acme")
	w.batch("pilot", many("u", 20)...)
	for range 10 {
		if _, err := other.w.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
		for _, l := range w.admit(1) {
			w.claim(l)
		}
	}
	equal(t, "passes", len(w.live()), 10)
}

// TestPostgresEventsInOrder: nobody who follows the log misses an event whose
// transaction took long, while shorter ones came after it.
func TestPostgresEventsInOrder(t *testing.T) {
	server := servers.Postgres(t)
	s, ctx := openerOf(server.URL)(t), t.Context()
	w := newWorld(t, s, "acme")
	add := func(kind string) migration.Event { return migration.Event{OrgID: w.org.ID, Kind: kind, At: noon} }
	w.ok(s.AddEvent(ctx, add("first")))
	tx, err := s.w.BeginTx(ctx, nil)
	w.ok(err)
	defer func() { _ = tx.Rollback() }()
	w.ok(addEvent(ctx, tx, add("slow")))
	w.ok(s.AddEvent(ctx, add("quick")))
	follow := func(after int64) (kinds []string, last int64) {
		t.Helper()
		events, err := s.EventsAfter(ctx, w.org.ID, 0, after, 10)
		w.ok(err)
		for _, e := range events {
			kinds, after = append(kinds, e.Kind), e.ID
		}
		return kinds, after
	}
	seen, last := follow(0)
	if !slices.Equal(seen, []string{"first"}) {
		t.Errorf("while one is under way: %v", seen)
	}
	w.ok(tx.Commit())
	if seen, _ = follow(last); !slices.Equal(seen, []string{"slow", "quick"}) {
		t.Errorf("after it: %v", seen)
	}
}

// TestPostgresVerbsAndPasses: users of a batch that is stopped and started again and
// again, while passes begin and end: afterwards whoever was stopped does not run, who
// was started has run, and nobody is left behind by the bound of the batch.
func TestPostgresVerbsAndPasses(t *testing.T) {
	server := servers.Postgres(t)
	open := openerOf(server.URL)
	stores := []*Store{open(t), open(t)}
	w := newWorld(t, stores[0], "acme")
	b := w.batch("pilot", many("u", 40)...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var g errgroup.Group
	var passes atomic.Int64
	for i := range 4 {
		s := stores[i%2]
		g.Go(func() error {
			for ctx.Err() == nil {
				if err := admitAndEnd(s, fmt.Sprint("w", i), &passes); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 20 {
		_, err := stores[1].StopUsers(t.Context(), b.ID)
		w.ok(err)
		eventually(t, "everybody is stopped", func() bool {
			sum, err := stores[0].Summary(t.Context(), b.ID)
			w.ok(err)
			return sum.Counts.ByStatus[migration.UserStopped] == 40 && sum.Counts.Running == 0
		})
		before := passes.Load()
		_, err = stores[0].StartUsers(t.Context(), b.ID, noon)
		w.ok(err)
		eventually(t, "passes run again", func() bool { return passes.Load() >= before+10 })
	}
	cancel()
	w.ok(g.Wait())
}

func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !met(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 2 min: %s", what)
		}
	}
}

// admitAndEnd runs a few passes that find all in step and are due again at once.
func admitAndEnd(s *Store, worker string, passes *atomic.Int64) error {
	ctx := context.Background()
	leases, err := s.Admit(ctx, noon, 3)
	if err != nil {
		return err
	}
	for _, l := range leases {
		l, err := s.Claim(ctx, l.Token, worker)
		if errors.Is(err, migration.ErrLeaseLost) {
			continue // stopped before it began
		}
		if err != nil {
			return err
		}
		u, err := s.UserByID(ctx, l.UserID)
		if err != nil {
			return err
		}
		next := migration.Advance(u.ID, u.UserState, migration.Result{Kind: l.Kind, Yielded: true}, migration.Schedule{}, noon)
		if err := s.Finish(ctx, l.Token, next, u.Totals, u.Last, nil, nil); err != nil {
			return err
		}
		passes.Add(1)
	}
	return nil
}
