package migration

import (
	"encoding/base64"
	"slices"
	"strings"
)

// shortSecret is a length below which a secret is taken out only where it stands
// alone: "a" or "no" as a password must not make stars of every word that has one.
const shortSecret = 4

// Redact returns a stranger's words, cleaned as by Clean but not cut, with every form
// of s in them made unreadable: a server may repeat what it was sent.
//
//  1. As it is, in upper or lower case, with any of its bytes percent-encoded or
//     after a backslash, as in a URL or a quoted string.
//  2. In base64 of either alphabet, also of something longer that holds it, such as
//     the answers of SASL PLAIN, LOGIN and XOAUTH2: the whole word goes.
//
// A secret of fewer than four bytes counts only where it stands alone: between
// characters that are neither letters nor digits, or as a whole field of what was
// encoded. Whoever chose an ordinary word for a password sees that word redacted.
func (s Secret) Redact(text string) string {
	text = printable(text)
	if s.value == "" {
		return text
	}
	text = s.redactEncoded(text)
	text = redactPlain(text, s.value)
	if again := printable(s.value); again != s.value && again != "" {
		text = redactPlain(text, again) // as the cleaning left it
	}
	return text
}

// redactPlain replaces every place at which text holds the secret as in step 1.
func redactPlain(text, secret string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		n := spells(text[i:], secret)
		if n == 0 || len(secret) < shortSecret && !alone(text, i, i+n) {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString(redacted)
		i += n
	}
	return out.String()
}

// spells tells how many bytes at the beginning of text spell the secret, the most of
// what they can be read as; 0: they do not.
func spells(text, secret string) int {
	ends := []int{0} // ascending: after the bytes of the secret until here
	var next []int
	for i := range len(secret) {
		next = next[:0]
		for _, at := range ends {
			for _, n := range spellsByte(text[at:], secret[i]) {
				if n > 0 && !slices.Contains(next, at+n) {
					next = append(next, at+n)
				}
			}
		}
		if len(next) == 0 {
			return 0
		}
		ends, next = next, ends
	}
	return slices.Max(ends)
}

// spellsByte tells how long a spelling of one byte the text begins with: as itself,
// and escaped; 0: with none.
func spellsByte(text string, want byte) (lengths [2]int) {
	if text == "" {
		return lengths
	}
	if lower(text[0]) == lower(want) || text[0] == '+' && want == ' ' {
		lengths[0] = 1
	}
	switch {
	case text[0] == '\\' && len(text) > 1 && text[1] == want:
		lengths[1] = 2
	case text[0] == '%' && len(text) > 2:
		high, ok1 := hexDigit(text[1])
		low, ok2 := hexDigit(text[2])
		if ok1 && ok2 && lower(high<<4|low) == lower(want) {
			lengths[1] = 3
		}
	}
	return lengths
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}

func hexDigit(b byte) (byte, bool) {
	switch b = lower(b); {
	case b >= '0' && b <= '9':
		return b - '0', true
	case b >= 'a' && b <= 'f':
		return b - 'a' + 10, true
	}
	return 0, false
}

// alone reports whether text[from:to] has no letter, digit or part of one beside it.
func alone(text string, from, to int) bool {
	return (from == 0 || !wordByte(text[from-1])) && (to == len(text) || !wordByte(text[to]))
}

func wordByte(b byte) bool {
	b = lower(b)
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 0x80
}

// redactEncoded replaces the words of text that hold the secret as in step 2.
func (s Secret) redactEncoded(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && base64Byte(text[end]) {
			end++
		}
		if end == i {
			out.WriteByte(text[i])
			i++
			continue
		}
		if s.encodedIn(text[i:end]) {
			out.WriteString(redacted)
		} else {
			out.WriteString(text[i:end])
		}
		for i = end; i < len(text) && text[i] == '='; i++ {
			out.WriteByte('=') // padding is no secret, nor is the sign of an assignment
		}
	}
	return out.String()
}

func base64Byte(b byte) bool {
	return wordByte(b) && b < 0x80 || b == '+' || b == '/' || b == '-' || b == '_'
}

// encodedIn reports whether a word is base64 that holds the secret. What stands before
// the base64 without a space, such as a path, shifts its groups of four.
func (s Secret) encodedIn(word string) bool {
	word = strings.NewReplacer("-", "+", "_", "/").Replace(word)
	for shift := range min(4, len(word)) {
		digits := word[shift:]
		if len(digits)%4 == 1 {
			digits = digits[:len(digits)-1] // half a byte, of a blob that was cut off
		}
		plain, err := base64.RawStdEncoding.DecodeString(digits)
		if err != nil {
			continue
		}
		if len(s.value) >= shortSecret {
			if holds(string(plain), s.value) {
				return true
			}
			continue
		}
		for _, field := range strings.FieldsFunc(string(plain), func(r rune) bool { return r <= ' ' }) {
			if shift == 0 && strings.EqualFold(field, s.value) {
				return true
			}
		}
	}
	return false
}

func holds(text, secret string) bool {
	for i := range len(text) {
		if spells(text[i:], secret) > 0 {
			return true
		}
	}
	return false
}
