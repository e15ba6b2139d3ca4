package control

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/csvimport"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Config is what Control works with. Discoverer, Dispatcher, Log, Now and CSVLimits may be left
// zero.
type Config struct {
	Store      Store
	Vault      Vault
	Tester     Tester
	Discoverer Discoverer
	Dispatcher Dispatcher
	// ResyncInterval is the default of batches; 0: 24 h.
	ResyncInterval time.Duration
	CSVLimits      csvimport.Limits
	Now            func() time.Time
	Log            *zap.Logger
}

// Control is the use cases of operators. It is safe for concurrent use.
type Control struct {
	store    Store
	vault    Vault
	tester   Tester
	finder   Discoverer
	kick     func()
	interval time.Duration
	limits   csvimport.Limits
	now      func() time.Time
	log      *zap.Logger
	rates    *rates
	fleet    views
}

// New returns the use cases over c.
func New(c Config) *Control {
	out := &Control{
		store: c.Store, vault: c.Vault, tester: c.Tester, finder: c.Discoverer, kick: func() {},
		interval: c.ResyncInterval, limits: c.CSVLimits, now: c.Now, log: c.Log, rates: newRates(),
	}
	if c.Dispatcher != nil {
		out.kick = c.Dispatcher.Kick
	}
	if out.interval == 0 {
		out.interval = 24 * time.Hour
	}
	if out.now == nil {
		out.now = func() time.Time { return time.Now().UTC() }
	}
	if out.log == nil {
		out.log = zap.NewNop()
	}
	return out
}

// Actor is who asks.
type Actor struct {
	TokenID string
	OrgID   int64 // 0: any organisation
	Role    migration.Role
}

// sees reports whether the actor may know of the organisation at all.
func (a Actor) sees(orgID int64) bool {
	return a.Role == migration.Owner || a.OrgID != 0 && a.OrgID == orgID
}

// enter finds an organisation for an actor who needs a role in it.
func (c *Control) enter(ctx context.Context, a Actor, org string, need migration.Role) (migration.Org, error) {
	o, err := c.store.OrgByName(ctx, org)
	if code(err) == migration.NotFound || err == nil && !a.sees(o.ID) {
		return migration.Org{}, fault(migration.NotFound, "there is no such organisation")
	}
	if err != nil {
		return migration.Org{}, fmt.Errorf("find the organisation: %w", err)
	}
	return o, a.needs(need)
}

func (a Actor) needs(role migration.Role) error {
	if a.Role.Includes(role) {
		return nil
	}
	return fault(migration.Forbidden, "this needs the role %s; the token has %s", role, a.Role)
}

// audit writes what the actor did. Data must hold no secret.
func (c *Control) audit(ctx context.Context, a Actor, e migration.Event) {
	e.Actor, e.At = a.TokenID, c.now()
	// The change is made: the request's end must not keep it out of the log.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := c.store.AddEvent(ctx, e); err != nil {
		c.log.Error("audit event not written", zap.String("kind", e.Kind), zap.String("actor", e.Actor),
			zap.Int64("org", e.OrgID), zap.Int64("batch", e.BatchID), zap.Error(err))
	}
}

func fault(code migration.Code, format string, args ...any) *migration.Fault {
	return migration.NewFault(code, migration.ScopeUser, "", fmt.Sprintf(format, args...), nil)
}

// code is the code of the fault in err's chain; "" for nil.
func code(err error) migration.Code {
	if err == nil {
		return ""
	}
	return migration.AsFault(err).Code
}

// missing turns a store's NotFound into one that names the thing as the operator did.
func missing(err error, what, name string) error {
	if code(err) == migration.NotFound {
		return fault(migration.NotFound, "there is no %s %q", what, name)
	}
	if err != nil {
		return fmt.Errorf("find %s %q: %w", what, name, err)
	}
	return nil
}

func formatID(id int64) string { return strconv.FormatInt(id, 10) }
