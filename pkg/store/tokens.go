package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const tokenColumns = `id, org_id, role, hash, created_at, expires_at, revoked_at, email`

func scanToken(row interface{ Scan(...any) error }) (migration.Token, error) {
	var t migration.Token
	err := row.Scan(&t.ID, &t.OrgID, &t.Role, &t.Hash, timeInto{&t.CreatedAt}, timeInto{&t.ExpiresAt}, timeInto{&t.RevokedAt}, &t.Email)
	return t, err
}

// CreateToken stores a token by its hash.
func (s *Store) CreateToken(ctx context.Context, t migration.Token) error {
	return s.write(ctx, "create token", func(tx *sql.Tx) error {
		n, err := execN(ctx, tx, `INSERT INTO tokens (`+tokenColumns+`) VALUES (`+values(1, 8)+`) ON CONFLICT DO NOTHING`,
			t.ID, t.OrgID, string(t.Role), t.Hash, at(t.CreatedAt), at(t.ExpiresAt), at(t.RevokedAt), t.Email)
		if err == nil && n == 0 {
			return conflict("this token exists already")
		}
		return err
	})
}

// TokenByHash finds a token, also one that has expired or was revoked.
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (migration.Token, error) {
	t, err := scanToken(s.r.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM tokens WHERE hash = $1`, hash))
	if errors.Is(err, sql.ErrNoRows) {
		return migration.Token{}, notFound("there is no such token")
	}
	if err != nil {
		return migration.Token{}, fmt.Errorf("find token: %w", err)
	}
	return t, nil
}

// ListTokens returns the tokens of one organisation, oldest first; of 0 those that
// hold for any.
func (s *Store) ListTokens(ctx context.Context, orgID int64) ([]migration.Token, error) {
	var out []migration.Token
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		t, err := scanToken(rows)
		out = append(out, t)
		return err
	}, `SELECT `+tokenColumns+` FROM tokens WHERE org_id = $1 ORDER BY created_at, id`, orgID)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return out, nil
}

// RevokeToken marks a token as revoked. Doing it twice keeps the first time.
func (s *Store) RevokeToken(ctx context.Context, orgID int64, id string, now time.Time) error {
	return s.write(ctx, "revoke token", func(tx *sql.Tx) error {
		n, err := execN(ctx, tx, `UPDATE tokens SET revoked_at = COALESCE(revoked_at, $3) WHERE org_id = $1 AND id = $2`, orgID, id, at(now))
		if err == nil && n == 0 {
			return notFound("there is no token %q", id)
		}
		return err
	})
}

// CountTokens counts all tokens there ever were, revoked ones too.
func (s *Store) CountTokens(ctx context.Context) (int, error) {
	var n int
	if err := s.r.QueryRowContext(ctx, `SELECT COUNT(*) FROM tokens`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count tokens: %w", err)
	}
	return n, nil
}
