package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/report"
)

// column is one of a table: its title and what it says of a T.
type column[T any] struct {
	title string
	of    func(T) string
}

// emitList writes rows in the form that was asked for.
func emitList[T any](g *global, rows []T, columns []column[T]) error {
	switch g.output {
	case "json":
		if rows == nil {
			rows = []T{}
		}
		return g.json(rows)
	case "ndjson":
		for _, r := range rows {
			if err := json.NewEncoder(g.out).Encode(r); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		return writeCSV(g, rows, columns)
	}
	w := tabwriter.NewWriter(g.out, 0, 0, 2, ' ', 0)
	line(w, columns, func(c column[T]) string { return c.title })
	for _, r := range rows {
		line(w, columns, func(c column[T]) string { return migration.Clean(c.of(r)) })
	}
	return w.Flush()
}

func line[T any](w *tabwriter.Writer, columns []column[T], cell func(column[T]) string) {
	for i, c := range columns {
		if i > 0 {
			_, _ = w.Write([]byte("\t"))
		}
		_, _ = fmt.Fprint(w, cell(c))
	}
	_, _ = w.Write([]byte("\n"))
}

func writeCSV[T any](g *global, rows []T, columns []column[T]) error {
	w := csv.NewWriter(g.out)
	record := make([]string, len(columns))
	for i, c := range columns {
		record[i] = c.title
	}
	if err := w.Write(record); err != nil {
		return err
	}
	for _, r := range rows {
		for i, c := range columns {
			record[i] = report.Cell(c.of(r))
		}
		if err := w.Write(record); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// emitOne writes one thing: its columns below each other in a table.
func emitOne[T any](g *global, v T, columns []column[T]) error {
	switch g.output {
	case "json":
		return g.json(v)
	case "ndjson", "csv":
		return emitList(g, []T{v}, columns)
	}
	w := tabwriter.NewWriter(g.out, 0, 0, 2, ' ', 0)
	for _, c := range columns {
		if text := c.of(v); text != "" {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", c.title, migration.Clean(text))
		}
	}
	return w.Flush()
}

func (g *global) json(v any) error {
	e := json.NewEncoder(g.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func number[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

func when(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// size spells bytes for people.
func size(n int64) string {
	if n < 1000 {
		return number(n) + " B"
	}
	v, unit := float64(n), 0
	for ; v >= 999.95 && unit < 5; unit++ {
		v /= 1000
	}
	return fmt.Sprintf("%.1f %cB", v, " kMGTP"[unit])
}
