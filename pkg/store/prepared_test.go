package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func newSQLite(t *testing.T) (s *Store, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.db")
	s, err := Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, path
}

// kept is what the connection that writes keeps prepared.
func kept(t *testing.T, s *Store) map[string]*preparedStmt {
	t.Helper()
	conn, err := s.w.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	out := map[string]*preparedStmt{}
	err = conn.Raw(func(c any) error {
		for query, stmt := range c.(*preparedConn).kept {
			out[query] = stmt
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFurtherPassesCompileNothing(t *testing.T) {
	s, _ := newSQLite(t)
	org, err := s.OrgByName(t.Context(), migration.DefaultOrg)
	if err != nil {
		t.Fatal(err)
	}
	batch := &migration.Batch{OrgID: org.ID, Name: "b", StartedAt: noon, BatchSpec: migration.BatchSpec{SourceEndpoint: "s", TargetEndpoint: "t"}}
	for _, name := range []string{"s", "t"} {
		e := migration.Endpoint{OrgID: org.ID, Name: name, EndpointSpec: migration.EndpointSpec{
			Host: name, Port: 993, MaxConcurrentMigrations: 9, MaxConcurrentIncrementalSyncs: 9,
		}}
		if err := s.CreateEndpoint(t.Context(), &e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.CreateBatch(t.Context(), batch, rows(2, noon)); err != nil {
		t.Fatal(err)
	}
	var before, after map[string]*preparedStmt
	for range 3 { // a first sync, the first pass that finds records, and one more
		leases, err := s.Admit(t.Context(), noon, 1)
		if err != nil || len(leases) != 1 {
			t.Fatal(leases, err)
		}
		if err := onePass(t.Context(), s, leases[0], "w"); err != nil {
			t.Fatal(err)
		}
		before, after = after, kept(t, s)
	}
	if len(after) == 0 {
		t.Error("nothing is kept")
	}
	for query, stmt := range after {
		if before[query] != stmt {
			t.Errorf("compiled anew: %s", query)
		}
	}
}

func TestStatementsAreKeptWithinABound(t *testing.T) {
	s, _ := newSQLite(t)
	for i := range 3 * maxPrepared {
		var got int
		if err := s.w.QueryRowContext(t.Context(), fmt.Sprintf(`SELECT %d`, i)).Scan(&got); err != nil || got != i {
			t.Fatal(got, err)
		}
	}
	if n := len(kept(t, s)); n == 0 || n > maxPrepared {
		t.Errorf("%d statements are kept, want 1 to %d", n, maxPrepared)
	}
}

func TestAStatementWhoseRowsAreReadIsNotDisturbed(t *testing.T) {
	s, _ := newSQLite(t)
	const query = `SELECT column1 FROM (VALUES (1), (2), (3)) WHERE column1 <> $1 ORDER BY column1`
	err := s.write(t.Context(), "test", func(tx *sql.Tx) error {
		var got [][2]int
		err := each(t.Context(), tx, func(outer *sql.Rows) error {
			var a int
			if err := outer.Scan(&a); err != nil {
				return err
			}
			return each(t.Context(), tx, func(inner *sql.Rows) error {
				var b int
				err := inner.Scan(&b)
				got = append(got, [2]int{a, b})
				return err
			}, query, a)
		}, query, 0)
		if want := "[[1 2] [1 3] [2 1] [2 3] [3 1] [3 2]]"; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAStatementOutlivesAnErrorAndAChangeOfTheSchema(t *testing.T) {
	s, _ := newSQLite(t)
	run := func(query string, args ...any) error {
		return s.write(t.Context(), "test", func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), query, args...)
			return err
		})
	}
	const insert = `INSERT INTO orgs (name, created_at) VALUES ($1, 0)`
	for _, step := range []struct {
		name  string
		fails bool
	}{{"a", false}, {"a", true}, {"b", false}, {"", false}, {"b", true}, {"c", false}} {
		query, args := insert, []any{step.name}
		if step.name == "" {
			query, args = `ALTER TABLE orgs ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'`, nil
		}
		if err := run(query, args...); (err != nil) != step.fails {
			t.Errorf("%s %v: %v", query, args, err)
		}
	}
	var n int
	if err := s.r.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM orgs WHERE colour = 'red'`).Scan(&n); err != nil || n != 4 {
		t.Errorf("%d organisations are red, want 4: %v", n, err)
	}
}

func TestATransactionThatIsCalledOffEndsBetweenStatements(t *testing.T) {
	s, _ := newSQLite(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.write(ctx, "test", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO orgs (name, created_at) VALUES ('a', 0)`); err != nil {
			return err
		}
		cancel()
		_, err := tx.ExecContext(ctx, `INSERT INTO orgs (name, created_at) VALUES ('b', 0)`)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the transaction ended with %v", err)
	}
	orgs, err := s.ListOrgs(t.Context())
	if err != nil || len(orgs) != 1 {
		t.Errorf("organisations are %v, want the default one alone: %v", orgs, err)
	}
	if _, err := s.CreateOrg(t.Context(), "c"); err != nil {
		t.Errorf("the next transaction: %v", err)
	}
}

// TestClosingLeavesNoConnection: SQLite removes its log when the last connection ends,
// which one with statements left does not.
func TestClosingLeavesNoConnection(t *testing.T) {
	s, path := newSQLite(t)
	if _, err := s.CreateOrg(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err != nil {
		t.Fatalf("there is no log to be removed: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log is still there: %v", err)
	}
}
