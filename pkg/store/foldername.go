package store

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// escape begins a byte that a column of text may not hold: U+FDD0, which is no
// character and in no name.
const escape = "\uFDD0"

// folderText is a folder's name as it is stored. Names are a stranger's bytes (Latin-1,
// NUL), and PostgreSQL takes nothing but UTF-8 without NUL.
func folderText(name string) string {
	if utf8.ValidString(name) && !strings.Contains(name, "\x00") && !strings.Contains(name, escape) {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 || r == 0 || name[:n] == escape {
			for _, c := range []byte(name[:n]) {
				b.WriteString(escape + hex.EncodeToString([]byte{c}))
			}
		} else {
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}

// folderName is the name that folderText made text of.
func folderName(text string) string {
	head, rest, escaped := strings.Cut(text, escape)
	for escaped && len(rest) >= 2 {
		c, err := hex.DecodeString(rest[:2])
		if err != nil {
			return text // not ours
		}
		var more string
		more, rest, escaped = strings.Cut(rest[2:], escape)
		head += string(c) + more
	}
	return head
}

// plain is text for people that may come from strangers: what a column of text may
// not hold is replaced.
func plain(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
