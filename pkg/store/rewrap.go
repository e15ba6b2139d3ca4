package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
)

// sealedColumns are where sealed secrets are kept: for each table its columns, and
// from where on its rows are numbered in a walk over all of them.
var sealedColumns = []struct {
	table   string
	columns []string
	first   int64
}{
	{"endpoints", []string{"admin_secret"}, 0},
	{"users", []string{"source_secret", "target_secret"}, 1 << 61},
	{"webhooks", []string{"secret"}, 1 << 62},
}

// RewrapSecrets walks over the rows that hold sealed secrets, from afterID on (0: the
// first), at most limit of them, and replaces each secret with what rewrap makes of
// it. It returns where to go on from, and how many rows it saw; none means the end.
func (s *Store) RewrapSecrets(ctx context.Context, afterID int64, limit int, rewrap func(sealed []byte) ([]byte, error)) (lastID int64, n int, err error) {
	err = s.write(ctx, "rewrap secrets", func(tx *sql.Tx) error {
		lastID, n = afterID, 0
		for i, t := range sealedColumns {
			if i+1 < len(sealedColumns) && lastID >= sealedColumns[i+1].first {
				continue
			}
			rows, err := s.sealedRows(ctx, tx, t.table, t.columns, max(lastID-t.first, 0), limit-n)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if err := rewrapRow(ctx, tx, t.table, t.columns, row, rewrap); err != nil {
					return err
				}
				lastID = t.first + row.id
				n++
			}
			if n == limit {
				break
			}
		}
		if n == 0 {
			return nil
		}
		return s.scrubLater(ctx, tx)
	})
	if err != nil {
		return afterID, 0, err
	}
	return lastID, n, nil
}

type sealedRow struct {
	id      int64
	secrets [][]byte
}

func (s *Store) sealedRows(ctx context.Context, tx *sql.Tx, table string, columns []string, after int64, limit int) ([]sealedRow, error) {
	list, some := "", ""
	for i, c := range columns {
		list += ", " + c
		if i > 0 {
			some += " OR "
		}
		some += c + " IS NOT NULL"
	}
	var out []sealedRow
	err := each(ctx, tx, func(rows *sql.Rows) error {
		row := sealedRow{secrets: make([][]byte, len(columns))}
		dest := []any{&row.id}
		for i := range row.secrets {
			dest = append(dest, &row.secrets[i])
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		out = append(out, row)
		return nil
	}, `SELECT id`+list+` FROM `+table+` WHERE id > $1 AND (`+some+`) ORDER BY id LIMIT $2`+s.dialect.forUpdate, after, limit)
	return out, err
}

func rewrapRow(ctx context.Context, tx *sql.Tx, table string, columns []string, row sealedRow, rewrap func([]byte) ([]byte, error)) error {
	for i, old := range row.secrets {
		if old == nil {
			continue
		}
		secret, err := rewrap(old)
		if err != nil {
			return fmt.Errorf("%s of %s %d: %w", columns[i], table, row.id, err)
		}
		if bytes.Equal(secret, old) {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE `+table+` SET `+columns[i]+` = $2 WHERE id = $1`, row.id, sealed(secret)); err != nil {
			return err
		}
	}
	return nil
}
