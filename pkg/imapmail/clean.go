package imapmail

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The cleaner: go-imap gives up a connection over one token that it does not expect.
// What servers are known to send is put into a form that it reads, or left out where
// nothing is lost by that.

// unwanted reports whether a response is one that nobody here asks for. Among them
// are those that go-imap does not know, and some that it expands without bounds.
func unwanted(line []byte) bool {
	if len(line) > 0 && line[0] == '+' {
		return true // no command sent through go-imap waits for one
	}
	if !bytes.HasPrefix(line, []byte("* ")) {
		return false
	}
	switch kind, _ := untagged(line); kind {
	case "OK", "NO", "BAD", "BYE", "FLAGS", "LIST", "STATUS", "NAMESPACE", "EXISTS", "FETCH":
		return false
	}
	return true
}

// named reports whether a response tells folder names: short, and needed whole.
func named(line []byte) bool {
	switch kind, numbered := untagged(line); kind {
	case "LIST", "STATUS", "NAMESPACE":
		return !numbered
	}
	return false
}

// clean returns what go-imap is to see of a line; first is false for what follows a
// literal.
func clean(line []byte, first, fetch bool) []byte {
	switch {
	case fetch:
		return cleanFetch(line, first)
	case !first:
		return line
	}
	if s, ok := parseStatus(line); ok {
		return []byte(cleanStatus(s) + "\r\n")
	}
	switch kind, _ := untagged(line); kind {
	case "LIST":
		return cleanList(line)
	case "STATUS":
		return cleanStatusName(line)
	case "NAMESPACE":
		return cleanNamespace(line)
	case "FLAGS":
		toks := tokens(line)
		return edits{}.flags(toks, 2).apply(line)
	}
	return line
}

// edit replaces text[start:end].
type edit struct {
	start, end int
	with       string
}

type edits []edit

func (e edits) apply(text []byte) []byte {
	if len(e) == 0 {
		return text
	}
	var out []byte
	at := 0
	for _, x := range e {
		x.start = max(x.start, at)
		out = append(append(out, text[at:x.start]...), x.with...)
		at = x.end
	}
	return append(out, text[at:]...)
}

// flags mends the flag list at toks[i].
func (e edits) flags(toks []token, i int) edits {
	if i >= len(toks) {
		return e
	}
	list := toks[i:valueEnd(toks, i)]
	if len(list) == 1 && list[0].paren == 0 && strings.EqualFold(list[0].value, "NIL") {
		return append(e, edit{list[0].start, list[0].end, "()"})
	}
	bad := false
	var keep []string
	for _, t := range list {
		if t.paren != 0 {
			continue
		}
		if t.quoted || !readableFlag(t.value) {
			bad = true
			continue
		}
		keep = append(keep, t.value)
	}
	if !bad {
		return e
	}
	return append(e, edit{list[0].start, list[len(list)-1].end, "(" + strings.Join(keep, " ") + ")"})
}

// readableFlag is the flag that go-imap can read: one that no server takes in an
// APPEND is lost nowhere.
func readableFlag(s string) bool {
	s = strings.TrimPrefix(s, `\`)
	return s == "*" || s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`(){%*"\]`, r)
	})
}

// cleanFetch mends the items of a FETCH response.
func cleanFetch(line []byte, first bool) []byte {
	toks := tokens(line)
	i := 0
	if first {
		i = 4 // "*", the number, "FETCH", "("
	}
	var e edits
	for i < len(toks) && toks[i].paren == 0 {
		end := min(valueEnd(toks, i+1), len(toks))
		if i+1 >= len(toks) {
			break
		}
		e = e.item(toks, i, end)
		i = end
	}
	return e.apply(line)
}

