package pass

import (
	"context"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// preflight looks at both sides before anything is copied.
func (p *pass) preflight(ctx context.Context) error {
	ctx, end := p.briefly(ctx)
	defer end()
	found, err := p.r.Engine.Preflight(ctx, mailsync.PreflightJob{
		Source: p.source.open, Target: p.target.open,
		Records:        records{p.r.Store, p.lease.Token, p.log},
		Selection:      p.selection(),
		MaxMessageSize: p.batch.MaxMessageSize, AppendLimit: p.r.AppendLimit(p.target.endpoint.Preset),
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	p.found = &found
	if err != nil {
		return fmt.Errorf("preflight: %w", err)
	}
	return nil
}

// keepPreflight writes what was found. What ended the pass before it could look (a
// password that cannot be unsealed) is a finding too; what the pass comes back for is not.
func (p *pass) keepPreflight(ctx context.Context) error {
	f := p.result.Fault
	if p.lease.Kind != migration.Preflighting || p.result.Yielded || f != nil && f.Class() == migration.Wait {
		return nil
	}
	if p.found == nil {
		p.found = &migration.Preflight{At: p.begun.UTC()}
		if f != nil {
			p.found.FindFault(f)
		}
	}
	if err := p.r.Store.PutPreflight(ctx, p.lease.Token, *p.found); err != nil {
		return fmt.Errorf("write what the preflight found: %w", err)
	}
	return nil
}
