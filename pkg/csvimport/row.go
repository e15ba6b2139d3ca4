package csvimport

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a cell in bytes: more than any server takes.
const (
	maxCell  = 1024
	maxLocal = 64  // of an address before the @, RFC 5321 section 4.5.3.1.1
	maxHost  = 255 // after it
	maxLabel = 63
)

// blank says that nothing is in any of the cells.
func blank(record []string) bool {
	for _, cell := range record {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

// cells returns the record as a Row, and notes what is wrong with each cell.
func (s *scanner) cells(line int, record []string) Row {
	row := Row{Line: line}
	for i, cell := range record {
		c := s.header.at[i]
		if c == nil {
			continue
		}
		if !c.secret {
			cell = unescape(cell)
		}
		// Cloned: a cell is a part of its whole record, password and all.
		c.put(&row, strings.Clone(cell))
		reason := c.check(cell)
		if reason == "" && c.name == emailAddress {
			reason = s.twice(row)
		}
		if reason != "" {
			s.problems.add(line, c.name, reason)
		}
	}
	return row
}

// unescape takes off the apostrophe that keeps a spreadsheet from reading a formula, as
// our reports write it. Passwords are never written there, and keep theirs.
func unescape(cell string) string {
	rest, escaped := strings.CutPrefix(cell, "'")
	if first, _ := utf8.DecodeRuneInString(rest); escaped && rest != "" && strings.ContainsRune("=+-@＝＋－＠", first) {
		return rest
	}
	return cell
}

// twice says at which line the row's user was before, or "".
func (s *scanner) twice(row Row) string {
	key := strings.ToLower(row.EmailAddress)
	if first, twice := s.seen[key]; twice {
		return fmt.Sprintf("the same user as in line %d", first)
	}
	s.seen[key] = row.Line
	return ""
}

// addressReason says what is wrong with an address, or "". It takes what mail
// systems hand out: a dot-atom and a host name (RFC 5321 section 4.1.2), both also
// with letters beyond ASCII (RFC 6531).
func addressReason(s string) string {
	switch {
	case s == "":
		return "empty: give the address of the mailbox"
	case strings.TrimSpace(s) != s:
		return "a space before or after the address"
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "not an address: there is no @"
	}
	local, host := s[:at], s[at+1:]
	switch {
	case local == "" || len(local) > maxLocal:
		return fmt.Sprintf("not an address: before the @ must be 1 to %d bytes", maxLocal)
	case strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, ".."):
		return "not an address: a dot begins or ends what is before the @, or follows a dot"
	case strings.ContainsFunc(local, notLocal):
		return "not an address: a character before the @ does not belong there"
	case host == "" || len(host) > maxHost:
		return fmt.Sprintf("not an address: after the @ must be 1 to %d bytes", maxHost)
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > maxLabel || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") || strings.ContainsFunc(label, notHost) {
			return "not an address: after the @ must be a domain such as example.com"
		}
	}
	return ""
}

func notLocal(r rune) bool {
	if r >= utf8.RuneSelf {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
	}
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r))
}

func notHost(r rune) bool {
	return r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
}

// loginReason is NameReason of a name that must be there.
func loginReason(s string) string {
	if s == "" {
		return "empty: give the login name at the source"
	}
	return NameReason(s)
}

// NameReason says what is wrong with a login name, or "".
func NameReason(s string) string {
	if strings.TrimSpace(s) != s {
		return "a space before or after the name"
	}
	return textReason(s)
}

func textReason(s string) string {
	switch {
	case len(s) > maxCell:
		return fmt.Sprintf("longer than %s bytes", thousands(maxCell))
	case strings.ContainsFunc(s, unicode.IsControl):
		return "a control character, such as a tab or a line end, in the cell"
	case strings.ContainsRune(s, utf8.RuneError):
		return damaged
	}
	return ""
}

// secretReason lets through whatever can be sent as a password.
func secretReason(s string) string {
	switch {
	case len(s) > maxCell:
		return fmt.Sprintf("longer than %s bytes", thousands(maxCell))
	case strings.ContainsAny(s, "\r\n"):
		return "a line end in the cell"
	case strings.ContainsRune(s, utf8.RuneError):
		return damaged
	}
	return ""
}

const damaged = "the character U+FFFD: an earlier conversion has damaged the cell"
