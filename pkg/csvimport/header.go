package csvimport

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// ignored are the columns that an error report adds to its rows; it can be handed
// back as it is.
var ignored = map[string]bool{"Code": true, "Reason": true, "Remedy": true}

// header is the file's first record.
type header struct {
	width    int
	at       []*column // by position; nil for one that is not read
	complete bool      // the required columns are all there, or what was meant for them
}

// read takes the header. It returns false where reading on would only make noise.
func (h *header) read(line int, record []string, o Options, problems *Problems) (goOn bool) {
	h.width = len(record)
	if reason := notHeader(record, o.Kind); reason != "" {
		problems.add(line, "", reason)
		return false
	}
	h.at = make([]*column, len(record))
	place := map[string]int{}
	for i, name := range record {
		if first, twice := place[name]; twice && name != "" {
			problems.add(line, quoted(name), fmt.Sprintf("the column is there twice (columns %d and %d)", first, i+1))
			continue
		}
		place[name] = i + 1
		h.at[i] = o.Kind.find(name)
	}
	missing := map[string]bool{}
	for _, c := range columns[o.Kind] {
		missing[c.name] = place[c.name] == 0
	}
	for i, name := range record {
		if h.at[i] == nil && !ignored[name] && place[name] == i+1 {
			h.unknown(line, i, name, o, missing, problems)
		}
	}
	h.complete = true
	for _, c := range columns[o.Kind] {
		// What a near miss explains is not missing.
		if c.required && missing[c.name] && !(o.PasswordOptional && c.name == "Password") {
			h.complete = false
			problems.add(line, c.name, "the column is missing")
		}
	}
	return true
}

// unknown notes a column that is none of ours, with the one that was probably meant;
// that one is then read from it, so that one typing error does not hide what is wrong
// with the rows.
func (h *header) unknown(line, i int, name string, o Options, missing map[string]bool, problems *Problems) {
	meant, sure := nearMiss(name, o.Kind, missing)
	other := o.Kind.elsewhere(name)
	shown := quoted(name)
	switch {
	case name == "":
		problems.add(line, "", fmt.Sprintf("column %d has no name: delete it, or give it one", i+1))
	case other != "" && !o.AllowUnknownColumns:
		problems.add(line, name, fmt.Sprintf("no column of a batch of type %s, but of type %s: remove it, or give the batch that type", o.Kind, other))
	case meant != nil && other == "" && (sure || meant.required || !o.AllowUnknownColumns):
		reason := fmt.Sprintf("unknown column: did you mean %s?", meant.name)
		if strings.TrimSpace(name) == meant.name {
			reason = fmt.Sprintf("unknown column: did you mean %s, without a space before or after it?", meant.name)
		}
		problems.add(line, shown, reason)
		missing[meant.name] = false
		h.at[i] = meant // its cells are looked through all the same
	case !o.AllowUnknownColumns:
		if shown == "" {
			problems.add(line, "", fmt.Sprintf("column %d has a name of %s bytes: the first line must name the columns; is the encoding right?", i+1, thousands(int64(len(name)))))
			return
		}
		problems.add(line, shown, "unknown column: remove it, or allow unknown columns (--allow-unknown-columns)")
	}
}

// maxName is how long a column's name may be to be repeated. What is longer is no name,
// but a part of the file, passwords and all: read in a wrong encoding, for one.
const maxName = 64

func quoted(name string) string {
	if len(name) > maxName {
		return ""
	}
	return migration.Clean(name)
}

// separator returns what the first line is separated by, 0 where that cannot be told,
// and what is wrong with that, or "".
func separator(line string) (comma rune, reason string) {
	if strings.HasPrefix(strings.ToLower(line), "sep=") {
		return 0, `the first line is "sep=", which only Excel knows: delete it`
	}
	if strings.ContainsAny(line, ",@") {
		return ',', ""
	}
	for _, sep := range []struct {
		char rune
		name string
	}{{';', "semicolons"}, {'\t', "tabs"}, {'|', "vertical bars"}} {
		if strings.ContainsRune(line, sep.char) {
			return sep.char, "the file is separated by " + sep.name + ": save it with commas as separator"
		}
	}
	return ',', ""
}

// notHeader says why the first record cannot be a header at all, or "".
func notHeader(record []string, k Kind) string {
	for _, cell := range record {
		if strings.ContainsAny(cell, "\r\n") {
			return "a line ends within the header: end lines with LF or CRLF, and close every quote"
		}
		if strings.Contains(cell, "@") {
			return k.headerHint() + "; it looks like a row"
		}
	}
	return ""
}

// nearMiss returns which of the missing columns name was probably meant to be, or
// nil. It is sure where only case, spaces or punctuation differ.
func nearMiss(name string, k Kind, missing map[string]bool) (meant *column, sure bool) {
	plain := plainForm(name)
	best := 3 // letters of difference are too many
	for i := range columns[k] {
		c := &columns[k][i]
		if plain == "" || !missing[c.name] {
			continue
		}
		d := distance(plain, plainForm(c.name))
		if d == 0 {
			return c, true
		}
		if slices.Contains(c.aliases, plain) {
			d = 0
		}
		if d < best && d*3 < len(plain) {
			meant, best = c, d
		}
	}
	return meant, false
}

// plainForm is name in lower case, its letters and digits alone.
func plainForm(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// distance is how many letters have to be added, dropped or changed (Levenshtein).
// Long names are far from everything.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 40 || len(y) > 40 {
		return max(len(x), len(y))
	}
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		corner := row[0]
		row[0] = i + 1
		for j := range y {
			change := corner
			if x[i] != y[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, corner+1)
		}
	}
	return row[len(y)]
}
