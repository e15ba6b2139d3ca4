package mailsync

import (
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
	m.seen = p.tallyNow().Seen > 0
	n, why := m.planned(), m.looksWrong()
	if p.job.DryRun {
		p.countDeletions(migration.Tally{ToDelete: n})
		return nil
	}
	if why != "" && n > p.job.ConfirmedDeletions {
		p.countDeletions(migration.Tally{ToDelete: n})
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
			forget = mailbox.NewUIDSet(slices.Collect(maps.Keys(s.plan.remove))...).Union(s.plan.keep)
		}
		if err := p.deleteCopies(ctx, s, forget); err != nil || p.hasYielded() {
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
		var copies []mailbox.UID
		for _, u := range part {
			if dst := s.plan.remove[u]; dst != 0 {
				copies = append(copies, dst)
			}
		}
		if err := p.expunge(ctx, s, mailbox.NewUIDSet(copies...)); err != nil {
			return err
		}
		p.countDeletions(migration.Tally{Deleted: int64(len(copies)), KeptAtTarget: set.Intersect(s.plan.keep).Len()})
		s.rec.uids.remove(set)
		s.rec.stale = true
		w, err := s.rec.window(p.tallyNow())
		if err == nil {
			err = p.store(ctx, w)
		}
		if err != nil {
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

// expunge deletes copies.
func (p *lane) expunge(ctx context.Context, s *suspect, copies mailbox.UIDSet) error {
	if len(copies) == 0 {
		return nil
	}
	p.target.use.Lock()
	defer p.target.use.Unlock()
	target, _, err := p.openCopies(ctx, s)
	if err != nil {
		return err
	}
	failpoint.Reach(failpoint.BeforeExpunge)
	if err := target.Expunge(ctx, copies); err != nil {
		return fmt.Errorf("delete %d messages in %q: %w", copies.Len(), s.rec.Target, err)
	}
	failpoint.Reach(failpoint.Expunged)
	return nil
}