// item mends one item: its name is toks[i], its value ends before toks[end].
func (e edits) item(toks []token, i, end int) edits {
	value := toks[i+1]
	switch name := strings.ToUpper(toks[i].value); {
	case name == "FLAGS":
		return e.flags(toks, i+1)
	case name == "INTERNALDATE":
		date, ok := readDate(value.value)
		if !ok {
			return append(e, leaveOut(toks, i, end))
		}
		if date != value.value {
			e = append(e, edit{value.start, value.end, `"` + date + `"`})
		}
		return e
	case strings.HasPrefix(name, "BODY["), strings.HasPrefix(name, "BINARY["):
		// RFC 3516 section 4.2: literal8; go-imap reads it for BINARY alone.
		if value.literal8 && strings.HasPrefix(name, "BODY[") {
			e = append(e, edit{value.start, value.start + 1, ""})
		}
		return e
	case name == "UID", name == "MODSEQ", name == "RFC822.SIZE":
		return e
	}
	if value.open {
		return e
	}
	return append(e, leaveOut(toks, i, end))
}

func leaveOut(toks []token, i, end int) edit {
	if end < len(toks) && toks[end].paren == 0 {
		return edit{toks[i].start, toks[end].start, ""}
	}
	if i > 0 {
		return edit{toks[i-1].end, toks[end-1].end, ""}
	}
	return edit{0, toks[end-1].end, ""} // the space after a literal goes too
}

const dateLayout = "_2-Jan-2006 15:04:05 -0700"

// readDate returns an INTERNALDATE in the form that RFC 9051 gives it.
func readDate(s string) (string, bool) {
	for _, layout := range []string{dateLayout, "_2-Jan-2006 15:04:05 MST", "_2-Jan-2006 15:04:05", time.RFC1123Z} {
		t, err := time.Parse(layout, s)
		if err != nil || t.IsZero() {
			continue
		}
		if layout == dateLayout {
			return s, true
		}
		return t.Format(dateLayout), true
	}
	return "", false
}

// cleanStatus rebuilds a status response with the codes that are needed: go-imap
// compares them in upper case, and some it would act upon.
func cleanStatus(s status) string {
	code := ""
	switch {
	case s.kind == "BYE":
		return "* BYE farewell"
	case s.tag != "*":
		if slices.Contains([]string{"CAPABILITY", "APPENDUID", "COPYUID"}, s.code) || !readableFlag(s.code) {
			break
		}
		code = s.code
	case s.code == "PERMANENTFLAGS":
		toks := tokens([]byte(s.args))
		code = s.code + " " + string(edits{}.flags(toks, 0).apply([]byte(s.args)))
	case s.code == "UIDNEXT", s.code == "UIDVALIDITY":
		if n, ok := number(s.args); ok {
			code = s.code + " " + strconv.FormatUint(uint64(n), 10)
		}
	case s.code == "HIGHESTMODSEQ":
		if n, err := strconv.ParseUint(s.args, 10, 64); err == nil {
			code = s.code + " " + strconv.FormatUint(n, 10)
		}
	case s.code == "CLOSED":
		code = s.code
	}
	if code != "" {
		code = " [" + code + "]"
	}
	kind := s.kind
	if kind == "PREAUTH" {
		kind = "OK"
	}
	return s.tag + " " + kind + code + " " + strings.TrimSpace(s.text)
}

// cleanList mends "* LIST (attributes) delimiter name".
func cleanList(line []byte) []byte {
	toks := tokens(line)
	var e edits
	e = e.flags(toks, 2)
	i := valueEnd(toks, 2)
	if i+1 >= len(toks) {
		return line
	}
	if d := toks[i]; d.quoted && len(d.value) != 1 {
		e = append(e, edit{d.start, d.end, "NIL"})
	}
	return e.name(toks[i+1]).apply(line)
}

func cleanStatusName(line []byte) []byte {
	toks := tokens(line)
	if len(toks) < 3 {
		return line
	}
	return edits{}.name(toks[2]).apply(line)
}

// name seals a folder's name that is no modified UTF-7.
func (e edits) name(t token) edits {
	if !odd(t.value) {
		return e
	}
	return append(e, edit{t.start, t.end, `"` + encodeName(seal(t.value)) + `"`})
}

// cleanNamespace writes an empty delimiter as the NIL that it means.
func cleanNamespace(line []byte) []byte {
	var e edits
	toks := tokens(line)
	for i := 1; i < len(toks)-1; i++ {
		if toks[i].quoted && toks[i].value == "" && toks[i-1].quoted && toks[i-1].paren == 0 {
			e = append(e, edit{toks[i].start, toks[i].end, "NIL"})
		}
	}
	return e.apply(line)
}
