package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Idempotent is the answer that was given to a request with an idempotency key.
// Body must hold no secret.
type Idempotent struct {
	RequestHash []byte
	Status      int // 0: the key is taken, the answer still to come
	Header      string
	Body        []byte
	At          time.Time
}

// GetIdempotent finds the answer that a key has, and whether there is one.
func (s *Store) GetIdempotent(ctx context.Context, orgID int64, tokenID, key string) (Idempotent, bool, error) {
	var v Idempotent
	err := s.r.QueryRowContext(ctx, `SELECT request_hash, status, header, body, at FROM idempotency
		WHERE org_id = $1 AND token_id = $2 AND name = $3`, orgID, tokenID, key).
		Scan(&v.RequestHash, &v.Status, &v.Header, &v.Body, timeInto{&v.At})
	if errors.Is(err, sql.ErrNoRows) {
		return Idempotent{}, false, nil
	}
	if err != nil {
		return Idempotent{}, false, fmt.Errorf("find idempotency key: %w", err)
	}
	return v, true, nil
}

// PutIdempotent stores the answer to a key. With Status 0 it takes the key for a
// request that is under way; a later call gives the answer. A key that is taken
// already, or has its answer, is a conflict.
func (s *Store) PutIdempotent(ctx context.Context, orgID int64, tokenID, key string, v Idempotent) error {
	if v.At.IsZero() {
		v.At = s.now()
	}
	return s.write(ctx, "store idempotency key", func(tx *sql.Tx) error {
		n, err := execN(ctx, tx, `INSERT INTO idempotency (org_id, token_id, name, request_hash, status, header, body, at)
			VALUES (`+values(1, 8)+`)
			ON CONFLICT (org_id, token_id, name) DO UPDATE SET status = excluded.status, header = excluded.header,
				body = excluded.body, at = excluded.at
			WHERE idempotency.status = 0 AND excluded.status <> 0 AND idempotency.request_hash = excluded.request_hash`,
			orgID, tokenID, key, append([]byte{}, v.RequestHash...), v.Status, v.Header, sealed(v.Body), at(v.At))
		if err == nil && n == 0 {
			return conflict("the idempotency key is in use")
		}
		return err
	})
}

// DeleteIdempotent gives a key free: the request that had taken it did nothing.
func (s *Store) DeleteIdempotent(ctx context.Context, orgID int64, tokenID, key string) error {
	return s.write(ctx, "free idempotency key", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM idempotency WHERE org_id = $1 AND token_id = $2 AND name = $3`, orgID, tokenID, key)
		return err
	})
}

// PurgeIdempotent forgets the answers given before a time.
func (s *Store) PurgeIdempotent(ctx context.Context, before time.Time) error {
	return s.write(ctx, "purge idempotency keys", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM idempotency WHERE at < $1`, at(before))
		return err
	})
}
