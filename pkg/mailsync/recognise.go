package mailsync

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// recognised is what of the source the tail was found to hold.
type recognised struct {
	pairs  []pair
	source []entry        // what may be among pairs
	left   mailbox.UIDSet // what was asked about, pairs among it
	exact  bool           // all of left exists
}

// recognise reads what is known of the source's messages without their bodies and
// matches it with the tail. It keeps those that the tail may hold, whatever the
// folder's size.
func (p *lane) recognise(ctx context.Context, f *work, source mailbox.Session, prep *prepared, set mailbox.UIDSet, tail []entry) (*recognised, error) {
	entries, there, err := prep.likeThose(ctx, source, set, tail)
	if err != nil {
		return nil, err
	}
	found := &recognised{source: entries, left: there, exact: true}
	m := match(entries, tail)
	found.pairs = m.sure
	if len(m.ask) > 0 {
		s, d, err := p.readGroups(ctx, f, source, m.ask)
		if err != nil {
			return nil, err
		}
		found.pairs = append(found.pairs, settle(m.ask, f.rec.uids.unplaced(), s, d)...)
	}
	return found, nil
}

// likeThose reads the messages of set: which there are, and those of a fingerprint
// that occurs in the tail, which it sorts by that.
func (prep *prepared) likeThose(ctx context.Context, source mailbox.Session, set mailbox.UIDSet, tail []entry) (like []entry, there mailbox.UIDSet, err error) {
	slices.SortFunc(tail, byPrint)
	like = make([]entry, 0, min(len(tail), mostExpected))
	var uids []mailbox.UID
	err = source.Metas(ctx, set, func(m mailbox.Meta) error {
		uids = append(uids, m.UID)
		if e := prep.flagSets.entryOf(m); hasPrint(tail, e.print) {
			like = append(like, e)
		}
		return nil
	})
	return like, mailbox.NewUIDSet(uids...), err
}

// around is how many windows are looked at for what a pass that was cut off had under
// way: several times what it can be.
const around = 25

// around is that in messages: each connection has as much under way.
func (p *pass) around() int64 { return int64(around * p.job.Window * p.job.Connections) }

// recogniseSoon looks for the tail among the messages that are copied next: where a
// pass was cut off it is there, and reading all the rest of a large folder would take
// minutes. That a fingerprint occurs once can then not be known, so only equal digests
// and dates count. It returns nil where that does not explain all of the tail.
func (p *lane) recogniseSoon(ctx context.Context, f *work, source mailbox.Session, prep *prepared, tail []entry) (*recognised, error) {
	open, soon := prep.copy, p.around()
	rest := int64(prep.selected.Messages) - f.decidedAtStart
	if !f.rec.Writing || len(f.rec.uids.unplaced()) > 0 || int64(len(tail)) > soon/2 || rest <= 2*soon {
		return nil, nil
	}
	var next mailbox.UIDSet
	for _, piece := range p.pieces(open, f.numbers(prep)) {
		if next = next.Union(firstOf(piece, soon-next.Len())); next.Len() >= soon {
			break
		}
	}
	entries, _, err := prep.likeThose(ctx, source, next, tail)
	if err != nil || len(entries) < len(tail) {
		return nil, err
	}
	m := match(entries, tail)
	ask := m.ask
	for _, x := range m.sure {
		ask = append(ask, group{[]mailbox.UID{x.src}, []mailbox.UID{x.dst}})
	}
	s, d, err := p.readGroups(ctx, f, source, ask)
	if err != nil {
		return nil, err
	}
	found := &recognised{source: entries, left: open}
	for _, g := range ask {
		pairs, _, _ := pairBy(func(c contents) contents { return contents{raw: c.raw, date: c.date} }, g.src, g.dst, s, d)
		found.pairs = append(found.pairs, pairs...)
	}
	if len(found.pairs) < len(tail) {
		return nil, nil
	}
	slices.SortFunc(found.pairs, bySource)
	return found, nil
}

// firstOf returns the first n UIDs of set.
func firstOf(set mailbox.UIDSet, n int64) mailbox.UIDSet {
	var out mailbox.UIDSet
	for _, r := range set {
		if n <= 0 {
			break
		}
		r.Last = r.First + mailbox.UID(min(r.Len(), n)-1)
		out.AppendRange(r)
		n -= r.Len()
	}
	return out
}

// readGroups reads the messages of the groups whole, on both sides at once.
func (p *lane) readGroups(ctx context.Context, f *work, source mailbox.Session, ask []group) (s, d map[mailbox.UID]contents, err error) {
	var src, dst []mailbox.UID
	for _, g := range ask {
		src, dst = append(src, g.src...), append(dst, g.dst...)
	}
	var g errgroup.Group // one side's failure must not end the other's connection
	g.Go(func() (err error) {
		s, err = readContents(ctx, source, mailbox.NewUIDSet(src...))
		return err
	})
	g.Go(func() (err error) {
		d, err = p.targetContents(ctx, f, mailbox.NewUIDSet(dst...))
		return err
	})
	return s, d, g.Wait()
}

// targetContents reads messages of f's target folder whole.
func (p *lane) targetContents(ctx context.Context, f *work, set mailbox.UIDSet) (map[mailbox.UID]contents, error) {
	p.target.use.Lock()
	defer p.target.use.Unlock()
	target, err := p.target.session(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := target.Select(ctx, f.target, false); err != nil {
		return nil, err
	}
	return readContents(ctx, target, set)
}

func readContents(ctx context.Context, s mailbox.Session, set mailbox.UIDSet) (map[mailbox.UID]contents, error) {
	out := map[mailbox.UID]contents{}
	err := s.Messages(ctx, set, func(m mailbox.Message) error {
		c, err := digestOf(m.Body)
		c.date = m.Date.Unix()
		out[m.UID] = c
		return err
	})
	return out, err
}
