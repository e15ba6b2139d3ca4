package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// at is a time as it is stored.
func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// timeInto scans what at stored.
type timeInto struct{ to *time.Time }

func (s timeInto) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*s.to = time.Time{}
	case int64:
		*s.to = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a time cannot be %T", src)
	}
	return nil
}

// spanInto scans a duration in microseconds.
type spanInto struct{ to *time.Duration }

func (s spanInto) Scan(src any) error {
	v, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a duration cannot be %T", src)
	}
	*s.to = time.Duration(v) * time.Microsecond
	return nil
}

// sealed is a secret as it is stored: none is NULL, which drivers do not make of a
// nil slice.
func sealed(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// jsonText is a value as it is stored in a column of JSON.
func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// jsonInto scans a column of JSON.
type jsonInto struct{ to any }

func (s jsonInto) Scan(src any) error {
	switch v := src.(type) {
	case string:
		return json.Unmarshal([]byte(v), s.to)
	case []byte:
		return json.Unmarshal(v, s.to)
	default:
		return fmt.Errorf("JSON cannot be %T", src)
	}
}

// listText is a list of names as it is stored.
func listText(names []string) string {
	if len(names) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(names) // strings always marshal
	return string(b)
}

// listInto scans what listText stored; an empty list is nil.
type listInto struct{ to *[]string }

func (s listInto) Scan(src any) error {
	var names []string
	if err := (jsonInto{&names}).Scan(src); err != nil {
		return err
	}
	if len(names) == 0 {
		names = nil
	}
	*s.to = names
	return nil
}

// rulesText is a batch's mapping rules as they are stored.
func rulesText(rules []migration.FolderRule) string {
	if len(rules) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(rules) // strings always marshal
	return string(b)
}

// rulesInto scans what rulesText stored; no rules are nil.
type rulesInto struct{ to *[]migration.FolderRule }

func (s rulesInto) Scan(src any) error {
	var rules []migration.FolderRule
	if err := (jsonInto{&rules}).Scan(src); err != nil {
		return err
	}
	if len(rules) == 0 {
		rules = nil
	}
	*s.to = rules
	return nil
}

// values returns "$from, ..., $(from+n-1)".
func values(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(from+i))
	}
	return b.String()
}

// assign returns "a = $from, b = $(from+1), ..." for columns written with commas.
func assign(columns string, from int) string {
	names := strings.Split(columns, ",")
	for i, n := range names {
		names[i] = strings.TrimSpace(n) + " = $" + strconv.Itoa(from+i)
	}
	return strings.Join(names, ", ")
}

// columnCount is the number of names in columns.
func columnCount(columns string) int { return strings.Count(columns, ",") + 1 }

const (
	totalColumns = `total_copied, total_adopted, total_redelivered, total_surplus, total_moved_at_source, total_flags_updated,
		total_deleted, total_kept_at_target, total_bytes`
	lastColumns = `last_folders, last_folders_done, last_seen, last_unchanged, last_copied, last_adopted, last_skipped, last_failed,
		last_redelivered, last_surplus, last_moved_at_source, last_flags_updated, last_deleted, last_kept_at_target, last_bytes, last_bytes_total`
)

// totalFields are the fields of t in the order of totalColumns.
func totalFields(t *migration.Totals) []*int64 {
	return []*int64{&t.Copied, &t.Adopted, &t.Redelivered, &t.Surplus, &t.MovedAtSource, &t.FlagsUpdated, &t.Deleted, &t.KeptAtTarget, &t.Bytes}
}

// lastFields are the fields of t in the order of lastColumns.
func lastFields(t *migration.Tally) []*int64 {
	return []*int64{
		&t.Folders, &t.FoldersDone, &t.Seen, &t.Unchanged, &t.Copied, &t.Adopted, &t.Skipped, &t.Failed,
		&t.Redelivered, &t.Surplus, &t.MovedAtSource, &t.FlagsUpdated, &t.Deleted, &t.KeptAtTarget, &t.Bytes, &t.BytesTotal,
	}
}

// numbers appends what fields point to, for a statement's arguments.
func numbers(args []any, fields []*int64) []any {
	for _, f := range fields {
		args = append(args, *f)
	}
	return args
}

// into appends fields themselves, for a Scan.
func into(dest []any, fields []*int64) []any {
	for _, f := range fields {
		dest = append(dest, f)
	}
	return dest
}
