package httpapi

import (
	"context"
	"net/http"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

type scopeOut struct{ Body client.Scope }

func (a *api) scopeRoutes(path string) {
	c := a.Control
	route(a, migration.Viewer, http.MethodGet, path, "getScope", "Show which mailboxes may move",
		func(ctx context.Context, who control.Actor, in *EndpointPath) (*scopeOut, error) {
			mailboxes, err := c.Scope(ctx, who, in.Org, in.Name)
			return &scopeOut{client.Scope{Mailboxes: list(mailboxes)}}, err
		})
	route(a, migration.Admin, http.MethodPut, path, "setScope", "Let these mailboxes move and no other, from each user's next pass on",
		func(ctx context.Context, who control.Actor, in *struct {
			EndpointPath
			Body client.Scope
		},
		) (*endpointOut, error) {
			e, err := c.SetScope(ctx, who, in.Org, in.Name, in.Body.Mailboxes)
			return &endpointOut{endpointWire(e)}, err
		})
	route(a, migration.Admin, http.MethodPatch, path, "editScope", "Add mailboxes that may move, and take others off",
		func(ctx context.Context, who control.Actor, in *struct {
			EndpointPath
			Body client.ScopeChange
		},
		) (*endpointOut, error) {
			e, err := c.EditScope(ctx, who, in.Org, in.Name, in.Body.Add, in.Body.Remove)
			return &endpointOut{endpointWire(e)}, err
		})
	route(a, migration.Admin, http.MethodDelete, path, "clearScope", "Let every mailbox move",
		func(ctx context.Context, who control.Actor, in *EndpointPath) (*none, error) {
			return nil, c.ClearScope(ctx, who, in.Org, in.Name)
		}, status(http.StatusNoContent))
}
