package mailsync

import (
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// A folder whose UIDs lie far apart, or whose server says so, is not asked for millions
// of times; what is asked for is all, the newest first.
func TestPiecesAreNoMoreThanMessages(t *testing.T) {
	for name, x := range map[string]struct {
		set  mailbox.UIDSet
		now  mailbox.Status
		most int
	}{
		"a folder as they are":               {mailbox.Span(1, 10_000), mailbox.Status{Messages: 9_000, UIDNext: 10_001}, 20},
		"what has come since":                {mailbox.Span(1, mailbox.MaxUID), mailbox.Status{Messages: 9_000, UIDNext: 10_001}, 20},
		"only what has come since":           {mailbox.Span(20_000, mailbox.MaxUID), mailbox.Status{Messages: 9_000, UIDNext: 10_001}, 1},
		"nobody tells UIDNEXT":               {mailbox.Span(1, mailbox.MaxUID), mailbox.Status{Messages: 9_000}, 1},
		"the last UID there can be":          {mailbox.Span(1, mailbox.MaxUID-1), mailbox.Status{Messages: 3, UIDNext: mailbox.MaxUID}, 4},
		"nothing is there any more":          {mailbox.Span(1, mailbox.MaxUID-1), mailbox.Status{UIDNext: mailbox.MaxUID}, 1},
		"as many messages as there are UIDs": {mailbox.Span(1, mailbox.MaxUID-1), mailbox.Status{Messages: uint32(mailbox.MaxUID), UIDNext: mailbox.MaxUID}, mostPieces},
		"two messages at the ends":           {mailbox.NewUIDSet(1, mailbox.MaxUID-1), mailbox.Status{Messages: 2, UIDNext: mailbox.MaxUID}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pass{job: Job{NewestFirst: true, Window: windowMessages}}
			pieces := p.pieces(x.set, x.now)
			if len(pieces) > x.most {
				t.Errorf("%d pieces, want at most %d", len(pieces), x.most)
			}
			var all mailbox.UIDSet
			last := int64(mailbox.MaxUID) + 1
			for _, piece := range pieces {
				if len(piece) == 0 {
					continue
				}
				if int64(piece[len(piece)-1].Last) >= last {
					t.Fatalf("%v is not older than uid %d", piece, last)
				}
				last = int64(piece[0].First)
				all = all.Union(piece)
			}
			if all.Len() != x.set.Len() || len(all.Minus(x.set)) > 0 {
				t.Errorf("asked for %v, want %v", all, x.set)
			}
		})
	}
}
