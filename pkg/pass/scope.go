package pass

import (
	"context"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// inScope refuses a user whose mailbox may not move by the list of either endpoint. It is
// asked before each pass, and nobody is connected to before: a name that is taken off the
// list while the batch runs ends its user's sync with the pass under way.
func (p *pass) inScope(ctx context.Context, source, target migration.Endpoint) error {
	for _, side := range []struct {
		which migration.Side
		migration.Endpoint
	}{{migration.Source, source}, {migration.Target, target}} {
		if side.ScopeSize == nil {
			continue
		}
		name := migration.ScopeName(p.user.Mailbox(side.which))
		var in map[string]bool
		err := patiently(ctx, func() (err error) {
			in, err = p.r.Store.InScope(ctx, side.ID, []string{name})
			return err
		})
		if err != nil {
			return fmt.Errorf("look into the scope of %q: %w", side.Name, err)
		}
		if !in[name] {
			return migration.NewFault(migration.NotInScope, migration.ScopeUser, side.which,
				fmt.Sprintf("%s is not among the %d mailboxes that may move by the scope of endpoint %q", name, *side.ScopeSize, side.Name), nil)
		}
	}
	return nil
}
