package csvimport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// encodingError is told of a file that is not in the encoding it should be in.
type encodingError struct {
	line   int
	reason string
}

func (e *encodingError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.reason) }

var (
	bomUTF8    = []byte("\xef\xbb\xbf")
	bomUTF16LE = []byte("\xff\xfe")
	bomUTF16BE = []byte("\xfe\xff")
	bomUTF32LE = []byte("\xff\xfe\x00\x00")
	bomUTF32BE = []byte("\x00\x00\xfe\xff")

	// What a workbook begins with: .xlsx, .ods and .numbers are zip archives, .xls is a
	// compound file.
	zipFile      = []byte("PK\x03\x04")
	compoundFile = []byte("\xd0\xcf\x11\xe0")
)

// text is a file as UTF-8.
type text struct {
	io.Reader
	fits *validator
}

// misread returns what did not fit, where the text was then read as what it looks like.
func (t *text) misread() *encodingError {
	if t == nil {
		return nil
	}
	return t.fits.misread
}

func validated(r io.Reader, from string) *text {
	v := &validator{from: from}
	return &text{transform.NewReader(r, v), v}
}

// decode returns r as UTF-8 without a byte order mark. The first byte that does not fit
// is its misread, or an *encodingError that ends it.
func decode(r io.Reader, name string) (*text, error) {
	in := bufio.NewReader(r)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	named, err := lookup(name)
	switch {
	case err != nil:
		return nil, err
	case bytes.HasPrefix(head, zipFile), bytes.HasPrefix(head, compoundFile):
		return nil, &encodingError{0, "the file is a workbook, not text: save it as CSV UTF-8 (comma delimited)"}
	case bytes.HasPrefix(head, bomUTF32LE), bytes.HasPrefix(head, bomUTF32BE):
		return nil, &encodingError{1, "the file is UTF-32: save it as UTF-8"}
	case bytes.HasPrefix(head, bomUTF8):
		_, err := in.Discard(len(bomUTF8))
		return validated(in, ""), err
	case bytes.HasPrefix(head, bomUTF16LE), bytes.HasPrefix(head, bomUTF16BE):
		utf16 := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
		return convert(in, utf16, "UTF-16"), nil
	case named != nil:
		return convert(in, named, name), nil
	default:
		return validated(in, ""), nil
	}
}

// lookup returns the encoding of that name; nil for UTF-8.
func lookup(name string) (encoding.Encoding, error) {
	if name == "" {
		return nil, nil
	}
	found, err := htmlindex.Get(name)
	if err != nil {
		found, err = ianaindex.IANA.Encoding(name)
	}
	if err != nil || found == nil || found == encoding.Replacement {
		return nil, &encodingError{0, fmt.Sprintf("encoding %q is not known: name one such as gb18030, windows-1252, big5 or shift_jis", name)}
	}
	if found == unicode.UTF8 {
		return nil, nil
	}
	return found, nil
}

// convert turns r into UTF-8. Decoders write U+FFFD for what they cannot read, which
// the validator then takes for an error.
func convert(r io.Reader, from encoding.Encoding, name string) *text {
	decoded := bufio.NewReader(transform.NewReader(r, from.NewDecoder()))
	if first, _, err := decoded.ReadRune(); err == nil && first != '\ufeff' {
		_ = decoded.UnreadRune() // an error of reading comes back with the next Read
	}
	return validated(decoded, name)
}

// sampleSize is how many bytes from the offending one on a guess is made from.
const sampleSize = 2048

// validator passes UTF-8 on. At anything else it stops, or takes it and all that comes
// after it for what it looks like.
type validator struct {
	from    string // what the text was converted from, "" for nothing
	lines   int    // ended so far
	column  int    // bytes of the line so far
	misread *encodingError
	as      transform.Transformer // converts what comes after that
}

// Reset does nothing: a validator is for one file.
func (v *validator) Reset() {}

// Transform implements transform.Transformer.
func (v *validator) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) && v.as == nil {
		r, size := rune(src[nSrc]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(src[nSrc:])
		}
		if bad := r == 0 || r == utf8.RuneError && (size == 1 || v.from != ""); bad {
			// Wait for the rest of the character, and for enough to guess from.
			if !atEOF && len(src)-nSrc < sampleSize {
				return nDst, nSrc, transform.ErrShortSrc
			}
			if err := v.offence(src[nSrc:]); v.as == nil {
				return nDst, nSrc, err
			}
			break
		}
		if nDst+size > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += copy(dst[nDst:], src[nSrc:nSrc+size])
		nSrc += size
		v.column += size
		if r == '\n' {
			v.lines, v.column = v.lines+1, 0
		}
	}
	if v.as != nil {
		d, s, err := v.as.Transform(dst[nDst:], src[nSrc:], atEOF)
		return nDst + d, nSrc + s, err
	}
	return nDst, nSrc, nil
}

// offence says what is wrong, and sets what the rest is read as where that can be guessed.
func (v *validator) offence(sample []byte) error {
	e := &encodingError{line: v.lines + 1}
	switch {
	case v.from != "":
		e.reason = fmt.Sprintf("byte %d of the line, counted in UTF-8, cannot be converted from %s: is it another encoding?", v.column+1, v.from)
	case sample[0] == 0:
		e.reason = fmt.Sprintf("byte %d of the line is 0x00, which no text holds; the file looks like UTF-16 without a byte order mark: save it as UTF-8", v.column+1)
	default:
		g := guess(sample)
		e.reason = fmt.Sprintf("byte %d of the line, 0x%02X, is not UTF-8; the file looks like %s: save it as UTF-8, or name its encoding (such as %s)",
			v.column+1, sample[0], g.what, g.name)
		if found, err := lookup(g.name); err == nil {
			v.misread, v.as = e, found.NewDecoder().Transformer
		}
	}
	return e
}
