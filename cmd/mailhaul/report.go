package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/report"
)

func newReportCommand(g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "report", Short: "Reports of a batch, as CSV, JSON, a page or a table"}
	for _, r := range [][2]string{
		{"statistics", "All users with their counts"},
		{"errors", "Users that need attention; mended, the file goes back with batch add-users"},
		{"items", "Messages that were skipped or failed, each with its reason and what to do"},
		{"receipts", "What the latest verify of every user found"},
	} {
		var format string
		sub := &cobra.Command{Use: r[0] + " BATCH", Short: r[1], Args: cobra.ExactArgs(1)}
		sub.Flags().StringVar(&format, "format", "", "csv, json or html (a page to read and print), as the API writes it (csv, where --output is not given)")
		sub.RunE = func(cmd *cobra.Command, args []string) error {
			switch {
			case format == "" && (g.output == "csv" || !cmd.Flags().Changed("output")):
				format = "csv"
			case format == "" && g.output == "json":
				format = "json"
			case format != "" && !report.Format(format).Known():
				return usageError(errors.New("--format is csv, json or html"))
			}
			c, err := g.client()
			if err != nil {
				return err
			}
			if format != "" {
				return c.Report(cmd.Context(), args[0], r[0], format, g.out)
			}
			return g.reportRows(cmd, c, args[0], r[0])
		}
		cmd.AddCommand(sub)
	}
	return cmd
}

// reportRows writes a report as a table, or its rows one a line (ndjson).
func (g *global) reportRows(cmd *cobra.Command, c *client.Client, batch, kind string) error {
	var text bytes.Buffer
	if g.output == "ndjson" {
		if err := c.Report(cmd.Context(), batch, kind, "json", &text); err != nil {
			return err
		}
		var all struct{ Items []json.RawMessage }
		if err := json.Unmarshal(text.Bytes(), &all); err != nil {
			return fmt.Errorf("read the report: %w", err)
		}
		return emitList(g, all.Items, nil)
	}
	if err := c.Report(cmd.Context(), batch, kind, "csv", &text); err != nil {
		return err
	}
	rows, err := csv.NewReader(&text).ReadAll()
	if err != nil || len(rows) == 0 {
		return errors.Join(errors.New("the report is not CSV"), err)
	}
	columns := make([]column[[]string], len(rows[0]))
	for i, title := range rows[0] {
		columns[i] = column[[]string]{title, func(row []string) string { return row[i] }}
	}
	return emitList(g, rows[1:], columns)
}
