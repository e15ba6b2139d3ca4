package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// stdio is where a command reads and writes: data on out, all else on err.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// global is what all commands share.
type global struct {
	stdio
	api, token, org, output string
	noColor                 bool
	// every is the time between two looks at a batch.
	every time.Duration
	// goesOn is what whoever interrupts the command has to know: what goes on without it,
	// and how to look at that.
	goesOn string
}

const defaultAPI = "http://127.0.0.1:8080"

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, io stdio, env func(string) (string, bool)) int {
	g := &global{stdio: io, every: time.Second}
	return g.run(ctx, args, env)
}

func (g *global) run(ctx context.Context, args []string, env func(string) (string, bool)) int {
	root := newRootCommand(g, env)
	root.SetArgs(args)
	root.SetIn(g.in)
	root.SetOut(g.out)
	root.SetErr(g.stdio.err)
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil && !errors.As(err, new(*exitError)) {
		g.say("mailhaul: interrupted")
		if g.goesOn != "" {
			g.say("  %s", g.goesOn)
		}
		return exitInterrupted
	}
	g.explain(err)
	return exitCode(err)
}

func newRootCommand(g *global, env func(string) (string, bool)) *cobra.Command {
	root := &cobra.Command{
		Use:          "mailhaul",
		Short:        "Move mailboxes from one mail system to another, and keep them in step until cutover",
		Long:         "Move mailboxes from one mail system to another, and keep them in step until cutover.\n\n" + exitHelp(),
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return g.checkOutput() },
	}
	f := root.PersistentFlags()
	f.StringVar(&g.api, "api", or(env, "MAILHAUL_API", defaultAPI), "URL of the API (MAILHAUL_API)")
	f.StringVar(&g.token, "token", "", "token; better given in MAILHAUL_TOKEN, where other users do not see it")
	f.StringVar(&g.org, "org", or(env, "MAILHAUL_ORG", migration.DefaultOrg), "organisation (MAILHAUL_ORG)")
	f.StringVar(&g.output, "output", "table", "table, json, ndjson or csv")
	f.BoolVar(&g.noColor, "no-color", false, "no colours")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	for _, make := range []func(*global) *cobra.Command{
		newDemoCommand, newUpCommand, newSyncCommand, newVerifyCommand,
		newEndpointCommand, newBatchCommand, newUserCommand, newReportCommand,
		newTopCommand, newWorkerCommand,
		newTokenCommand, newWebhookCommand, newOrgCommand, newVaultCommand, newProviderCommand,
	} {
		root.AddCommand(make(g))
	}
	checkArgs(root)
	addExamples(root)
	// The token's default is not written into the flag: --help would show it.
	if token, ok := env("MAILHAUL_TOKEN"); ok {
		root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("token") {
				g.token = token
			}
			return g.checkOutput()
		}
	}
	return root
}

// checkArgs makes what cobra says of arguments into usage errors, and a group without
// a verb into one as well.
func checkArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError(fmt.Errorf("%w: %s", err, c.UseLine()))
			}
			return nil
		}
	}
	if cmd.HasParent() && cmd.HasSubCommands() && cmd.RunE == nil && cmd.Run == nil {
		cmd.Args = cobra.ArbitraryArgs
		// The flags of a verb that is not there are not what is wrong.
		cmd.FParseErrWhitelist.UnknownFlags = true
		cmd.SuggestionsMinimumDistance = 2
		cmd.RunE = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(errors.New(c.CommandPath() + " needs a verb: see " + c.CommandPath() + " --help"))
			}
			meant := ""
			if like := c.SuggestionsFor(args[0]); len(like) > 0 {
				meant = " (did you mean " + strings.Join(like, " or ") + "?)"
			}
			return usageError(errors.New(c.CommandPath() + " has no verb " + args[0] + meant + ": see " + c.CommandPath() + " --help"))
		}
	}
	for _, sub := range cmd.Commands() {
		checkArgs(sub)
	}
}

func or(env func(string) (string, bool), name, otherwise string) string {
	if v, ok := env(name); ok && v != "" {
		return v
	}
	return otherwise
}

func (g *global) checkOutput() error {
	switch g.output {
	case "table", "json", "ndjson", "csv":
		return nil
	}
	return usageError(errors.New("--output is table, json, ndjson or csv"))
}

// client is the API's.
func (g *global) client() (*client.Client, error) {
	c, err := client.New(client.Config{URL: g.api, Token: migration.NewSecret(g.token), Org: g.org})
	return c, usageError(err)
}

// terminal reports whether a stream is one.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}
