package imapmail

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Modified UTF-7 (RFC 9051 appendix A.1, RFC 3501 section 5.1.3): the spelling of
// folder names on the wire.
var base64Name = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

var errName = errors.New("not modified UTF-7")

// encodeName spells a folder's name for the wire: printable ASCII only, whatever the
// name holds.
func encodeName(name string) string {
	var out strings.Builder
	var wide []rune
	flush := func() {
		if len(wide) == 0 {
			return
		}
		var bytes []byte
		for _, u := range utf16.Encode(wide) {
			bytes = append(bytes, byte(u>>8), byte(u))
		}
		out.WriteString("&" + base64Name.EncodeToString(bytes) + "-")
		wide = wide[:0]
	}
	for _, r := range name {
		if r < ' ' || r > '~' {
			wide = append(wide, r)
			continue
		}
		flush()
		if r == '&' {
			out.WriteString("&-")
		} else {
			out.WriteRune(r)
		}
	}
	flush()
	return out.String()
}

// decodeName is the inverse of encodeName.
func decodeName(s string) (string, error) {
	var out strings.Builder
	for len(s) > 0 {
		amp := strings.IndexByte(s, '&')
		if amp < 0 {
			amp = len(s)
		}
		for i := range amp {
			if s[i] < ' ' || s[i] > '~' {
				return "", errName
			}
		}
		out.WriteString(s[:amp])
		if s = s[amp:]; s == "" {
			break
		}
		dash := strings.IndexByte(s, '-')
		if dash < 0 {
			return "", errName
		}
		wide, err := decodeWide(s[1:dash])
		if err != nil {
			return "", err
		}
		out.WriteString(wide)
		s = s[dash+1:]
	}
	return out.String(), nil
}

func decodeWide(s string) (string, error) {
	if s == "" {
		return "&", nil
	}
	b, err := base64Name.DecodeString(s)
	if err != nil || len(b)%2 != 0 {
		return "", errName
	}
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i < len(b); i += 2 {
		units = append(units, uint16(b[i])<<8|uint16(b[i+1]))
	}
	wide := string(utf16.Decode(units))
	// Half a pair of surrogates is decoded as U+FFFD; a name may hold that by itself.
	own := 0
	for _, u := range units {
		if u == utf8.RuneError {
			own++
		}
	}
	if strings.Count(wide, string(utf8.RuneError)) != own {
		return "", errName
	}
	return wide, nil
}

// readableName makes a name out of whatever a server sent: UTF-8 or Latin-1 where it
// is not modified UTF-7.
func readableName(s string) string {
	if name, err := decodeName(s); err == nil {
		return name
	}
	if utf8.ValidString(s) {
		return s
	}
	runes := make([]rune, 0, len(s))
	for i := range len(s) {
		runes = append(runes, rune(s[i]))
	}
	return string(runes)
}
