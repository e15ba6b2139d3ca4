package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const emptyScope = `DELETE FROM endpoint_scope WHERE endpoint_id = $1`

// Scope returns the mailboxes that an endpoint's scope names, in the order of their
// keys; nil where it has no list, and all may move.
func (s *Store) Scope(ctx context.Context, endpointID int64) ([]string, error) {
	var size *int
	err := s.r.QueryRowContext(ctx, `SELECT scope_size FROM endpoints WHERE id = $1`, endpointID).Scan(&size)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("there is no such endpoint")
	}
	if err != nil {
		return nil, fmt.Errorf("read the scope: %w", err)
	}
	return readScope(ctx, s.r, endpointID, size)
}

func readScope(ctx context.Context, q querier, endpointID int64, size *int) ([]string, error) {
	if size == nil {
		return nil, nil
	}
	list := make([]string, 0, *size)
	err := each(ctx, q, func(rows *sql.Rows) error {
		var mailbox string
		err := rows.Scan(&mailbox)
		list = append(list, mailbox)
		return err
	}, `SELECT mailbox FROM endpoint_scope WHERE endpoint_id = $1 ORDER BY mailbox_key`, endpointID)
	if err != nil {
		return nil, fmt.Errorf("read the scope: %w", err)
	}
	return list, nil
}

// ChangeScope is to an endpoint's scope what ChangeBatch is to batches: change gets the
// list and answers the one in its place, nil being none. It holds from the next pass of
// each user on.
func (s *Store) ChangeScope(ctx context.Context, orgID, id int64, change func([]string) ([]string, error)) (e migration.Endpoint, err error) {
	err = s.write(ctx, "change the scope", func(tx *sql.Tx) error {
		var err error
		if e, err = s.endpointToChange(ctx, tx, orgID, id); err != nil {
			return err
		}
		list, err := readScope(ctx, tx, id, e.ScopeSize)
		if err != nil {
			return err
		}
		if list, err = change(list); err != nil {
			return err
		}
		e.ScopeSize = nil
		if list != nil {
			n := len(list)
			e.ScopeSize = &n
		}
		return writeScope(ctx, tx, id, e.ScopeSize, list)
	})
	return e, err
}

func writeScope(ctx context.Context, tx *sql.Tx, id int64, size *int, list []string) error {
	if _, err := tx.ExecContext(ctx, emptyScope, id); err != nil {
		return err
	}
	for part := range slices.Chunk(list, askAtOnce) {
		args := []any{id}
		rows := ""
		for _, mailbox := range part {
			rows += fmt.Sprintf(", ($1, $%d, $%d)", len(args)+1, len(args)+2)
			args = append(args, migration.ScopeKey(mailbox), mailbox)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO endpoint_scope (endpoint_id, mailbox_key, mailbox) VALUES `+rows[2:], args...); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE endpoints SET scope_size = $2 WHERE id = $1`, id, size)
	return err
}

// InScope answers which of the names an endpoint's scope names. Without a list it is
// none of them: ScopeSize tells.
func (s *Store) InScope(ctx context.Context, endpointID int64, names []string) (map[string]bool, error) {
	in := map[string]bool{}
	for part := range slices.Chunk(names, askAtOnce) {
		asked := map[string][]string{}
		args := []any{endpointID}
		for _, name := range part {
			k := migration.ScopeKey(name)
			if asked[k] == nil {
				args = append(args, k)
			}
			asked[k] = append(asked[k], name)
		}
		err := each(ctx, s.r, func(rows *sql.Rows) error {
			var key string
			err := rows.Scan(&key)
			for _, name := range asked[key] {
				in[name] = true
			}
			return err
		}, `SELECT mailbox_key FROM endpoint_scope WHERE endpoint_id = $1 AND mailbox_key IN (`+values(2, len(args)-1)+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("look into the scope: %w", err)
		}
	}
	return in, nil
}
