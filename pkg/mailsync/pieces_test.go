package mailsync

import (
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// A folder whose UIDs lie far apart, or whose server says so, is not asked for millions
// of times; what is asked for is all, the newest first.
func TestPiecesAreNoMoreThanMessages(t *testing.T) {
	for name, x := range map[string]struct {
		set      mailbox.UIDSet
		messages int64
		most     int
	}{
		"a folder as they are":               {mailbox.Span(1, 10_000), 9_000, 20},
		"the last UID there can be":          {mailbox.Span(1, mailbox.MaxUID-1), 3, 4},
		"nothing is there any more":          {mailbox.Span(1, mailbox.MaxUID-1), 0, 1},
		"as many messages as there are UIDs": {mailbox.Span(1, mailbox.MaxUID-1), int64(mailbox.MaxUID), mostPieces},
		"two messages at the ends":           {mailbox.NewUIDSet(1, mailbox.MaxUID-1), 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pass{job: Job{NewestFirst: true}}
			pieces := p.pieces(x.set, x.messages)
			if len(pieces) > x.most {
				t.Errorf("%d pieces, want at most %d", len(pieces), x.most)
			}
			var all mailbox.UIDSet
			last := mailbox.MaxUID
			for _, piece := range pieces {
				if len(piece) == 0 {
					continue
				}
				if piece[len(piece)-1].Last >= last {
					t.Fatalf("%v is not older than uid %d", piece, last)
				}
				last = piece[0].First
				all = all.Union(piece)
			}
			if all.Len() != x.set.Len() || len(all.Minus(x.set)) > 0 {
				t.Errorf("asked for %v, want %v", all, x.set)
			}
		})
	}
}
