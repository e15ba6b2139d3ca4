package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func newEndpointCommand(g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "endpoint", Short: "Mail systems: where mailboxes are and how to log in"}
	cmd.AddCommand(newEndpointCreate(g), newEndpointSet(g), newEndpointTest(g), newEndpointScope(g), newEndpointDiscover(g),
		simple(g, "list", "List endpoints", 0, func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := c.Endpoints(cmd.Context())
			if err != nil {
				return err
			}
			return emitList(g, list, endpointColumns[:10])
		}),
		simple(g, "get NAME", "Show an endpoint", 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
			e, err := c.Endpoint(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return emitOne(g, e, endpointColumns)
		}),
		simple(g, "delete NAME", "Delete an endpoint that no batch uses", 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := c.DeleteEndpoint(cmd.Context(), args[0]); err != nil {
				return err
			}
			g.say("endpoint %s deleted", args[0])
			return nil
		}))
	return cmd
}

// simple is a command without flags that asks the API.
func simple(g *global, use, short string, args int, do func(*cobra.Command, *client.Client, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(args), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := g.client()
		if err != nil {
			return err
		}
		return do(cmd, c, args)
	}}
}

var endpointColumns = []column[client.Endpoint]{
	{"NAME", func(e client.Endpoint) string { return e.Name }},
	{"HOST", func(e client.Endpoint) string { return e.Host }},
	{"PORT", func(e client.Endpoint) string { return number(e.Port) }},
	{"SECURITY", func(e client.Endpoint) string { return e.Security }},
	{"ADMIN", func(e client.Endpoint) string { return e.AdminUser }},
	{"MIGRATIONS", func(e client.Endpoint) string { return number(e.MaxConcurrentMigrations) }},
	{"RESYNCS", func(e client.Endpoint) string { return number(e.MaxConcurrentIncrementalSyncs) }},
	{"CONNECTIONS", func(e client.Endpoint) string { return number(e.ConnectionsPerMailbox) }},
	{"LIMITS", limits},
	{"STATE", func(e client.Endpoint) string {
		switch {
		case e.Parked == nil && e.Resting != nil:
			return "resting until " + when(&e.Resting.Until)
		case e.Parked == nil && e.WorkingLimit < e.MaxConcurrentMigrations:
			return "throttled to " + number(e.WorkingLimit) + " at once"
		case e.Parked == nil:
			return "ready"
		case e.Parked.Held:
			return "held: " + e.Parked.Code
		default:
			return "parked until " + when(e.Parked.Until) + ": " + e.Parked.Code
		}
	}},
	{"PRESET", func(e client.Endpoint) string { return e.Preset }},
	{"AUTH", func(e client.Endpoint) string { return e.Auth }},
	{"CERTIFICATE", func(e client.Endpoint) string {
		switch {
		case e.TLSPin != "":
			return "pin " + e.TLSPin
		case e.TLSInsecure:
			return "NOT checked"
		case e.Security == "none":
			return ""
		}
		return "checked"
	}},
	{"LOGIN TEMPLATE", func(e client.Endpoint) string { return e.LoginTemplate }},
	{"TEST MAILBOX", func(e client.Endpoint) string { return e.TestMailbox }},
	{"CREATED", func(e client.Endpoint) string { return when(&e.CreatedAt) }},
	{"SCOPE", scopeColumn},
	{"NAMESPACES", func(e client.Endpoint) string {
		return strings.Join(append([]string{"personal"}, e.Namespaces...), " ")
	}},
	{"BYTES TODAY", func(e client.Endpoint) string { return size(e.BytesToday) }},
	{"REASON", func(e client.Endpoint) string {
		switch {
		case e.Parked != nil:
			return e.Parked.Reason
		case e.Resting != nil:
			return e.Resting.Reason
		}
		return ""
	}},
	{"REMEDY", func(e client.Endpoint) string {
		if e.Parked == nil {
			return ""
		}
		return e.Parked.Remedy
	}},
}

const namespacesHelp = "whose folders belong to a mailbox beside its own: others (other users' that it may see), shared (public ones)"

// endpointFlags are those of create and set.
type endpointFlags struct {
	client.EndpointSpec
	passwordFile string
}

