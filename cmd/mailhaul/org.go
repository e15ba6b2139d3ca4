package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
)

func newOrgCommand(g *global) *cobra.Command {
	columns := []column[client.Org]{
		{"NAME", func(o client.Org) string { return o.Name }},
		{"CREATED", func(o client.Org) string { return when(&o.CreatedAt) }},
	}
	cmd := &cobra.Command{Use: "org", Short: "Organisations: customers that know nothing of each other"}
	cmd.AddCommand(
		simple(g, "create NAME", "Make an organisation", 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
			o, err := c.CreateOrg(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return emitOne(g, o, columns)
		}),
		simple(g, "list", "List organisations", 0, func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := c.Orgs(cmd.Context())
			if err != nil {
				return err
			}
			return emitList(g, list, columns)
		}),
		simple(g, "usage", "Show what the organisation of --org has moved, by month", 0, func(cmd *cobra.Command, c *client.Client, _ []string) error {
			u, err := c.Usage(cmd.Context())
			if err != nil {
				return err
			}
			if g.output == "json" {
				return emitOne[client.Usage](g, u, nil)
			}
			return emitList(g, append(u.Months, client.MonthUsage{Month: "all", Moved: u.Moved}), []column[client.MonthUsage]{
				{"MONTH", func(m client.MonthUsage) string { return m.Month }},
				{"MAILBOXES", func(m client.MonthUsage) string { return strconv.FormatInt(m.Mailboxes, 10) }},
				{"MESSAGES", func(m client.MonthUsage) string { return strconv.FormatInt(m.Messages, 10) }},
				{"BYTES", func(m client.MonthUsage) string { return strconv.FormatInt(m.Bytes, 10) }},
			})
		}))
	return cmd
}
