package imapmail

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Folder names that are no modified UTF-7. Servers have them all the same: raw 8-bit
// bytes, shifts without end, letters shifted without need. Such a name can be opened
// only by the very bytes that the server lists.
//
//  1. In what the server says, an odd name is sealed: each of its bytes becomes one
//     character of a private range, behind a mark. go-imap reads that like any name.
//  2. When all folders are listed each sealed name is given a readable one that no
//     other folder has, and that is kept for all sessions of the account.
//  3. In a command the readable name is sealed again, and on its way out, past
//     go-imap, put back into the server's bytes.
//
// Both ways are functions of the name alone; the only state is the last listing.

const (
	// mark begins a sealed name: six bytes of UTF-16, which eight characters of base64
	// spell, whatever follows.
	mark      = "\uf6f5\uf6f6\uf6f5"
	sealBase  = 0xf700
	plainSign = '=' // begins a byte in two hex digits
)

// sealedHead is how every sealed name begins in a command.
var sealedHead = []byte(`"` + strings.TrimSuffix(encodeName(mark), "-"))

// odd reports whether name, as it was on the wire, cannot be made again from what it
// means, or means what no database takes.
func odd(name string) bool {
	meaning, err := decodeName(name)
	return err != nil || encodeName(meaning) != name || strings.Contains(meaning, mark) || strings.Contains(meaning, "\x00")
}

// seal makes a name of characters out of any bytes.
func seal(name string) string {
	var b strings.Builder
	b.WriteString(mark)
	for i := range len(name) {
		b.WriteRune(sealBase + rune(name[i]))
	}
	return b.String()
}

// unseal is the inverse of seal; ok is false for a name that is not sealed.
func unseal(name string) (bytes string, ok bool) {
	rest, ok := strings.CutPrefix(name, mark)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for _, r := range rest {
		if r < sealBase || r > sealBase+0xff {
			return "", false
		}
		b.WriteByte(byte(r - sealBase))
	}
	return b.String(), true
}

// understood is what a name on the wire is to go-imap and within a session, until the
// listing is whole.
func understood(name string) string {
	if odd(name) {
		return seal(name)
	}
	meaning, _ := decodeName(name)
	return meaning
}

// nameBook has the readable names of odd ones. It belongs to an account: a session
// that is opened in the middle of a pass lists nothing.
type nameBook struct {
	mu   sync.Mutex
	wire map[string]string // by readable name; of the last listing
}

// sealed returns how go-imap is to be told of a folder.
func (b *nameBook) sealed(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if wire, ok := b.wire[name]; ok {
		return seal(wire)
	}
	return name
}

// listed takes all names of a listing, some of them sealed, and returns for each
// sealed one how it is shown.
func (b *nameBook) listed(names []string, delimiter string) map[string]string {
	shown := readable(names, delimiter)
	wire := make(map[string]string, len(shown))
	for name, as := range shown {
		wire[as], _ = unseal(name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wire = wire
	return shown
}

// readable finds a name for each sealed one, part by part, so that a folder's
// children stay below it. A part is read as UTF-8 or Latin-1 where it can be; where
// another part would then look the same, in = and hex digits.
func readable(names []string, delimiter string) map[string]string {
	taken := map[string]bool{"INBOX": true}
	alike := map[string]string{} // how the folders above and the name read -> their bytes, "" for several
	var raws []string
	for _, name := range names {
		raw, ok := unseal(name)
		if ok {
			raws = append(raws, raw)
		} else {
			taken[foldInbox(name)] = true
			raw = encodeName(name)
		}
		end := 0
		for _, part := range split(raw, delimiter) {
			end += len(part)
			reads := readAs(raw[:end], delimiter, readPart)
			if seen, ok := alike[reads]; ok && seen != raw[:end] {
				alike[reads] = ""
			} else {
				alike[reads] = raw[:end]
			}
			end += len(delimiter)
		}
	}
	if len(raws) == 0 {
		return nil
	}
	slices.SortFunc(raws, cmp.Compare[string])
	out := make(map[string]string, len(raws))
	for _, raw := range raws {
		end := 0
		as := readAs(raw, delimiter, func(part string) string {
			end += len(part)
			reads := readAs(raw[:end], delimiter, readPart)
			end += len(delimiter)
			if alike[reads] == "" && odd(part) || foldInbox(reads) == "INBOX" {
				return spellBytes(part)
			}
			return readPart(part)
		})
		for taken[foldInbox(as)] {
			as += string(plainSign)
		}
		taken[foldInbox(as)] = true
		out[seal(raw)] = as
	}
	return out
}

func foldInbox(name string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	return name
}

func split(name, delimiter string) []string {
	if delimiter == "" {
		return []string{name}
	}
	return strings.Split(name, delimiter)
}

func readAs(name, delimiter string, read func(string) string) string {
	parts := split(name, delimiter)
	for i := range parts {
		parts[i] = read(parts[i])
	}
	return strings.Join(parts, delimiter)
}

// readPart reads one part of a name for people.
func readPart(part string) string {
	if name := readableName(part); !strings.ContainsFunc(name, unicode.IsControl) && !strings.Contains(name, mark) {
		return name
	}
	return spellBytes(part)
}

// spellBytes writes what is not plain ASCII as = and two hex digits a byte.
func spellBytes(part string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(part) {
		if c := part[i]; c < ' ' || c > '~' || c == plainSign || c == '&' {
			b.Write([]byte{plainSign, hex[c>>4], hex[c&15]})
			continue
		}
		b.WriteByte(part[i])
	}
	return b.String()
}

// outward is the connection as go-imap writes to it: sealed names leave it as the
// server's bytes. Only names pass here; mail is not written through go-imap.
type outward struct{ *conn }

func (o outward) Write(p []byte) (int, error) {
	if o.ahead.tell(p) {
		_, err := o.failure()
		return len(p), err
	}
	if !bytes.Contains(p, sealedHead) {
		return o.conn.Write(p)
	}
	if _, err := o.conn.Write(unsealAll(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// unsealAll puts the server's bytes in the place of the sealed names in a command.
func unsealAll(p []byte) []byte {
	var out []byte
	for {
		i := bytes.Index(p, sealedHead)
		if i < 0 {
			return append(out, p...)
		}
		end := bytes.Index(p[i+1:], []byte(`"`))
		if end < 0 {
			return append(out, p...)
		}
		end += i + 2
		name, err := decodeName(string(p[i+1 : end-1]))
		raw, ok := unseal(name)
		quoted, fits := quoteBytes(raw)
		if err != nil || !ok || !fits {
			quoted = string(p[i:end])
		}
		out = append(append(out, p[:i]...), quoted...)
		p = p[end:]
	}
}

// quoteBytes spells any bytes as a quoted string. Those that would end it, or the
// line, have no place in one (RFC 9051 section 4.3), and such a name is not opened.
func quoteBytes(s string) (string, bool) {
	if strings.ContainsAny(s, "\x00\r\n") {
		return "", false
	}
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(s) + `"`, true
}

// quoted is how a folder is named in a command of ours.
func (s *session) quoted(name string) (string, bool) {
	wire := s.onWire(name)
	if raw, ok := unseal(wire); ok {
		q, fits := quoteBytes(raw)
		return q, fits && len(q) <= 1000
	}
	return quote(encodeName(wire))
}
