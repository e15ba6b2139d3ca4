package control

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/discover"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/provider"
)

// Bounds of one discovery: of all of it, of one server's test, and of servers tested.
const (
	discoverTime = 90 * time.Second
	serverTime   = 20 * time.Second
	maxServers   = 8
)

// Discovery is what was found for an address, and how.
type Discovery struct {
	// Server is the first whose test passed through CAPABILITY; nil: none did.
	Server *discover.Server
	From   string // the question whose answer named it
	Stages []Stage
	// Note says why a password that was given was not tried; "": it was.
	Note  string
	Steps []DiscoveryStep
}

// DiscoveryStep is one question with its answer, and what the test of the server that
// it names said; "": it was not tested.
type DiscoveryStep struct {
	Asked, Said, Test string
}

// Discover finds the mail server of one address: what is asked is package discover's,
// and the first server that passes the staged test is the answer. With a password one
// login is tried at that server, unless DNS alone speaks for it.
func (c *Control) Discover(ctx context.Context, a Actor, org, address, resolver string, with Credentials) (Discovery, error) {
	o, err := c.enter(ctx, a, org, migration.Operator)
	if err != nil {
		return Discovery{}, err
	}
	for what, s := range map[string]string{"user": with.User, "password": with.Password.Reveal()} {
		if err := checkLogin(what, s); err != nil {
			return Discovery{}, err
		}
	}
	q := discover.Question{}
	if q.Address, err = discover.ParseAddress(address); err != nil {
		return Discovery{}, fault(migration.InvalidArgument, "%v", err)
	}
	if q.Resolver, err = discover.ParseResolver(resolver); err != nil {
		return Discovery{}, fault(migration.InvalidArgument, "%v", err)
	}
	out := c.discover(ctx, q, with)
	if err := ctx.Err(); err != nil {
		return Discovery{}, fmt.Errorf("discover %s: %w", q.Address.Domain, err)
	}
	c.audit(ctx, a, migration.Event{OrgID: o.ID, Kind: "endpoint.discovered", Data: map[string]any{"domain": q.Address.Domain, "found": out.Server != nil}})
	return out, nil
}

func (c *Control) discover(ctx context.Context, q discover.Question, with Credentials) (out Discovery) {
	ctx, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	tried := map[string]bool{}
	for step := range c.finder.Steps(ctx, q) {
		s := DiscoveryStep{Asked: step.Asked, Said: step.Said}
		if server := step.Server; server != nil {
			where := fmt.Sprint(server.Host, server.Port, server.Security)
			switch err := checkHost(server.Host); {
			case err != nil:
				s.Test = migration.AsFault(err).Reason
			case tried[where]:
				s.Test = "tested above"
			case len(tried) == maxServers:
				s.Test = fmt.Sprintf("not tested: %d others were", maxServers)
			default:
				tried[where] = true
				if stages, note := c.tryServer(ctx, *server, with); stages != nil {
					s.Test = outcome(stages)
					if reached(stages) {
						out.Server, out.From, out.Stages, out.Note = server, step.Asked, stages, note
					}
				}
			}
		}
		out.Steps = append(out.Steps, s)
		if out.Server != nil {
			return out
		}
	}
	if ctx.Err() != nil {
		out.Steps = append(out.Steps, DiscoveryStep{Asked: "all of it", Said: fmt.Sprintf("no more was asked after %s", discoverTime)})
	}
	return out
}

// tryServer tests one server, with the login where there is one and the server may
// see it.
func (c *Control) tryServer(ctx context.Context, s discover.Server, with Credentials) (stages []Stage, note string) {
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	p := Probe{Preset: s.Preset, Host: s.Host, Port: s.Port, Security: s.Security}
	switch {
	case with.Password.Empty():
	case s.Unproven:
		note = fmt.Sprintf("the password was not sent: DNS alone, which can be forged, names %s, and it is outside the address's domain", s.Host)
	default:
		p.User, p.Password = s.UserName, with.Password
		if with.User != "" {
			p.User = with.User
		}
	}
	return c.tester.Test(ctx, p), note
}

// reached tells whether a test came as far as the login, or ended before it as it was
// to.
func reached(stages []Stage) bool {
	return failed(stages) == nil || slices.ContainsFunc(stages, func(s Stage) bool { return s.Name == "login" })
}

func outcome(stages []Stage) string {
	if bad := failed(stages); bad != nil {
		return migration.Clean(fmt.Sprintf("%s failed: %s", bad.Name, bad.Fault.Reason))
	}
	return "passed"
}

// Command is how an endpoint is made of what was found; "" where nothing was.
func (d Discovery) Command() string {
	if d.Server == nil {
		return ""
	}
	words := []string{"mailhaul endpoint create NAME"}
	p, known := provider.Lookup(d.Server.Preset)
	if known {
		words = append(words, "--preset "+p.Name)
	}
	if !known || p.Host != d.Server.Host {
		words = append(words, "--host "+d.Server.Host)
	}
	spec := p.Apply(migration.EndpointSpec{Security: d.Server.Security})
	if d.Server.Security != migration.TLS {
		words = append(words, "--security "+string(d.Server.Security))
	}
	if d.Server.Port != spec.Port {
		words = append(words, "--port "+strconv.Itoa(d.Server.Port))
	}
	if auth := d.Auth(); known && auth != p.Auth {
		words = append(words, "--auth "+auth)
	}
	return strings.Join(words, " ")
}

// Auth is how an endpoint at the server would let users log in: by password, wherever
// one works.
func (d Discovery) Auth() string {
	p, known := provider.Lookup(d.Server.Preset)
	if known && p.Auth != "password" && p.Password == "" {
		return p.Auth
	}
	if !known && d.Server.Auth != "" {
		return d.Server.Auth
	}
	return "password"
}
