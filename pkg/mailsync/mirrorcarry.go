package mailsync

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// deletedAtOnce is for how many messages the source is asked before their copies are
// deleted: what it said of them is a moment old.
const deletedAtOnce = 500

// carryDeletions is the last step of a pass that carried everything.
func (p *lane) carryDeletions(ctx context.Context) error {
	m := &p.mirror
	switch {
	case !p.job.Mirror || p.hasYielded():
		return nil
	case m.doubt != nil:
		return m.doubt
	case len(m.suspects) == 0 || !p.job.DryRun && p.isIncomplete():
		return nil
	}
	if err := p.planDeletions(ctx); err != nil {
		return err
	}
	if m.hidden != nil && m.planned() > 0 {
		return m.hidden
	}
	m.seen = p.tallyNow().Seen > 0
	n, why := m.planned(), m.looksWrong()
	if p.job.DryRun {
		p.countDeletions(migration.Tally{ToDelete: n})
		return nil
	}
	if why != "" && (n > p.job.ConfirmedDeletions || !m.wereAsked()) {
		p.countDeletions(migration.Tally{ToDelete: n})
		if err := p.noteAsked(ctx); err != nil {
			return err
		}
		return m.asks(why)
	}
	if why != "" && n == 0 {
		return nil // all copies are the user's: there is nothing to be asked, and nothing to be forgotten
	}
	var gone int64
	for _, s := range m.suspects {
		gone += s.gone.Len()
	}
	for _, s := range m.suspects {
		// What the target's user has deleted too needs not be known any more; but after a
		// fault of the source's it would be brought back.
		forget := s.gone
		if m.tooMany(gone) {
			forget = s.plan.sources().Union(s.plan.keep).Union(s.plan.theirs)
		}
		if err := p.deleteCopies(ctx, s, forget); err != nil || p.hasYielded() {
			return err
		}
	}
	return nil
}

// wereAsked reports whether all that is to be deleted is what the latest pass that asked
// has asked about: a confirmation is of those messages, not of as many others.
func (m *mirror) wereAsked() bool {
	for _, s := range m.suspects {
		asked, err := decodeSet(s.rec.Asked)
		if err != nil || s.plan.sources().Minus(asked).Len() > 0 {
			return false
		}
	}
	return true
}

// noteAsked records what is asked about, and nothing else any more.
func (p *lane) noteAsked(ctx context.Context) error {
	asked := map[*record][]byte{}
	for _, s := range p.mirror.suspects {
		asked[s.rec] = encodeSet(s.plan.sources())
	}
	for _, r := range p.mirror.records {
		if bytes.Equal(asked[r], r.Asked) {
			continue
		}
		r.Asked = asked[r]
		if err := p.storeRecord(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) countDeletions(t migration.Tally) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally.Deleted += t.Deleted
	p.tally.KeptAtTarget += t.KeptAtTarget
	p.tally.ToDelete += t.ToDelete
}

// deleteCopies deletes the copies of the messages in forget that are to go, and forgets
// all of these messages, piece by piece: whatever ends it, what is gone at the target is
// not believed to be there, and is copied again should the source bring it back.
func (p *lane) deleteCopies(ctx context.Context, s *suspect, forget mailbox.UIDSet) error {
	for part := range slices.Chunk(slices.Collect(forget.All()), deletedAtOnce) {
		set := mailbox.NewUIDSet(part...)
		if err := p.proveGone(ctx, s, set); err != nil {
			return err
		}
		deleted, err := p.expunge(ctx, s, part)
		if err != nil {
			return err
		}
		p.countDeletions(migration.Tally{Deleted: deleted, KeptAtTarget: set.Intersect(s.plan.keep).Len()})
		s.rec.forgetGone(set)
		if s.vanished {
			s.rec.lookThrough() // when it is there again
		}
		if err := p.storeRecord(ctx, s.rec); err != nil {
			return err
		}
		failpoint.Reach(failpoint.Forgotten)
		if p.committed(); p.hasYielded() {
			return nil
		}
	}
	return nil
}

// proveGone asks the source for exactly these messages. That it shows one of them, or
// opens the folder that is not there, contradicts what it said before: then nothing that
// it says of deletions is believed.
func (p *lane) proveGone(ctx context.Context, s *suspect, set mailbox.UIDSet) error {
	p.source.use.Lock()
	defer p.source.use.Unlock()
	source, err := p.source.session(ctx)
	if err != nil {
		return err
	}
	sel, err := source.Select(ctx, s.folder, true)
	switch {
	case s.vanished && isMissing(err):
		return nil
	case err != nil:
		return fmt.Errorf("look for deleted messages: %w", err)
	case s.vanished:
		return contradicts("folder %q is not listed, and opens", s.folder)
	case sel.UIDValidity != s.source:
		return contradicts("the UIDVALIDITY of folder %q changed while the pass ran", s.folder)
	}
	shown := 0
	if err := source.Flags(ctx, set, 0, func(mailbox.UID, mailbox.Flags) error {
		shown++
		return nil
	}); err != nil {
		return fmt.Errorf("look for deleted messages in %q: %w", s.folder, err)
	}
	if shown > 0 {
		return contradicts("folder %q shows %d messages that were not there before", s.folder, shown)
	}
	return nil
}

// expunge deletes those copies of the messages of part that are to go. One that its user
// has changed since they were looked at is kept all the same.
func (p *lane) expunge(ctx context.Context, s *suspect, part []mailbox.UID) (int64, error) {
	of := map[mailbox.UID]mailbox.UID{} // copy -> source UID
	for _, u := range part {
		if dst := s.plan.remove[u]; dst != 0 {
			of[dst] = u
		}
	}
	if len(of) == 0 {
		return 0, nil
	}
	p.target.use.Lock()
	defer p.target.use.Unlock()
	target, sel, err := p.openCopies(ctx, s)
	if err != nil {
		return 0, err
	}
	var copies, going, changed []mailbox.UID
	if err := target.Flags(ctx, mailbox.NewUIDSet(slices.Collect(maps.Keys(of))...), 0, func(u mailbox.UID, flags mailbox.Flags) error {
		if _, base, _ := s.rec.uids.get(of[u]); untouched(sel.Keeps(base), flags) {
			copies, going = append(copies, u), append(going, of[u])
		} else {
			changed = append(changed, of[u])
		}
		return nil
	}); err != nil {
		return 0, fmt.Errorf("look at %d messages in %q: %w", len(of), s.rec.Target, err)
	}
	s.plan.keep = s.plan.keep.Union(mailbox.NewUIDSet(changed...))
	if len(copies) == 0 {
		return 0, nil
	}
	s.rec.Deleting = encodeSet(mailbox.NewUIDSet(going...))
	if err := p.storeRecord(ctx, s.rec); err != nil {
		return 0, err
	}
	failpoint.Reach(failpoint.BeforeExpunge)
	if err := target.Expunge(ctx, mailbox.NewUIDSet(copies...)); err != nil {
		return 0, fmt.Errorf("delete %d messages in %q: %w", len(copies), s.rec.Target, err)
	}
	failpoint.Reach(failpoint.Expunged)
	return int64(len(copies)), nil
}
