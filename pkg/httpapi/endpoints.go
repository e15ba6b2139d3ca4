package httpapi

import (
	"context"
	"net/http"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// EndpointPath is the parameters of an endpoint's path.
type EndpointPath struct {
	OrgPath
	Name string `path:"name" maxLength:"64" doc:"name of the endpoint"`
}

type (
	endpointOut struct{ Body client.Endpoint }
	testOut     struct{ Body client.TestResult }
	foundOut    struct{ Body client.Discovery }
)

func (a *api) endpointRoutes() {
	c := a.Control
	const all, one = "/v1/orgs/{org}/endpoints", "/v1/orgs/{org}/endpoints/{name}"
	route(a, migration.Admin, http.MethodPost, all, "createEndpoint", "Make an endpoint, after testing it",
		func(ctx context.Context, who control.Actor, in *struct {
			OrgPath
			SkipTest bool `query:"skipTest" doc:"make it without testing it"`
			Body     client.NewEndpoint
		},
		) (*endpointOut, error) {
			e, err := c.CreateEndpoint(ctx, who, in.Org, in.Body.Name, endpointSpec(in.Body.EndpointSpec),
				migration.NewSecret(in.Body.AdminPassword), in.SkipTest)
			return &endpointOut{endpointWire(e)}, err
		}, status(http.StatusCreated))
	route(a, migration.Viewer, http.MethodGet, all, "listEndpoints", "List endpoints",
		func(ctx context.Context, who control.Actor, in *struct {
			OrgPath
			Paging
		},
		) (*pageOut[client.Endpoint], error) {
			rows, err := c.Endpoints(ctx, who, in.Org)
			if err != nil {
				return nil, err
			}
			return slice(rows, in.Paging, endpointWire)
		})
	route(a, migration.Viewer, http.MethodGet, one, "getEndpoint", "Show an endpoint",
		func(ctx context.Context, who control.Actor, in *EndpointPath) (*endpointOut, error) {
			e, err := c.Endpoint(ctx, who, in.Org, in.Name)
			return &endpointOut{endpointWire(e)}, err
		})
	route(a, migration.Admin, http.MethodPatch, one, "changeEndpoint", "Change an endpoint, also while batches run",
		func(ctx context.Context, who control.Actor, in *struct {
			EndpointPath
			Body client.EndpointChange
		},
		) (*endpointOut, error) {
			var password migration.Secret
			if in.Body.AdminPassword != nil {
				password = migration.NewSecret(*in.Body.AdminPassword)
			}
			change := func(s *migration.EndpointSpec) { applyEndpoint(s, in.Body) }
			e, err := c.ChangeEndpoint(ctx, who, in.Org, in.Name, change, password)
			return &endpointOut{endpointWire(e)}, err
		})
	route(a, migration.Admin, http.MethodDelete, one, "deleteEndpoint", "Delete an endpoint that no batch uses",
		func(ctx context.Context, who control.Actor, in *EndpointPath) (*none, error) {
			return nil, c.DeleteEndpoint(ctx, who, in.Org, in.Name)
		}, status(http.StatusNoContent))
	a.endpointTestRoute(one + "/test")
	a.scopeRoutes(one + "/scope")
	a.discoverRoute(all + "/discover")
}

func (a *api) endpointTestRoute(path string) {
	c := a.Control
	route(a, migration.Operator, http.MethodPost, path, "testEndpoint", "Test an endpoint stage by stage",
		func(ctx context.Context, who control.Actor, in *struct {
			EndpointPath
			Body *client.EndpointTest
		},
		) (*testOut, error) {
			var with control.Credentials
			if in.Body != nil {
				with = control.Credentials{User: in.Body.User, Password: migration.NewSecret(in.Body.Password)}
			}
			list, err := c.TestEndpoint(ctx, who, in.Org, in.Name, with)
			if err != nil {
				return nil, err
			}
			out := client.TestResult{OK: true, Stages: stages(list)}
			for _, s := range list {
				out.OK = out.OK && s.OK
			}
			return &testOut{out}, nil
		})
}

func (a *api) discoverRoute(path string) {
	route(a, migration.Operator, http.MethodPost, path, "discoverEndpoint", "Find the mail server of an address",
		func(ctx context.Context, who control.Actor, in *struct {
			OrgPath
			Body client.DiscoveryQuestion
		},
		) (*foundOut, error) {
			with := control.Credentials{User: in.Body.User, Password: migration.NewSecret(in.Body.Password)}
			d, err := a.Control.Discover(ctx, who, in.Org, in.Body.Address, in.Body.Resolver, with)
			return &foundOut{discoveryWire(d)}, err
		})
}

func applyEndpoint(s *migration.EndpointSpec, c client.EndpointChange) {
	set(&s.Preset, c.Preset)
	set(&s.Host, c.Host)
	set(&s.Port, c.Port)
	if c.Security != nil {
		s.Security = migration.Security(*c.Security)
	}
	set(&s.TLSPin, c.TLSPin)
	set(&s.TLSInsecure, c.TLSInsecure)
	set(&s.Auth, c.Auth)
	set(&s.LoginTemplate, c.LoginTemplate)
	set(&s.AdminUser, c.AdminUser)
	set(&s.TestMailbox, c.TestMailbox)
	set(&s.MaxConcurrentMigrations, c.MaxConcurrentMigrations)
	set(&s.MaxConcurrentIncrementalSyncs, c.MaxConcurrentIncrementalSyncs)
	set(&s.ConnectionsPerMailbox, c.ConnectionsPerMailbox)
	set(&s.Compress, c.Compress)
	set(&s.Namespaces, c.Namespaces)
	if c.Hours != nil {
		s.Hours = migration.Hours(*c.Hours)
	}
	set(&s.DailyBytes, c.DailyBytes)
	set(&s.DailyBytesPerMailbox, c.DailyBytesPerMailbox)
	set(&s.BytesPerSecond, c.BytesPerSecond)
	set(&s.MessagesPerSecond, c.MessagesPerSecond)
}

// set puts *from, where there is one, into to.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
