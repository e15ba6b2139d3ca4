package control

import (
	"context"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// CreateOrg makes an organisation.
func (c *Control) CreateOrg(ctx context.Context, a Actor, name string) (migration.Org, error) {
	if err := a.needs(migration.Owner); err != nil {
		return migration.Org{}, err
	}
	if err := checkName("organisation", name); err != nil {
		return migration.Org{}, err
	}
	o, err := c.store.CreateOrg(ctx, name)
	if err != nil {
		return migration.Org{}, fmt.Errorf("create organisation: %w", err)
	}
	c.audit(ctx, a, migration.Event{OrgID: o.ID, Kind: "org.created", Data: map[string]any{"name": name}})
	return o, nil
}

// Orgs lists the organisations that the actor may see.
func (c *Control) Orgs(ctx context.Context, a Actor) ([]migration.Org, error) {
	all, err := c.store.ListOrgs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list organisations: %w", err)
	}
	seen := all[:0]
	for _, o := range all {
		if a.sees(o.ID) {
			seen = append(seen, o)
		}
	}
	return seen, nil
}

// Org finds one organisation.
func (c *Control) Org(ctx context.Context, a Actor, name string) (migration.Org, error) {
	return c.enter(ctx, a, name, migration.Viewer)
}

// Usage tells what an organisation has moved, by month.
func (c *Control) Usage(ctx context.Context, a Actor, name string) ([]migration.MonthUsage, error) {
	o, err := c.enter(ctx, a, name, migration.Viewer)
	if err != nil {
		return nil, err
	}
	days, err := c.store.Usage(ctx, o.ID)
	if err != nil {
		return nil, fmt.Errorf("read the usage: %w", err)
	}
	return migration.Months(days), nil
}

// DeleteOrg deletes an organisation that has no batches any more.
func (c *Control) DeleteOrg(ctx context.Context, a Actor, name, confirm string) error {
	o, err := c.enter(ctx, a, name, migration.Owner)
	if err != nil {
		return err
	}
	if name == migration.DefaultOrg {
		return fault(migration.Conflict, "the organisation %q stays", name)
	}
	if confirm != name {
		return fault(migration.NeedsDecision, "deleting an organisation cannot be undone: confirm with its name, %q", name)
	}
	if err := c.store.DeleteOrg(ctx, o.ID); err != nil {
		return fmt.Errorf("delete organisation: %w", err)
	}
	c.audit(ctx, a, migration.Event{Kind: "org.deleted", Data: map[string]any{"name": name}})
	return nil
}

// Audit lists who did what in an organisation, newest first.
func (c *Control) Audit(ctx context.Context, a Actor, org string, before int64, limit int) ([]migration.Event, error) {
	o, err := c.enter(ctx, a, org, migration.Admin)
	if err != nil {
		return nil, err
	}
	return c.store.Audit(ctx, o.ID, before, limit)
}

// RotateKeys puts every sealed secret under the vault's first key, and answers how
// many endpoints and users have secrets.
func (c *Control) RotateKeys(ctx context.Context, a Actor) (int, error) {
	if err := a.needs(migration.Owner); err != nil {
		return 0, err
	}
	var after int64
	total := 0
	for {
		last, n, err := c.store.RewrapSecrets(ctx, after, 500, c.vault.Rewrap)
		if err != nil {
			return total, fmt.Errorf("rotate keys after %d records: %w", total, err)
		}
		if n == 0 {
			break
		}
		after = last
		total += n
	}
	c.audit(ctx, a, migration.Event{Kind: "vault.rotated", Data: map[string]any{"records": total}})
	return total, nil
}
