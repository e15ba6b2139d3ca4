package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/provider"
)

func newProviderCommand(g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "provider", Short: "Presets: what is known of mail systems"}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List presets", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
			return emitList(g, provider.List(), providerColumns[:5])
		}},
		&cobra.Command{Use: "get NAME", Short: "Show a preset with all that is known, and how", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
			p, ok := provider.Lookup(args[0])
			if !ok {
				return fmt.Errorf("there is no preset %q: see mailhaul provider list", args[0])
			}
			if err := emitOne(g, p, providerColumns); err != nil || g.output != "table" {
				return err
			}
			for _, f := range p.Facts {
				mark := ""
				if f.Unconfirmed {
					mark = ", unconfirmed"
				}
				if _, err := fmt.Fprintf(g.out, "- %s (%s, %s%s)\n", f.Text, f.Source, f.Date, mark); err != nil {
					return err
				}
			}
			return nil
		}})
	return cmd
}

var providerColumns = []column[provider.Preset]{
	{"NAME", func(p provider.Preset) string { return p.Name }},
	{"TITLE", func(p provider.Preset) string { return p.Title }},
	{"HOST", func(p provider.Preset) string { return p.Host }},
	{"PORT", func(p provider.Preset) string { return number(p.Port) }},
	{"AUTH", func(p provider.Preset) string { return p.Auth }},
	{"PASSWORD", func(p provider.Preset) string { return p.Password }},
	{"LOGIN", func(p provider.Preset) string { return p.Login }},
	{"LOGIN TEMPLATE", func(p provider.Preset) string { return p.LoginTemplate }},
}
