package chaos_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/servers"
)

// keeper is the database of a run.
type keeper interface {
	URL() string
	// stop makes it answer nobody for a time.
	stop(time.Duration) error
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

// sqliteFile is a SQLite database. Nothing can kill it; somebody else's lock is
// what may keep everybody out.
type sqliteFile string

func (f sqliteFile) URL() string { return "sqlite://" + string(f) }

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
