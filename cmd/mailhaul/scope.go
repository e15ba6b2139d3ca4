package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// maxScopeFile bounds a file of mailboxes: 10,000 of the longest there can be.
const maxScopeFile = 16 << 20

func newEndpointScope(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use: "scope", Short: "Which mailboxes may move from or to an endpoint",
		Long: `Which mailboxes may move from or to an endpoint: without a list, all. A mailbox is
named by its login as in the CSV file, without regard to case; one below a root
folder by login, blank and root: "root@example.com /shared/ann". A change holds
from each user's next pass on: who is no longer named is Failed (NotInScope).`,
	}
	cmd.AddCommand(newScopeSet(g),
		simple(g, "get NAME", "List the mailboxes that may move, one a line as set takes them", 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
			list, err := c.Scope(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if g.output == "table" {
				for _, mailbox := range list {
					_, _ = fmt.Fprintln(g.out, mailbox)
				}
				return nil
			}
			return emitList(g, list, []column[string]{{"MAILBOX", func(s string) string { return s }}})
		}),
		scopeEdit(g, "add", "Let further mailboxes move", func(list []string) client.ScopeChange { return client.ScopeChange{Add: list} }),
		scopeEdit(g, "remove", "Take mailboxes off the list", func(list []string) client.ScopeChange { return client.ScopeChange{Remove: list} }),
		simple(g, "clear NAME", "End the list: every mailbox may move", 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := c.ClearScope(cmd.Context(), args[0]); err != nil {
				return err
			}
			g.say("endpoint %s: every mailbox may move", args[0])
			return nil
		}))
	return cmd
}

func newScopeSet(g *global) *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "set NAME", Short: "Let the mailboxes of a file move and no other", Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&file, "file", "", "file with one mailbox a line, - for stdin")
	_ = cmd.MarkFlagRequired("file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		list, err := g.mailboxes(file)
		if err != nil {
			return err
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		e, err := c.SetScope(cmd.Context(), args[0], list)
		return g.emitScope(e, err)
	}
	return cmd
}

func scopeEdit(g *global, verb, short string, change func([]string) client.ScopeChange) *cobra.Command {
	return &cobra.Command{Use: verb + " NAME MAILBOX...", Short: short, Args: cobra.MinimumNArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := g.client()
		if err != nil {
			return err
		}
		e, err := c.EditScope(cmd.Context(), args[0], change(args[1:]))
		return g.emitScope(e, err)
	}}
}

func (g *global) emitScope(e client.Endpoint, err error) error {
	if err != nil {
		return err
	}
	return emitOne(g, e, endpointColumns)
}

func scopeColumn(e client.Endpoint) string {
	switch {
	case e.Scope == nil:
		return "every mailbox"
	case e.Scope.Mailboxes == 0:
		return "no mailbox"
	}
	return number(e.Scope.Mailboxes) + " mailboxes"
}

// mailboxes reads a file of names. Empty lines stay, so that a problem's line is the
// file's.
func (g *global) mailboxes(file string) ([]string, error) {
	in := g.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, usageError(err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxScopeFile+1))
	if err != nil {
		return nil, usageError(fmt.Errorf("read the mailboxes: %w", err))
	}
	if len(text) > maxScopeFile {
		return nil, usageError(fmt.Errorf("the file has more than %s", size(maxScopeFile)))
	}
	lines := strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n")
	named := false
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
		named = named || lines[i] != ""
	}
	if !named {
		return nil, usageError(errors.New("the file names no mailbox: nobody could move (mailhaul endpoint scope clear lets everybody)"))
	}
	return lines, nil
}