func (f *endpointFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.Preset, "preset", "", "provider preset (mailhaul provider list)")
	fl.StringVar(&f.Host, "host", "", "host name or address")
	fl.IntVar(&f.Port, "port", 0, "port (993, or 143 without tls)")
	fl.StringVar(&f.Security, "security", "", "tls, starttls or none (tls)")
	fl.StringVar(&f.TLSPin, "tls-pin", "", "accept the certificate with this key and no other, whoever signed it; a refusal names the pin")
	fl.BoolVar(&f.TLSInsecure, "tls-insecure", false, "accept every certificate: whoever stands between can read the passwords")
	fl.StringVar(&f.Auth, "auth", "", "how users log in: password (xoauth2 of a preset is not supported yet)")
	fl.StringVar(&f.LoginTemplate, "login-template", "", "how the administrator logs in for a user, such as {user}*{admin}, or sasl-plain")
	fl.StringVar(&f.AdminUser, "admin-user", "", "administrator's login name")
	fl.StringVar(&f.passwordFile, "admin-password-file", "", "file with the administrator's password, - for stdin")
	fl.StringVar(&f.TestMailbox, "test-mailbox", "", "whom the administrator opens in the test")
	fl.IntVar(&f.MaxConcurrentMigrations, "max-concurrent-migrations", 0, "mailboxes at once over the whole fleet (20)")
	fl.IntVar(&f.MaxConcurrentIncrementalSyncs, "max-concurrent-incremental-syncs", 0, "of those, resyncs (10)")
	fl.IntVar(&f.ConnectionsPerMailbox, "connections-per-mailbox", 0, "connections at once for one mailbox, 1 to 16 (1)")
	fl.BoolVar(&f.Compress, "compress", false, "compress connections where the server can do it (RFC 4978): for slow lines")
	fl.StringSliceVar(&f.Namespaces, "namespaces", nil, namespacesHelp)
	fl.StringVar(&f.Hours, "hours", "", "when it may be used, such as 'Mon-Fri 20:00-06:00, Sat-Sun 00:00-24:00 Europe/Berlin' (always; zone UTC)")
	fl.Var(bytesFlag{&f.DailyBytes}, "daily-bytes", "bytes of messages a day (UTC), such as 2500M; 0 for no limit")
	fl.Var(mailboxBytes{bytesFlag{&f.DailyBytesPerMailbox}}, "daily-bytes-per-mailbox", "bytes of messages a day (UTC) for each mailbox, or none; 0 for what the preset knows")
	fl.Var(bytesFlag{&f.BytesPerSecond}, "bytes-per-second", "over the whole fleet, such as 10M; 0 for no limit")
	fl.Int64Var(&f.MessagesPerSecond, "messages-per-second", 0, "over the whole fleet; 0 for no limit")
}

