package main

import (
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
		}))
	return cmd
}
