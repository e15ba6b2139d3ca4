package store

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"
)

// ErrNoRoom is in the chain where the database could not write because its disk is
// full: whoever asked is told so, for only an operator can mend it.
var ErrNoRoom = errors.New("the disk of the database is full")

const (
	sqliteFull   = 13      // SQLITE_FULL; the bits above the lowest eight tell details
	postgresFull = "53100" // disk_full
)

// failed is the error of a write: what was attempted, and whether room is lacking.
func failed(what string, err error) error {
	var lite *sqlitedriver.Error
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &lite) && lite.Code()&0xff == sqliteFull,
		errors.As(err, &pg) && pg.Code == postgresFull:
		return fmt.Errorf("%s: %w: %w", what, ErrNoRoom, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