func newEndpointCreate(g *global) *cobra.Command {
	var f endpointFlags
	var by found
	var noTest bool
	cmd := &cobra.Command{Use: "create NAME", Short: "Make an endpoint, after testing it", Args: cobra.ExactArgs(1)}
	f.add(cmd)
	by.add(cmd)
	cmd.Flags().BoolVar(&noTest, "no-test", false, "make it without testing it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in := client.NewEndpoint{Name: args[0], EndpointSpec: f.EndpointSpec}
		var err error
		if in.AdminPassword, err = g.secret(f.passwordFile); err != nil {
			return err
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		if err := by.fill(cmd.Context(), g, c, &in.EndpointSpec); err != nil {
			return err
		}
		for _, limit := range []string{"max-concurrent-migrations", "max-concurrent-incremental-syncs", "connections-per-mailbox"} {
			if fl := cmd.Flags().Lookup(limit); fl.Changed && fl.Value.String() == "0" {
				return usageError(fmt.Errorf("--%s: 1 or more", limit))
			}
		}
		e, err := c.CreateEndpoint(cmd.Context(), in, noTest)
		if err != nil {
			return err
		}
		if e.AdminUser != "" && e.TestMailbox == "" && !noTest {
			g.say("the administrator has opened no mailbox yet, so that the password is not proven: mailhaul endpoint test %s --user MAILBOX", e.Name)
		}
		return emitOne(g, e, endpointColumns)
	}
	return cmd
}

func newEndpointSet(g *global) *cobra.Command {
	var f endpointFlags
	cmd := &cobra.Command{Use: "set NAME", Short: "Change an endpoint, also while batches run", Args: cobra.ExactArgs(1)}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var in client.EndpointChange
		for name, set := range map[string]func(){
			"preset": func() { in.Preset = &f.Preset }, "host": func() { in.Host = &f.Host }, "port": func() { in.Port = &f.Port },
			"tls-pin": func() { in.TLSPin = &f.TLSPin }, "tls-insecure": func() { in.TLSInsecure = &f.TLSInsecure },
			"security": func() { in.Security = &f.Security }, "auth": func() { in.Auth = &f.Auth },
			"login-template": func() { in.LoginTemplate = &f.LoginTemplate }, "admin-user": func() { in.AdminUser = &f.AdminUser },
			"test-mailbox":                     func() { in.TestMailbox = &f.TestMailbox },
			"max-concurrent-migrations":        func() { in.MaxConcurrentMigrations = &f.MaxConcurrentMigrations },
			"max-concurrent-incremental-syncs": func() { in.MaxConcurrentIncrementalSyncs = &f.MaxConcurrentIncrementalSyncs },
			"connections-per-mailbox":          func() { in.ConnectionsPerMailbox = &f.ConnectionsPerMailbox },
			"compress":                         func() { in.Compress = &f.Compress },
			"namespaces":                       func() { in.Namespaces = &f.Namespaces },
			"hours":                            func() { in.Hours = &f.Hours },
			"daily-bytes":                      func() { in.DailyBytes = &f.DailyBytes },
			"daily-bytes-per-mailbox":          func() { in.DailyBytesPerMailbox = &f.DailyBytesPerMailbox },
			"bytes-per-second":                 func() { in.BytesPerSecond = &f.BytesPerSecond },
			"messages-per-second":              func() { in.MessagesPerSecond = &f.MessagesPerSecond },
		} {
			if cmd.Flags().Changed(name) {
				set()
			}
		}
		if f.passwordFile != "" {
			password, err := g.secret(f.passwordFile)
			if err != nil {
				return err
			}
			in.AdminPassword = &password
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		e, err := c.ChangeEndpoint(cmd.Context(), args[0], in)
		if err != nil {
			return err
		}
		return emitOne(g, e, endpointColumns)
	}
	return cmd
}

func newEndpointTest(g *global) *cobra.Command {
	var user, file string
	cmd := &cobra.Command{Use: "test NAME", Short: "Test an endpoint stage by stage", Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&user, "user", "", "log in as this user, or let the administrator open it")
	cmd.Flags().StringVar(&file, "password-file", "", "file with the user's password, - for stdin")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		password, err := g.secret(file)
		if err != nil {
			return err
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		res, err := c.TestEndpoint(cmd.Context(), args[0], client.EndpointTest{User: user, Password: password})
		if err != nil {
			return err
		}
		if g.output == "json" {
			err = g.json(res)
		} else {
			err = emitList(g, res.Stages, stageColumns)
		}
		if err != nil || res.OK {
			return err
		}
		last := res.Stages[len(res.Stages)-1]
		g.say("%s", last.Remedy)
		return &exitError{codeOf(migration.Code(last.Code)), fmt.Errorf("the test failed at %s", last.Name)}
	}
	return cmd
}

var stageColumns = []column[client.Stage]{
	{"STAGE", func(s client.Stage) string { return s.Name }},
	{"RESULT", stageResult},
	{"MS", func(s client.Stage) string { return fmt.Sprintf("%.1f", s.Milliseconds) }},
	{"DETAIL", func(s client.Stage) string { return s.Detail }},
}

func stageResult(s client.Stage) string {
	if s.OK {
		return "ok"
	}
	return s.Code
}

func stageLine(s client.Stage) string {
	return strings.TrimSuffix(fmt.Sprintf("%s: %s, %s", s.Name, stageResult(s), s.Detail), ", ")
}

// maxSecret bounds a password file.
const maxSecret = 64 << 10

// secret reads a password from a file, or stdin for "-"; the line end at its end is
// not part of it. "" is no file.
func (g *global) secret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	in := g.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", usageError(err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSecret))
	if err != nil {
		return "", usageError(fmt.Errorf("read the password: %w", err))
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if password == "" {
		return "", usageError(errors.New("the password is empty"))
	}
	return password, nil
}
