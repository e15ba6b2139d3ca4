package mailsync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Servers do not tell how long a name may be (Dovecot: 255 bytes of a path or of a
// part of it, by format, in modified UTF-7; Cyrus: 490). So a long name is tried as it
// is, and shortened where it is refused.
const (
	longName  = 100 // bytes in UTF-8; shorter ones were not refused for their length
	shortPart = 40
)

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

// makeShorter makes those folders under a shorter name that were refused and have a
// long one.
func (p *pass) makeShorter(ctx context.Context, s mailbox.Session, queue []*work) error {
	var long []*work
	var requests []mailbox.NewFolder
	for _, w := range queue {
		if w.refused != nil && len(w.target) > longName {
			long = append(long, w)
			requests = append(requests, mailbox.NewFolder{Name: shorten(w.target, w.source.Path, s.Naming())})
		}
	}
	if len(long) == 0 {
		return nil
	}
	for i, err := range s.Create(ctx, requests) {
		w := long[i]
		if err == nil {
			w.target, w.rec.Target = requests[i].Name, requests[i].Name
			p.renamed = append(p.renamed, Renamed{displayPath(w.source), w.target})
			w.made()
			continue
		}
		if f := migration.AsFault(err); f.Scope != migration.ScopeFolder && f.Scope != migration.ScopeMessage {
			return fmt.Errorf("create folder %q: %w", requests[i].Name, err)
		}
	}
	return nil
}
