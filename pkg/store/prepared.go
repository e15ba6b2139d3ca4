package store

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// maxPrepared bounds the statements that a connection keeps: some more than there are
// queries in this package. Those made for a number of arguments have no end.
const maxPrepared = 256

// preparing opens connections that keep their statements prepared. The SQLite driver
// compiles a query anew each time it is run, which costs several times as much as to run it:
// it was a third of all that a worker's pass took.
type preparing struct {
	driver driver.Driver
	dsn    string
}

func (p preparing) Driver() driver.Driver { return p.driver }

func (p preparing) Connect(context.Context) (driver.Conn, error) {
	c, err := p.driver.Open(p.dsn)
	if err != nil {
		return nil, err
	}
	lite, ok := c.(liteConn)
	if !ok {
		_ = c.Close()
		return nil, fmt.Errorf("the SQLite driver's connection, a %T, lacks what is asked of it", c)
	}
	return &preparedConn{liteConn: lite, kept: map[string]*preparedStmt{}}, nil
}

// liteConn is what the driver's connection can do, and database/sql asks of it.
type liteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// preparedConn is a connection and its statements. Only one goroutine uses it at a time.
type preparedConn struct {
	liteConn
	kept map[string]*preparedStmt
	// inTx says that a transaction is under way. database/sql rolls one back that was
	// called off, between two statements; that is soon enough for ours. To be able to
	// interrupt one, the driver starts a goroutine for each.
	inTx bool
}

// preparedStmt is a statement that is kept. One whose rows are being read is busy: who
// runs the same query meanwhile gets one of its own.
type preparedStmt struct {
	stmt liteStmt
	busy bool
}

type liteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func (c *preparedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.liteConn.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	c.inTx = true
	return preparedTx{tx, c}, nil
}

type preparedTx struct {
	driver.Tx
	conn *preparedConn
}

func (t preparedTx) Commit() error {
	t.conn.inTx = false
	return t.Tx.Commit()
}

func (t preparedTx) Rollback() error {
	t.conn.inTx = false
	return t.Tx.Rollback()
}

// running is the context of a statement.
func (c *preparedConn) running(ctx context.Context) context.Context {
	if c.inTx {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

func (c *preparedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.prepared(ctx, query)
	if s == nil {
		return nil, err // driver.ErrSkip: database/sql prepares it for this once
	}
	return s.stmt.ExecContext(c.running(ctx), args)
}

func (c *preparedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.prepared(ctx, query)
	if s == nil {
		return nil, err
	}
	rows, err := s.stmt.QueryContext(c.running(ctx), args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &preparedRows{rows, s}, nil
}

// prepared finds the statement of a query or makes it. It answers driver.ErrSkip where
// that is busy.
func (c *preparedConn) prepared(ctx context.Context, query string) (*preparedStmt, error) {
	if s := c.kept[query]; s != nil {
		if s.busy {
			return nil, driver.ErrSkip
		}
		return s, nil
	}
	if len(c.kept) >= maxPrepared {
		c.forget(func(s *preparedStmt) bool { return !s.busy })
	}
	stmt, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	lite, ok := stmt.(liteStmt)
	if !ok {
		_ = stmt.Close()
		return nil, fmt.Errorf("the SQLite driver's statement, a %T, lacks what is asked of it", stmt)
	}
	s := &preparedStmt{stmt: lite}
	c.kept[query] = s
	return s, nil
}

// forget closes statements.
func (c *preparedConn) forget(which func(*preparedStmt) bool) {
	for query, s := range c.kept {
		if which(s) {
			_ = s.stmt.Close() // repeats the error of its last run
			delete(c.kept, query)
		}
	}
}

// Close closes the statements first: SQLite keeps a connection open that has any.
func (c *preparedConn) Close() error {
	c.forget(func(*preparedStmt) bool { return true })
	return c.liteConn.Close()
}

// preparedRows give the statement back when they are closed.
type preparedRows struct {
	driver.Rows
	stmt *preparedStmt
}

func (r *preparedRows) Close() error {
	r.stmt.busy = false
	return r.Rows.Close()
}
