package imapmail

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// status is a status response (RFC 9051 section 7.1): tagged, or untagged where tag
// is "*".
type status struct {
	tag  string
	kind string // OK, NO, BAD, BYE or PREAUTH
	code string // upper case, "" without
	args string // of the code
	text string
	// hush is what the connection was opened with: a server may say it again.
	hush migration.Secret
}

// words are the server's own, for a reason.
func (s status) words() string {
	if s.code == "" || s.code == "CAPABILITY" {
		return s.kind + " " + s.hush.Redact(s.text)
	}
	return s.kind + " " + s.hush.Redact("["+strings.TrimSpace(s.code+" "+s.args)+"] "+s.text)
}

// status is parseStatus, of this connection's server.
func (c *conn) status(line []byte) (status, bool) {
	s, ok := parseStatus(line)
	s.hush = c.hush
	return s, ok
}

// parseStatus reads a status response; ok is false for any other.
func parseStatus(line []byte) (s status, ok bool) {
	if !isStatusLine(line) {
		return status{}, false
	}
	tag, rest, _ := strings.Cut(string(trimEOL(line)), " ")
	kind, rest, _ := strings.Cut(rest, " ")
	s = status{tag: tag, kind: strings.ToUpper(kind)}
	rest = strings.TrimLeft(rest, " ")
	if code, after, found := strings.Cut(strings.TrimPrefix(rest, "["), "]"); found && strings.HasPrefix(rest, "[") {
		// A flag in PERMANENTFLAGS may hold the bracket.
		if at := strings.Index(rest, ")]"); at >= 0 && strings.Contains(code, "(") {
			code, after = rest[1:at+1], rest[at+2:]
		}
		name, args, _ := strings.Cut(code, " ")
		s.code, s.args, rest = strings.ToUpper(name), args, strings.TrimLeft(after, " ")
	}
	s.text = rest
	return s, true
}

// isStatusLine is parseStatus's answer without its work.
func isStatusLine(line []byte) bool {
	_, rest, found := bytes.Cut(line, []byte{' '})
	if !found {
		return false
	}
	for _, kind := range []string{"OK", "NO", "BAD", "BYE", "PREAUTH"} {
		if len(rest) >= len(kind) && strings.EqualFold(string(rest[:len(kind)]), kind) &&
			(len(rest) == len(kind) || rest[len(kind)] <= ' ') {
			return true
		}
	}
	return false
}

// isFetch reports whether line begins "* n FETCH".
func isFetch(line []byte) bool {
	kind, numbered := untagged(line)
	return numbered && kind == "FETCH"
}

// untagged returns the type of an untagged response in upper case, and whether a
// number stands before it.
func untagged(line []byte) (kind string, numbered bool) {
	rest, found := bytes.CutPrefix(line, []byte("* "))
	if !found {
		return "", false
	}
	word, rest, _ := bytes.Cut(rest, []byte{' '})
	if len(word) > 0 && word[0] >= '0' && word[0] <= '9' {
		numbered = true
		word, _, _ = bytes.Cut(rest, []byte{' '})
	}
	return strings.ToUpper(string(trimEOL(word))), numbered
}

// token is one word of a response: an atom, a string, or a parenthesis.
type token struct {
	value      string
	start, end int  // in the text
	paren      byte // '(' or ')', 0 for a word
	quoted     bool // a quoted string or literal: never NIL
	open       bool // a literal that follows the text
	literal8   bool // a literal marked with "~" (RFC 3516)
}

// tokens splits text into words. Literals may stand in it whole; one announced at
// its very end is a token that is open. A section in brackets belongs to its atom.
func tokens(text []byte) []token {
	var out []token
	for i := 0; i < len(text); {
		switch b := text[i]; {
		case b == ' ' || b == '\r' || b == '\n':
			i++
		case b == '(' || b == ')':
			out = append(out, token{value: string(b), start: i, end: i + 1, paren: b})
			i++
		case b == '"':
			t := quotedToken(text, i)
			out = append(out, t)
			i = t.end
		case b == '{' || b == '~' && i+1 < len(text) && text[i+1] == '{':
			t := literalToken(text, i)
			out = append(out, t)
			i = t.end
		default:
			end := atomEnd(text, i)
			out = append(out, token{value: string(text[i:end]), start: i, end: end})
			i = end
		}
	}
	return out
}

func quotedToken(text []byte, i int) token {
	t := token{start: i, quoted: true}
	var value []byte
	for i++; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		value = append(value, text[i])
	}
	t.value, t.end = string(value), min(i+1, len(text))
	return t
}

func literalToken(text []byte, i int) token {
	eol := bytes.IndexByte(text[i:], '\n')
	if eol >= 0 {
		if at, size, ok := literalMark(text[i : i+eol+1]); ok && at <= 1 {
			from := i + eol + 1
			if int64(len(text)-from) < size || from == len(text) {
				return token{start: i, end: len(text), quoted: true, open: true, literal8: at == 1}
			}
			return token{value: string(text[from : from+int(size)]), start: i, end: from + int(size), quoted: true, literal8: at == 1}
		}
	}
	end := max(atomEnd(text, i), i+1)
	return token{value: string(text[i:end]), start: i, end: end}
}

func atomEnd(text []byte, i int) int {
	section := false
	for ; i < len(text); i++ {
		switch b := text[i]; {
		case b == '\r' || b == '\n':
			return i
		case section:
			section = b != ']'
		case b == '[':
			section = bytes.IndexByte(text[i:], ']') > 0
		case b == ' ' || b == '(' || b == ')' || b == '"':
			return i
		}
	}
	return i
}

// value returns the index after the value that begins at toks[i]: one word, or a
// list with all that is in it.
func valueEnd(toks []token, i int) int {
	depth := 0
	for ; i < len(toks); i++ {
		switch toks[i].paren {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth <= 0 {
			return i + 1
		}
	}
	return i
}

// quote spells s as a quoted string; ok is false where it cannot be one.
func quote(s string) (string, bool) {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c > '~':
			return "", false
		case c == '"' || c == '\\':
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String(), len(s) <= 1000
}

func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}
