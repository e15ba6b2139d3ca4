package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// CreateOrg makes an organisation.
func (s *Store) CreateOrg(ctx context.Context, name string) (migration.Org, error) {
	o := migration.Org{Name: name}
	err := s.write(ctx, "create organisation", func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO orgs (name, created_at) VALUES ($1, $2)
			ON CONFLICT DO NOTHING RETURNING id, created_at`, name, at(s.now())).Scan(&o.ID, timeInto{&o.CreatedAt})
		if errors.Is(err, sql.ErrNoRows) {
			return conflict("an organisation named %q exists already", name)
		}
		return err
	})
	if err != nil {
		return migration.Org{}, err
	}
	return o, nil
}

// OrgByName finds an organisation.
func (s *Store) OrgByName(ctx context.Context, name string) (migration.Org, error) {
	o := migration.Org{Name: name}
	err := s.r.QueryRowContext(ctx, `SELECT id, created_at FROM orgs WHERE name = $1`, name).Scan(&o.ID, timeInto{&o.CreatedAt})
	if errors.Is(err, sql.ErrNoRows) {
		return migration.Org{}, notFound("there is no organisation named %q", name)
	}
	if err != nil {
		return migration.Org{}, fmt.Errorf("find organisation: %w", err)
	}
	return o, nil
}

// ListOrgs returns all organisations by name.
func (s *Store) ListOrgs(ctx context.Context) ([]migration.Org, error) {
	var out []migration.Org
	err := each(ctx, s.r, func(rows *sql.Rows) error {
		var o migration.Org
		if err := rows.Scan(&o.ID, &o.Name, timeInto{&o.CreatedAt}); err != nil {
			return err
		}
		out = append(out, o)
		return nil
	}, `SELECT id, name, created_at FROM orgs ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list organisations: %w", err)
	}
	return out, nil
}

// ofOrg are the statements that empty an organisation without batches.
var ofOrg = []string{
	`DELETE FROM endpoint_traffic WHERE endpoint_id IN (SELECT id FROM endpoints WHERE org_id = $1)`,
	`DELETE FROM endpoint_scope WHERE endpoint_id IN (SELECT id FROM endpoints WHERE org_id = $1)`,
	`DELETE FROM endpoints WHERE org_id = $1`,
	`DELETE FROM tokens WHERE org_id = $1`,
	`DELETE FROM deliveries WHERE org_id = $1`,
	`DELETE FROM webhooks WHERE org_id = $1`,
	`DELETE FROM events WHERE org_id = $1`,
	`DELETE FROM idempotency WHERE org_id = $1`,
	`DELETE FROM reports WHERE org_id = $1`,
	`DELETE FROM usage WHERE org_id = $1`,
	`DELETE FROM orgs WHERE id = $1`,
}

// DeleteOrg deletes an organisation with its endpoints, tokens, events, usage and
// kept reports. One that has batches, or is the default one, is a conflict.
func (s *Store) DeleteOrg(ctx context.Context, id int64) error {
	return s.write(ctx, "delete organisation", func(tx *sql.Tx) error {
		var name string
		var batches int
		err := tx.QueryRowContext(ctx, `SELECT name FROM orgs WHERE id = $1`+s.dialect.forDelete, id).Scan(&name)
		if err == nil {
			err = tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM batches WHERE org_id = $1`, id).Scan(&batches)
		}
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return notFound("there is no such organisation")
		case err != nil:
			return err
		case batches > 0:
			return conflict("organisation %q still has %d batches", name, batches)
		case name == migration.DefaultOrg:
			return conflict("organisation %q always exists", name)
		}
		for _, stmt := range ofOrg {
			if _, err := tx.ExecContext(ctx, stmt, id); err != nil {
				return err
			}
		}
		return s.scrubLater(ctx, tx)
	})
}
