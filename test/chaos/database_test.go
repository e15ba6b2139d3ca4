package chaos_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/canary"
	"github.com/mailhaul/mailhaul/test/servers"
)

// keeper is the database of a run.
type keeper interface {
	URL() string
	// stop makes it answer nobody for a time.
	stop(time.Duration) error
	// keeps is all that it has written down anywhere.
	keeps(*testing.T) []canary.Place
}

// newKeeper starts a database of the kind that the flag asks for.
func newKeeper(t *testing.T, kind string) keeper {
	t.Helper()
	switch kind {
	case "sqlite":
		return sqliteFile(filepath.Join(t.TempDir(), "mailhaul.db"))
	case "postgres":
		return postgres{servers.Postgres(t)}
	}
	t.Fatalf("-chaos.database=%s: sqlite and postgres are what there is", kind)
	return nil
}

// postgres is a PostgreSQL server.
type postgres struct{ *servers.PostgresServer }

func (p postgres) URL() string { return p.PostgresServer.URL }

func (p postgres) stop(d time.Duration) error {
	if err := p.Kill(); err != nil {
		return err
	}
	pause(d)
	return p.Start()
}

// keeps is the data directory with the journal, and a dump: what is compressed in the
// one is not in the other.
func (p postgres) keeps(t *testing.T) []canary.Place {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(p.Data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone while we looked
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	dump := canary.Place{Name: "pg_dump", Body: p.Dump(t), Holds: mailboxName(0) + "@example.org"}
	return append(canary.Files(t, dump.Holds, paths...), dump)
}

// sqliteFile is a SQLite database. Nothing can kill it; somebody else's lock is
// what may keep everybody out.
type sqliteFile string

func (f sqliteFile) URL() string { return "sqlite://" + string(f) }

func (f sqliteFile) keeps(t *testing.T) []canary.Place {
	t.Helper()
	paths, err := filepath.Glob(string(f) + "*")
	if err != nil {
		t.Fatal(err)
	}
	return canary.Files(t, mailboxName(0)+"@example.org", paths...)
}

func (f sqliteFile) stop(d time.Duration) error {
	const lock = `import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
db.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
db.execute("ROLLBACK")`
	out, err := exec.Command("python3", "-c", lock, string(f), fmt.Sprint(d.Seconds())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("lock the database: %w: %s", err, out)
	}
	return nil
}
