package mailsync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Servers do not tell how long a name may be (Dovecot: 255 bytes of a path or of a
// part of it, by format, in modified UTF-7; Cyrus: 490), nor which characters it may have.
// So a name is tried as it is, and where it is refused shortened or spelled otherwise.
const (
	longName  = 100 // bytes in UTF-8; shorter ones were not refused for their length
	shortPart = 40
	fileName  = 255 // bytes on the wire: what file systems take, and servers that keep a folder as a file
)

// wireLength is how many bytes name has in modified UTF-7 (RFC 3501, section 5.1.3).
func wireLength(name string) int {
	n, encoded := 0, 0 // bytes in UTF-16 that are written together
	end := func() {
		if encoded > 0 {
			n += len("&-") + (encoded*8+5)/6
		}
		encoded = 0
	}
	for _, r := range name {
		switch {
		case r == '&':
			end()
			n += len("&-")
		case r >= ' ' && r <= '~':
			end()
			n++
		default:
			encoded += 2 * utf16.RuneLen(r)
		}
	}
	end()
	return n
}

// shorten returns a name that any server takes for target, where the source folder of
// path goes: the beginning of its last part and a digest of the source's path, so that no
// two become one, below the same parent where that one is short itself.
func shorten(target string, path []string, naming mailbox.Naming) string {
	sum := sha256.Sum256([]byte(pathKey(path)))
	parent, last := naming.Prefix, strings.TrimPrefix(target, naming.Prefix)
	if at := strings.LastIndex(target, naming.Delimiter); naming.Delimiter != "" && at >= len(naming.Prefix) {
		parent, last = target[:at+len(naming.Delimiter)], target[at+len(naming.Delimiter):]
	}
	for len(last) > shortPart {
		_, size := utf8.DecodeLastRuneInString(last)
		last = last[:len(last)-size]
	}
	last = strings.TrimRight(last, " ") + "~" + hex.EncodeToString(sum[:4])
	if name := parent + last; len(name) <= longName {
		return name
	}
	return naming.Prefix + last
}

// spellPlainly returns target in letters, digits, spaces, - and _; other characters are
// written as = and two hex digits a byte. Servers refuse some in names and do not tell which
// (Dovecot with a maildir: the dot, and a ~ at the beginning).
func spellPlainly(target string, naming mailbox.Naming) string {
	var b strings.Builder
	rest, prefixed := strings.CutPrefix(target, naming.Prefix)
	if prefixed {
		b.WriteString(naming.Prefix)
	}
	for len(rest) > 0 {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case naming.Delimiter != "" && strings.HasPrefix(rest, naming.Delimiter):
			size = len(naming.Delimiter)
			b.WriteString(naming.Delimiter)
		case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsDigit(r), strings.ContainsRune(" -_", r):
			b.WriteRune(r)
		default:
			for _, c := range []byte(rest[:size]) {
				fmt.Fprintf(&b, "=%02X", c)
			}
		}
		rest = rest[size:]
	}
	return b.String()
}

// otherNames are the names that are tried where a server refuses target, in order: no two
// targets have one in common.
func otherNames(target string, path []string, naming mailbox.Naming) []string {
	plain := spellPlainly(target, naming)
	if len(target) > longName {
		return []string{shorten(target, path, naming), shorten(plain, path, naming)}
	}
	if plain == target {
		return nil
	}
	return []string{plain, shorten(plain, path, naming)}
}

// makeOtherwise makes the folders that were refused under other names, each under the
// first that is taken by no other folder and is not refused too.
func (p *pass) makeOtherwise(ctx context.Context, s mailbox.Session, queue []*work) error {
	taken := map[string]*work{}
	for _, w := range p.all {
		taken[foldName(w.target, s.Naming())] = w
	}
	for try := range 2 {
		var refused []*work
		var requests []mailbox.NewFolder
		for _, w := range queue {
			names := otherNames(w.target, w.source.Path, s.Naming())
			if w.refused == nil || try >= len(names) {
				continue
			}
			if holder := taken[foldName(names[try], s.Naming())]; holder == nil || holder == w {
				refused = append(refused, w)
				requests = append(requests, mailbox.NewFolder{Name: names[try]})
			}
		}
		if len(refused) == 0 {
			continue
		}
		for i, err := range s.Create(ctx, requests) {
			w := refused[i]
			if err == nil {
				w.target, w.rec.Target = requests[i].Name, requests[i].Name
				taken[foldName(w.target, s.Naming())] = w
				p.renamed = append(p.renamed, Renamed{displayPath(w.source), w.target})
				w.made()
				continue
			}
			if f := migration.AsFault(err); f.Scope != migration.ScopeFolder && f.Scope != migration.ScopeMessage {
				return fmt.Errorf("create folder %q: %w", requests[i].Name, err)
			}
		}
	}
	return nil
}
