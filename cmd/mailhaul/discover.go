package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func newEndpointDiscover(g *global) *cobra.Command {
	var in client.DiscoveryQuestion
	var file string
	cmd := &cobra.Command{
		Use: "discover ADDRESS", Short: "Find the mail server of an address", Args: cobra.ExactArgs(1),
		Long: "Find the mail server of an address: by providers that are known, DNS (MX, and SRV as in RFC 6186), the domain's own\n" +
			"web server (Thunderbird's autoconfig), and the names imap.DOMAIN and mail.DOMAIN. The first server that passes the\n" +
			"endpoint's test is the answer. A server without TLS is never one, and no third party is asked.",
	}
	cmd.Flags().StringVar(&in.User, "user", "", "login name (the address, or its local part where the server wants that)")
	cmd.Flags().StringVar(&file, "password-file", "", "file with the user's password, - for stdin: try a login at what was found")
	cmd.Flags().StringVar(&in.Resolver, "resolver", "", "server of DNS to ask, as IP or IP:PORT (the service's own)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Address = args[0]
		var err error
		if in.Password, err = g.secret(file); err != nil {
			return err
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		d, err := g.discover(cmd.Context(), c, in)
		if err != nil {
			return err
		}
		if err := emitOne(g, d, discoveryColumns); err != nil || !d.Found {
			return errors.Join(err, nowhere(d, in.Address))
		}
		if last := d.Stages[len(d.Stages)-1]; !last.OK {
			g.say("%s", last.Remedy)
			return &exitError{codeOf(migration.Code(last.Code)), fmt.Errorf("%s is there, and the test failed at %s: %s", d.Host, last.Name, last.Detail)}
		}
		return nil
	}
	return cmd
}

var discoveryColumns = []column[client.Discovery]{
	{"HOST", func(d client.Discovery) string { return d.Host }},
	{"PORT", func(d client.Discovery) string {
		if !d.Found {
			return ""
		}
		return number(d.Port)
	}},
	{"SECURITY", func(d client.Discovery) string { return d.Security }},
	{"PRESET", func(d client.Discovery) string { return d.Preset }},
	{"AUTH", func(d client.Discovery) string { return d.Auth }},
	{"LOGIN", func(d client.Discovery) string { return d.Login }},
	{"USER NAME", func(d client.Discovery) string { return d.UserName }},
	{"FROM", func(d client.Discovery) string { return d.From }},
	{"NOTE", func(d client.Discovery) string { return d.Note }},
	{"COMMAND", func(d client.Discovery) string { return d.Command }},
}

// discover tells each question with its answer on the way.
func (g *global) discover(ctx context.Context, c *client.Client, in client.DiscoveryQuestion) (client.Discovery, error) {
	d, err := c.Discover(ctx, in)
	if err != nil {
		return d, err
	}
	for _, s := range d.Steps {
		text := s.Asked + ": " + s.Said
		if s.Test != "" {
			text += " (test: " + s.Test + ")"
		}
		g.say("%s", text)
	}
	if d.Unproven {
		g.say("DNS alone, which can be forged, says that mail of %s is at %s: make sure of it before a password is sent there", in.Address, d.Host)
	}
	return d, nil
}

func nowhere(d client.Discovery, address string) error {
	if d.Found {
		return nil
	}
	return &exitError{exitFailed, fmt.Errorf("no mail server was found for %s: give --host, and --port and --security where they are not 993 and tls", address)}
}

// found is what --address and --confirm of endpoint create fill in.
type found struct{ address, confirm string }

func (f *found) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.address, "address", "", "find host and port from one mailbox's address (as endpoint discover does), in place of --host and --preset")
	cmd.Flags().StringVar(&f.confirm, "confirm", "", "the host that was found, where DNS alone speaks for it")
	for _, other := range []string{"host", "preset", "port", "security"} {
		cmd.MarkFlagsMutuallyExclusive("address", other)
	}
}

// fill puts the server of the address into the endpoint.
func (f *found) fill(ctx context.Context, g *global, c *client.Client, to *client.EndpointSpec) error {
	if f.address == "" {
		return nil
	}
	d, err := g.discover(ctx, c, client.DiscoveryQuestion{Address: f.address})
	if err != nil {
		return err
	}
	if err := nowhere(d, f.address); err != nil {
		return err
	}
	if d.Unproven && f.confirm != d.Host {
		return &exitError{exitFailed, fmt.Errorf("%s: add --confirm %s once you have", migration.NeedsDecision, d.Host)}
	}
	to.Preset, to.Host, to.Port, to.Security = d.Preset, d.Host, d.Port, d.Security
	if to.Auth == "" {
		to.Auth = d.Auth
	}
	return nil
}
