package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// OrgPath is the parameters of a path in an organisation. It and its like are exported
// because huma passes over embedded fields that are not.
type OrgPath struct {
	Org string `path:"org" maxLength:"64" doc:"name of the organisation"`
}

// TokenPath is the parameters of a token's path.
type TokenPath struct {
	OrgPath
	ID string `path:"id" maxLength:"64" doc:"ID of the token"`
}

type (
	none     struct{}
	orgOut   struct{ Body client.Org }
	tokenOut struct{ Body client.Token }
)

func (a *api) orgRoutes() {
	c := a.Control
	route(a, migration.Owner, http.MethodPost, "/v1/orgs", "createOrg", "Make an organisation",
		func(ctx context.Context, who control.Actor, in *struct{ Body client.NewOrg }) (*orgOut, error) {
			o, err := c.CreateOrg(ctx, who, in.Body.Name)
			return &orgOut{orgWire(o)}, err
		}, status(http.StatusCreated))
	route(a, migration.Viewer, http.MethodGet, "/v1/orgs", "listOrgs", "List organisations",
		func(ctx context.Context, who control.Actor, in *struct{ Paging }) (*pageOut[client.Org], error) {
			all, err := c.Orgs(ctx, who)
			if err != nil {
				return nil, err
			}
			return slice(all, in.Paging, orgWire)
		})
	route(a, migration.Viewer, http.MethodGet, "/v1/orgs/{org}", "getOrg", "Show an organisation",
		func(ctx context.Context, who control.Actor, in *OrgPath) (*orgOut, error) {
			o, err := c.Org(ctx, who, in.Org)
			return &orgOut{orgWire(o)}, err
		})
	route(a, migration.Viewer, http.MethodGet, "/v1/orgs/{org}/usage", "getUsage", "Show what an organisation has moved",
		func(ctx context.Context, who control.Actor, in *OrgPath) (*struct{ Body client.Usage }, error) {
			months, err := c.Usage(ctx, who, in.Org)
			return &struct{ Body client.Usage }{usageWire(months)}, err
		})
	route(a, migration.Owner, http.MethodDelete, "/v1/orgs/{org}", "deleteOrg", "Delete an organisation that has no batches",
		func(ctx context.Context, who control.Actor, in *struct {
			OrgPath
			Confirm string `query:"confirm" doc:"the organisation's name"`
		},
		) (*none, error) {
			return nil, c.DeleteOrg(ctx, who, in.Org, in.Confirm)
		}, status(http.StatusNoContent))
	route(a, migration.Admin, http.MethodGet, "/v1/orgs/{org}/audit", "audit", "List who did what, newest first",
		func(ctx context.Context, who control.Actor, in *struct {
			OrgPath
			Paging
		},
		) (*pageOut[client.Event], error) {
			before, err := in.afterID()
			if err != nil {
				return nil, err
			}
			rows, err := c.Audit(ctx, who, in.Org, before, in.Limit+1)
			if err != nil {
				return nil, err
			}
			return page(rows, in.Limit, func(e migration.Event) client.Event { return eventWire(control.Event{Event: e}) },
				func(e migration.Event) string { return strconv.FormatInt(e.ID, 10) }), nil
		})
	route(a, migration.Owner, http.MethodPost, "/v1/vault/rotate", "rotateKeys", "Put every stored password under the first master key",
		func(ctx context.Context, who control.Actor, _ *none) (*struct{ Body client.Rotated }, error) {
			n, err := c.RotateKeys(ctx, who)
			return &struct{ Body client.Rotated }{client.Rotated{Records: n}}, err
		})
	a.tokenRoutes()
}

func (a *api) tokenRoutes() {
	c := a.Control
	route(a, migration.Admin, http.MethodPost, "/v1/orgs/{org}/tokens", "createToken", "Make a token; it is told this once",
		func(ctx context.Context, who control.Actor, in *struct {
			OrgPath
			Body client.NewToken
		},
		) (*struct{ Body client.CreatedToken }, error) {
			var expires time.Duration
			var err error
			if expires, err = parseDuration("expires", in.Body.Expires); err != nil {
				return nil, err
			}
			t, err := c.CreateToken(ctx, who, in.Org, migration.Role(in.Body.Role), expires, in.Body.Email)
			if err != nil {
				return nil, err
			}
			body := client.CreatedToken{Token: tokenWire(t.Token), Value: t.Value.Reveal(), Warning: t.Warning}
			return &struct{ Body client.CreatedToken }{body}, nil
		}, status(http.StatusCreated))
	route(a, migration.Admin, http.MethodGet, "/v1/orgs/{org}/tokens", "listTokens", "List tokens",
		func(ctx context.Context, who control.Actor, in *struct {
			OrgPath
			Paging
		},
		) (*pageOut[client.Token], error) {
			all, err := c.Tokens(ctx, who, in.Org)
			if err != nil {
				return nil, err
			}
			return slice(all, in.Paging, tokenWire)
		})
	route(a, migration.Admin, http.MethodGet, "/v1/orgs/{org}/tokens/{id}", "getToken", "Show a token",
		func(ctx context.Context, who control.Actor, in *TokenPath) (*tokenOut, error) {
			t, err := c.Token(ctx, who, in.Org, in.ID)
			return &tokenOut{tokenWire(t)}, err
		})
	route(a, migration.Admin, http.MethodDelete, "/v1/orgs/{org}/tokens/{id}", "revokeToken", "End a token at once",
		func(ctx context.Context, who control.Actor, in *TokenPath) (*none, error) {
			return nil, c.RevokeToken(ctx, who, in.Org, in.ID)
		}, status(http.StatusNoContent))
}
