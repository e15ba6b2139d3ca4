package report

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Kind is which report.
type Kind string

// The reports.
const (
	Statistics Kind = "statistics"
	Errors     Kind = "errors"
	Items      Kind = "items"
	Receipts   Kind = "receipts"
)

// Kinds are all of them.
var Kinds = []Kind{Statistics, Errors, Items, Receipts}

// Format is how a report is written.
type Format string

// The formats.
const (
	CSV  Format = "csv"
	JSON Format = "json"
	HTML Format = "html" // a page to read and to print
)

// ContentType is the media type of f.
func (f Format) ContentType() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8"
	case HTML:
		return "text/html; charset=utf-8"
	}
	return "application/json"
}

// Known reports whether f is one of the formats.
func (f Format) Known() bool { return f == CSV || f == JSON || f == HTML }

// Head is what a report says of itself; a CSV has no room for it.
type Head struct {
	Report      Kind      `json:"report"`
	Batch       string    `json:"batch"`
	GeneratedAt time.Time `json:"generatedAt"`
}

// Row is one line of a report: its JSON form is its own, cells its CSV form, line its
// place on a page.
type Row interface {
	cells() []string
	line() line
}

// Write renders rows to w. An error of the sequence ends it and is returned; what
// was written until then is then no whole report.
func Write[R Row](w io.Writer, f Format, h Head, rows iter.Seq2[R, error]) error {
	out := bufio.NewWriterSize(w, 32<<10)
	var err error
	switch f {
	case CSV:
		err = writeCSV(out, h.Report, rows)
	case HTML:
		err = writePage(out, h, rows)
	default:
		err = writeJSON(out, h, rows)
	}
	if err != nil {
		return fmt.Errorf("write %s report: %w", h.Report, err)
	}
	return out.Flush()
}

func writeCSV[R Row](w io.Writer, k Kind, rows iter.Seq2[R, error]) error {
	out := csv.NewWriter(w)
	if err := out.Write(columns[k]); err != nil {
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := out.Write(row.cells()); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// writeJSON writes {"report":…,"batch":…,"generatedAt":…,"items":[…]}, a row a line.
func writeJSON[R Row](w io.Writer, h Head, rows iter.Seq2[R, error]) error {
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, `%s,"items":[`, head[:len(head)-1]); err != nil {
		return err
	}
	separator := "\n"
	for row, err := range rows {
		if err != nil {
			return err
		}
		line, err := json.Marshal(row)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s%s", separator, line); err != nil {
			return err
		}
		separator = ",\n"
	}
	_, err = io.WriteString(w, "\n]}\n")
	return err
}

// Cell makes text safe in a spreadsheet. LibreOffice passes over a line's end before a
// formula (measured with 7.4.7), Excel in some languages takes the wide forms too.
func Cell(s string) string {
	if first, _ := utf8.DecodeRuneInString(s); s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + s
	}
	return s
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func date(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// optional returns nil for the zero time: null in JSON, blank in CSV.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
