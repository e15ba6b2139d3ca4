package control

import (
	"context"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Event is an event with the address of its user, "" without one.
type Event struct {
	migration.Event
	EmailAddress string
}

// Events lists what happened to a batch after an event, oldest first.
func (c *Control) Events(ctx context.Context, a Actor, org, batch string, after int64, limit int) ([]Event, error) {
	b, err := c.enterBatch(ctx, a, org, batch, migration.Viewer)
	if err != nil {
		return nil, err
	}
	list, err := c.store.EventsAfter(ctx, b.OrgID, b.ID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the events of %q: %w", batch, err)
	}
	out := make([]Event, len(list))
	for i, e := range list {
		out[i].Event = e
		if email, ok := e.Data["emailAddress"].(string); ok {
			out[i].EmailAddress = email
			continue
		}
		if e.UserID == 0 {
			continue
		}
		u, err := c.store.UserByID(ctx, e.UserID)
		if err != nil && code(err) != migration.NotFound {
			return nil, fmt.Errorf("find the user of event %d: %w", e.ID, err)
		}
		out[i].EmailAddress = u.EmailAddress
	}
	return out, nil
}
