package store

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/pressly/goose/v3"
	sqlitedriver "modernc.org/sqlite"
)

// SQLite takes the write lock when a transaction begins, so that nothing has to be
// locked row by row. secure_delete overwrites deleted rows in the database's file;
// the write-ahead log keeps them until it is truncated.
var sqlite = dialect{
	name:       "sqlite",
	goose:      goose.DialectSQLite3,
	migrations: "migrations/sqlite",
	nextToken:  `UPDATE lease_tokens SET latest = latest + 1 RETURNING latest`,
	oneMoment:  sql.TxOptions{ReadOnly: true},           // a transaction that reads never sees anything else
	rowsAtOnce: 1,                                       // the driver takes the square of the arguments' number
	passes:     func(error, bool) bool { return false }, // the driver has waited for its turn
	scrub:      scrubSQLite,
}

// sqlitePragmas hold on every connection. busy_timeout comes first: the others may
// have to wait for another process.
var sqlitePragmas = []string{
	"busy_timeout(10000)",
	"journal_mode(WAL)",
	"synchronous(NORMAL)",
	"foreign_keys(1)",
	"secure_delete(1)",
	"journal_size_limit(67108864)",
	"cache_size(-16000)",
}

// openSQLite opens one connection that writes, because SQLite has one writer at a
// time and waiting for a connection is fairer than waiting for its lock, and a
// few that read.
func (s *Store) openSQLite(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("the path of a SQLite database must be absolute: sqlite:///abs/path.db")
	}
	// Made here for its mode: the database holds addresses and sealed secrets.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s.dialect = sqlite
	s.w = sql.OpenDB(preparing{&sqlitedriver.Driver{}, sqliteDSN(path, "immediate")})
	s.r = sql.OpenDB(preparing{&sqlitedriver.Driver{}, sqliteDSN(path, "deferred", "query_only(1)")})
	s.w.SetMaxOpenConns(1)
	readers := max(4, runtime.GOMAXPROCS(0))
	s.r.SetMaxOpenConns(readers)
	s.r.SetMaxIdleConns(readers)
	return nil
}

func sqliteDSN(path, txlock string, more ...string) string {
	q := url.Values{"_txlock": {txlock}}
	for _, p := range sqlitePragmas {
		q.Add("_pragma", p)
	}
	for _, p := range more {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}
