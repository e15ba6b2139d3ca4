package control

import (
	"context"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// CreateEndpoint makes an endpoint. Unless skipTest it is tested first, and refused
// with a *TestError where a stage fails.
func (c *Control) CreateEndpoint(ctx context.Context, a Actor, org, name string, spec migration.EndpointSpec, password migration.Secret, skipTest bool) (migration.Endpoint, error) {
	o, err := c.enter(ctx, a, org, migration.Admin)
	if err != nil {
		return migration.Endpoint{}, err
	}
	if err := checkName("endpoint", name); err != nil {
		return migration.Endpoint{}, err
	}
	if err := completeEndpointSpec(&spec); err != nil {
		return migration.Endpoint{}, err
	}
	switch _, err := c.store.EndpointByName(ctx, o.ID, name); code(err) {
	case "":
		return migration.Endpoint{}, fault(migration.Conflict, "there is an endpoint %q already: change that one (mailhaul endpoint set), or take another name", name)
	case migration.NotFound:
	default:
		return migration.Endpoint{}, fmt.Errorf("find endpoint %q: %w", name, err)
	}
	e := migration.Endpoint{OrgID: o.ID, Name: name, EndpointSpec: spec}
	if err := c.sealAdmin(&e, password); err != nil {
		return migration.Endpoint{}, err
	}
	if !skipTest {
		if stages := c.test(ctx, e, password, Credentials{}); failed(stages) != nil {
			return migration.Endpoint{}, &TestError{Stages: stages}
		}
	}
	if !password.Empty() && (skipTest || spec.TestMailbox == "") { // else the test has opened a mailbox with it
		e.Park = migration.Untried(c.now())
	} else if !password.Empty() {
		e.AdminWorkedAt = c.now()
	}
	if err := c.store.CreateEndpoint(ctx, &e); err != nil {
		return migration.Endpoint{}, fmt.Errorf("create endpoint %q: %w", name, err)
	}
	c.audit(ctx, a, migration.Event{OrgID: o.ID, Kind: "endpoint.created", Data: map[string]any{"endpoint": name, "host": spec.Host}})
	return e, nil
}

func (c *Control) sealAdmin(e *migration.Endpoint, password migration.Secret) error {
	switch {
	case password.Empty() && e.AdminUser != "" && len(e.AdminSecret) == 0:
		return fault(migration.InvalidArgument, "adminUser needs an adminPassword (--admin-password-file)")
	case password.Empty():
		return nil
	case e.AdminUser == "":
		return fault(migration.InvalidArgument, "adminPassword needs an adminUser")
	}
	if err := checkLogin("adminPassword", password.Reveal()); err != nil {
		return err
	}
	sealed, err := c.vault.Seal(password, SecretOfEndpoint(e.OrgID, e.Name))
	if err != nil {
		return fmt.Errorf("seal the administrator's password: %w", err)
	}
	e.AdminSecret = sealed
	return nil
}

// Endpoints lists an organisation's endpoints by name.
func (c *Control) Endpoints(ctx context.Context, a Actor, org string) ([]migration.Endpoint, error) {
	o, err := c.enter(ctx, a, org, migration.Viewer)
	if err != nil {
		return nil, err
	}
	return c.store.ListEndpoints(ctx, o.ID)
}

// Endpoint finds one endpoint.
func (c *Control) Endpoint(ctx context.Context, a Actor, org, name string) (migration.Endpoint, error) {
	o, err := c.enter(ctx, a, org, migration.Viewer)
	if err != nil {
		return migration.Endpoint{}, err
	}
	return c.endpoint(ctx, o.ID, name)
}

func (c *Control) endpoint(ctx context.Context, orgID int64, name string) (migration.Endpoint, error) {
	e, err := c.store.EndpointByName(ctx, orgID, name)
	return e, missing(err, "endpoint", name)
}

// ChangeEndpoint changes an endpoint's settings, also while batches run; a password
// that is not empty replaces the administrator's. A parked endpoint is tried again
// at once.
func (c *Control) ChangeEndpoint(ctx context.Context, a Actor, org, name string, change func(*migration.EndpointSpec), password migration.Secret) (migration.Endpoint, error) {
	o, err := c.enter(ctx, a, org, migration.Admin)
	if err != nil {
		return migration.Endpoint{}, err
	}
	e, err := c.endpoint(ctx, o.ID, name)
	if err != nil {
		return migration.Endpoint{}, err
	}
	e, err = c.store.ChangeEndpoint(ctx, o.ID, e.ID, func(e *migration.Endpoint) error {
		was := e.EndpointSpec
		change(&e.EndpointSpec)
		if e.MaxConcurrentMigrations == 0 || e.MaxConcurrentIncrementalSyncs == 0 { // on creation that is the default
			return fault(migration.InvalidArgument, "a limit of 0 would let nobody in for good: give 1 or more; to have nothing run here for a while, stop the batches or set the endpoint's hours")
		}
		if r := e.MaxConcurrentIncrementalSyncs; r == was.MaxConcurrentIncrementalSyncs && r == min(migration.DefaultMaxIncrementalSyncs, was.MaxConcurrentMigrations) {
			e.MaxConcurrentIncrementalSyncs = 0 // nobody set it: it goes along with the limit above it
		}
		if err := completeEndpointSpec(&e.EndpointSpec); err != nil {
			return err
		}
		if e.AdminUser == "" {
			e.AdminSecret = nil
		}
		e.Park = migration.Park{}
		if !password.Empty() || e.LoginTemplate != was.LoginTemplate || e.AdminUser != was.AdminUser {
			e.Park, e.AdminWorkedAt = migration.Untried(c.now()), time.Time{}
		}
		return c.sealAdmin(e, password)
	})
	if code(err) == migration.NotFound {
		return migration.Endpoint{}, missing(err, "endpoint", name)
	}
	if err != nil {
		return migration.Endpoint{}, fmt.Errorf("change endpoint %q: %w", name, err)
	}
	c.audit(ctx, a, migration.Event{OrgID: o.ID, Kind: "endpoint.updated", Data: map[string]any{"endpoint": name, "host": e.Host}})
	c.kick()
	return e, nil
}

// DeleteEndpoint deletes an endpoint that no batch uses.
func (c *Control) DeleteEndpoint(ctx context.Context, a Actor, org, name string) error {
	o, err := c.enter(ctx, a, org, migration.Admin)
	if err != nil {
		return err
	}
	if err := c.store.DeleteEndpoint(ctx, o.ID, name); err != nil {
		if code(err) == migration.NotFound {
			return missing(err, "endpoint", name)
		}
		return fmt.Errorf("delete endpoint %q: %w", name, err)
	}
	c.audit(ctx, a, migration.Event{OrgID: o.ID, Kind: "endpoint.deleted", Data: map[string]any{"endpoint": name}})
	return nil
}
