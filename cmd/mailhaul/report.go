package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newReportCommand(g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "report", Short: "Reports of a batch, as CSV or JSON"}
	for _, r := range [][2]string{
		{"statistics", "All users with their counts"},
		{"errors", "Users that need attention; mended, the file goes back with batch add-users"},
		{"receipts", "What the latest verify of every user found"},
	} {
		var format string
		sub := &cobra.Command{Use: r[0] + " BATCH", Short: r[1], Args: cobra.ExactArgs(1)}
		sub.Flags().StringVar(&format, "format", "", "csv or json (csv, or json with --output json)")
		sub.RunE = func(cmd *cobra.Command, args []string) error {
			switch {
			case format == "" && g.output == "json":
				format = "json"
			case format == "":
				format = "csv"
			case format != "csv" && format != "json":
				return usageError(errors.New("--format is csv or json"))
			}
			c, err := g.client()
			if err != nil {
				return err
			}
			return c.Report(cmd.Context(), args[0], r[0], format, g.out)
		}
		cmd.AddCommand(sub)
	}
	return cmd
}
