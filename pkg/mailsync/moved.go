package mailsync

import (
	"context"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Messages moved at the source. Such a message is copied to its new folder, and the
// old copy stays: nothing is deleted at the target. That is counted, so that nobody
// takes the second copy for a fault: a message copied by this pass whose fingerprint
// is that of an old copy in another folder, of a message that is gone there.

// movedLookback bounds how many of a folder's vanished messages are looked at, the
// latest ones; what is older was moved long ago.
const movedLookback = 2000

// moves is what a pass needs to count them.
type moves struct {
	// lost are the folders that hold fewer messages than they did, or are gone.
	lost []*work
	// arrivals are the messages that were read to be copied, by fingerprint; nil where
	// no folder has lost any.
	arrivals map[fingerprint][]arrival
}

type arrival struct {
	folder *work
	uid    mailbox.UID
}

// mayHaveLost reports whether messages of the folder may have gone at the source since
// it was finished.
func (w *work) mayHaveLost() bool {
	r, s := w.rec, w.src
	return s != nil && r.Finished && r.uids.len() > 0 && int64(s.Messages) < int64(r.Messages)+max(0, int64(s.UIDNext)-int64(r.UIDNext))
}

// watchMoves finds the folders that messages can have been moved from.
func (p *pass) watchMoves() {
	if p.job.Mirror {
		return // the old copies go
	}
	for _, w := range p.all {
		if w.mayHaveLost() {
			p.moves.lost = append(p.moves.lost, w)
		}
	}
	for _, w := range p.gone {
		if !w.rec.Gone && w.rec.uids.len() > 0 && w.dst != nil {
			p.moves.lost = append(p.moves.lost, w)
		}
	}
	if len(p.moves.lost) > 0 {
		p.moves.arrivals = map[fingerprint][]arrival{}
	}
}

// arrived notes a message that was read to be copied.
func (p *pass) arrived(f *work, u mailbox.UID, header []byte) {
	print := fingerprintOf(header)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moves.arrivals[print] = append(p.moves.arrivals[print], arrival{f, u})
}

// countMoves compares, once all is copied, what has come with what has gone.
func (p *lane) countMoves(ctx context.Context) error {
	if len(p.moves.arrivals) == 0 {
		return nil
	}
	counted := map[arrival]bool{}
	for _, lost := range p.moves.lost {
		n, err := p.movedFrom(ctx, lost, counted)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			break // the mail is carried: a pass does not fail for a number
		}
		p.mu.Lock()
		p.tally.MovedAtSource += n
		p.mu.Unlock()
		if lost.source.Name == "" {
			lost.rec.Gone = true
			w, err := lost.rec.window(p.tallyNow())
			if err == nil {
				err = p.store(ctx, w)
			}
			if err != nil {
				return err
			}
		}
	}
	return p.store(ctx, migration.Window{Tally: p.tallyNow()})
}

// movedFrom counts the messages of arrivals that were in a folder before.
func (p *lane) movedFrom(ctx context.Context, lost *work, counted map[arrival]bool) (int64, error) {
	gone := lost.rec.uids.sources()
	if lost.source.Name != "" {
		there, err := p.presentUIDs(ctx, &p.source, lost.source.Name, gone)
		if err != nil {
			return 0, err
		}
		gone = gone.Minus(there)
	}
	copies, err := p.prints(ctx, &p.target, lost.target, lost.rec.uids.lastTargets(gone, movedLookback))
	if err != nil {
		return 0, err
	}
	var n int64
	for _, print := range copies {
		for _, a := range p.moves.arrivals[print] {
			if _, _, copied := a.folder.rec.uids.get(a.uid); copied && a.folder != lost && !counted[a] {
				counted[a] = true
				n++
				break
			}
		}
	}
	return n, nil
}
