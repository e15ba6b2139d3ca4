package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// PostgreSQL runs in its default isolation, read committed: each statement sees what
// was committed before it began. What must not change between two statements is
// locked first: rows by these clauses, the rest as locks.go has it.
var postgres = dialect{
	name:         "postgres",
	goose:        goose.DialectPostgres,
	migrations:   "migrations/postgres",
	manyWriters:  true,
	forUpdate:    ` FOR NO KEY UPDATE`,
	forDelete:    ` FOR UPDATE`,
	forReference: ` FOR KEY SHARE`,
	nextToken:    `SELECT nextval('lease_tokens')`,
	oneMoment:    sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
	rowsAtOnce:   250,
	analyze:      `ANALYZE users`,
	passes:       postgresPasses,
}

const (
	// A process holds at most so many connections; a server admits a hundred by default.
	// Reads have their own, because an import may read while its transaction waits for
	// the next line of a file.
	postgresWriters, postgresReaders = 8, 4
	postgresIdle                     = 5 * time.Minute
	postgresLifetime                 = 30 * time.Minute // follow a server that was moved

	postgresConnect = 5 * time.Second
	// postgresPatience is how long Open waits for a server that is just starting.
	postgresPatience = 30 * time.Second
)

// postgresSession is told to each new connection: as statements, because poolers
// between refuse parameters they do not know.
//
// A commit must be on disk before it is answered: a pass goes on after it, and a
// window that a crashed server had forgotten would be copied twice. The times bound
// what a process that was frozen or cut off can hold up. Compiling a plan takes
// longer than our longest query.
const postgresSession = `SET synchronous_commit = on; SET statement_timeout = '60s'; SET lock_timeout = '30s';
	SET idle_in_transaction_session_timeout = '2min'; SET jit = off; SET client_encoding = 'UTF8'`

// openPostgres prepares both pools and waits until the server answers.
func (s *Store) openPostgres(ctx context.Context, dsn string) error {
	c, err := postgresConfig(dsn)
	if err != nil {
		return err
	}
	pool := func(n int, session string) *sql.DB {
		db := stdlib.OpenDB(*c, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
			return conn.PgConn().Exec(ctx, session).Close()
		}))
		db.SetMaxOpenConns(n)
		db.SetMaxIdleConns(n)
		db.SetConnMaxIdleTime(postgresIdle)
		db.SetConnMaxLifetime(postgresLifetime)
		return db
	}
	s.dialect = postgres
	s.w = pool(postgresWriters, postgresSession)
	s.r = pool(postgresReaders, postgresSession+`; SET default_transaction_read_only = on`)
	if err := awaitPostgres(ctx, s.w); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

func postgresConfig(dsn string) (*pgx.ConnConfig, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		// The cause would quote the URL, which holds a password.
		return nil, errors.New("the URL is not one: want postgres://user:password@host:5432/database, with special characters of the password as %XX")
	}
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		if password, _ := u.User.Password(); password != "" && strings.Contains(err.Error(), password) {
			return nil, errors.New("the URL cannot be understood: want postgres://user:password@host:5432/database?sslmode=verify-full")
		}
		return nil, err
	}
	if !u.Query().Has("connect_timeout") {
		c.ConnectTimeout = postgresConnect
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "mailhaul"
	}
	// A host that has vanished says nothing: it is found within about half a minute,
	// whether an answer is awaited (keep-alive) or a query not even acknowledged.
	c.DialFunc = (&net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4},
		Control:         giveUpUnacknowledged(30 * time.Second),
	}).DialContext
	return c, nil
}

// awaitPostgres waits for a server that refuses connections because it is starting,
// as all parts of an installation do together; any other error is final.
func awaitPostgres(ctx context.Context, db *sql.DB) error {
	patience, cancel := context.WithTimeout(ctx, postgresPatience)
	defer cancel()
	for {
		err := db.PingContext(patience)
		if err == nil || !errors.Is(err, syscall.ECONNREFUSED) && state(err) != "57P03" {
			return err
		}
		select {
		case <-patience.Done():
			return err
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// state is the SQLSTATE of an error, "" where the server sent none.
func state(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// postgresPasses: the server chose a transaction to fail so that another may go on,
// or the connection broke before the commit was asked for.
func postgresPasses(err error, committing bool) bool {
	switch state(err) {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	case "57P01", "57P02", "57P03", "25P03": // shutting down, crashing, starting; idle for too long
		return !committing
	case "":
	default:
		return false
	}
	if committing {
		return false // the driver says "safe to retry" also of a commit that was carried out and not answered
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.As(err, &network) && !network.Timeout() || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, net.ErrClosed)
}
