package control

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Credentials are what a test logs in with: a user and a password, or a user alone,
// whom the endpoint's administrator opens. Both empty: the endpoint's test mailbox
// where it has one, or no login at all.
type Credentials struct {
	User     string
	Password migration.Secret
}

// TestError is an endpoint's test that failed; its fault is the failed stage's.
type TestError struct{ Stages []Stage }

func (e *TestError) Error() string {
	last := e.Stages[len(e.Stages)-1]
	return fmt.Sprintf("the test failed at %s: %v", last.Name, last.Fault)
}

// Unwrap returns the failed stage's fault, with the stage's name in its reason.
func (e *TestError) Unwrap() error {
	last := e.Stages[len(e.Stages)-1]
	f := *last.Fault
	f.Reason = migration.Clean("the test failed at " + last.Name + ": " + f.Reason)
	return &f
}

func failed(stages []Stage) *Stage {
	for i := range stages {
		if !stages[i].OK {
			return &stages[i]
		}
	}
	return nil
}

// TestEndpoint runs the staged test of an endpoint.
func (c *Control) TestEndpoint(ctx context.Context, a Actor, org, name string, with Credentials) ([]Stage, error) {
	o, err := c.enter(ctx, a, org, migration.Operator)
	if err != nil {
		return nil, err
	}
	for what, s := range map[string]string{"user": with.User, "password": with.Password.Reveal()} {
		if err := checkLogin(what, s); err != nil {
			return nil, err
		}
	}
	e, err := c.endpoint(ctx, o.ID, name)
	if err != nil {
		return nil, err
	}
	if with.User == "" && !with.Password.Empty() {
		return nil, fault(migration.InvalidArgument, "a password needs a user")
	}
	var admin migration.Secret
	if e.HasAdmin() && with.Password.Empty() {
		if admin, err = c.vault.Open(e.AdminSecret, SecretOfEndpoint(o.ID, e.Name)); err != nil {
			return nil, fmt.Errorf("open the administrator's password: %w", err)
		}
	}
	if with.User != "" && with.Password.Empty() && admin.Empty() {
		return nil, fault(migration.InvalidArgument, "the endpoint has no administrator: give a password for %q", with.User)
	}
	stages := c.test(ctx, e, admin, with)
	data := map[string]any{"endpoint": name, "ok": failed(stages) == nil}
	c.audit(ctx, a, migration.Event{OrgID: o.ID, Kind: "endpoint.tested", Data: data})
	return stages, nil
}

// test connects, logs in where it can, and, for an administrator, makes sure that the
// server does not open the administrator's own mailbox whatever name it is given.
func (c *Control) test(ctx context.Context, e migration.Endpoint, admin migration.Secret, with Credentials) []Stage {
	p := Probe{Preset: e.Preset, Host: e.Host, Port: e.Port, Security: e.Security, Trust: e.Trust, Compress: e.Compress}
	byAdmin := !admin.Empty() && with.Password.Empty()
	mailbox := with.User
	if mailbox == "" {
		mailbox = e.TestMailbox
	}
	switch {
	case byAdmin && mailbox != "":
		p = p.as(e, mailbox, admin)
	case !with.Password.Empty():
		p.User, p.Password = with.User, with.Password
	}
	stages := c.tester.Test(ctx, p)
	if !byAdmin || len(stages) == 0 || failed(stages) != nil {
		return stages
	}
	return append(stages, c.impostor(ctx, e, admin, mailbox))
}

func (p Probe) as(e migration.Endpoint, mailbox string, admin migration.Secret) Probe {
	l := e.AdminLogin(mailbox)
	p.User, p.AuthorizationID, p.Password = l.User, l.AuthorizationID, admin
	return p
}

// impostor tries to open a mailbox that cannot exist. Courier, for one, ignores the
// SASL authorization identity and answers OK: everyone's mail would land in the
// administrator's mailbox.
func (c *Control) impostor(ctx context.Context, e migration.Endpoint, admin migration.Secret, like string) Stage {
	name := "mailhaul-" + strings.ToLower(rand.Text()[:16])
	if i := strings.LastIndexByte(like, '@'); i >= 0 {
		name += like[i:]
	}
	p := Probe{Preset: e.Preset, Host: e.Host, Port: e.Port, Security: e.Security, Trust: e.Trust, Compress: e.Compress}
	stages := c.tester.Test(ctx, p.as(e, name, admin))
	out := Stage{Name: "administrator"}
	for _, s := range stages {
		out.Took += s.Took
	}
	bad := failed(stages)
	switch {
	case bad == nil:
		out.Fault = migration.NewFault(migration.AuthorizationMissing, migration.ScopeEndpoint, "",
			"the server let the administrator open a made-up user: it does not look at the name, and all mail would land in one mailbox; "+
				"if it truly has a mailbox for every name, make the endpoint without a test (--no-test)", nil)
	case bad.Fault.Code != migration.AuthFailed && bad.Fault.Code != migration.AuthorizationMissing:
		out.Fault = bad.Fault
	default:
		out.OK = true
		out.Detail = "a made-up user was refused, as it should be"
		if like == "" {
			out.Detail += "; set testMailbox to prove that the administrator may open a real one"
		}
	}
	return out
}
