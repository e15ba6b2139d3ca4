package mailsync

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// What makes a source look wrong rather than tidied up. People delete mail by the
// message; a server that was restored empty, or a login that opens another mailbox, lacks
// it by the folder.
const (
	// emptiedFolder is from how many copies on a folder without any of their messages
	// looks wrong. Below it an emptied folder is everyday's.
	emptiedFolder = 10
	// fewDeleted copies never look wrong by their number alone; above it one in
	// deletedShare of the mailbox does. In a day hardly anybody deletes a tenth of all
	// that he has kept.
	fewDeleted   = 20
	deletedShare = 10
)

// deletions is what is to become of the copies of messages that are gone.
type deletions struct {
	remove map[mailbox.UID]mailbox.UID // source UID -> copy
	keep   mailbox.UIDSet              // source UIDs of copies that stay
	theirs mailbox.UIDSet              // source UIDs of copies that another record explains
}

// sources are the messages whose copies are to be deleted.
func (d deletions) sources() mailbox.UIDSet {
	return mailbox.NewUIDSet(slices.Collect(maps.Keys(d.remove))...)
}

func (d deletions) copies() int64 { return int64(len(d.remove)) + d.keep.Len() }

// planDeletions looks at the copies of what is gone. Suspects of which nothing can be said
// any more are dropped.
func (p *lane) planDeletions(ctx context.Context) error {
	m := &p.mirror
	m.suspects = slices.DeleteFunc(m.suspects, func(s *suspect) bool {
		return s.rec.folder != s.folder || s.rec.SourceValidity != s.source || s.rec.TargetValidity != s.target || s.rec.Writing
	})
	if len(m.suspects) == 0 {
		return nil
	}
	elsewhere, err := p.skippedPrints(ctx)
	if err != nil {
		return err
	}
	var known []*suspect
	for _, s := range m.suspects {
		ok, err := p.planFor(ctx, s, elsewhere)
		if err == nil && ok && !s.others {
			s.others, err = p.holdsOthers(ctx, s)
		}
		if err != nil {
			return err
		}
		if ok {
			known = append(known, s)
		}
	}
	m.suspects = known
	return nil
}

// holdsOthers reports whether messages that are still there are others than were copied: a
// server that gives UIDs away a second time, after it was set back or a folder was made
// anew, has not lost what is missing.
func (p *lane) holdsOthers(ctx context.Context, s *suspect) (bool, error) {
	if len(s.plan.remove) == 0 {
		return false, nil
	}
	ours, err := p.prints(ctx, &p.source, s.folder, s.stay)
	if err != nil {
		return false, err
	}
	copies, err := p.prints(ctx, &p.target, s.rec.Target, s.rec.uids.lastTargets(s.stay, compared))
	if err != nil {
		return false, err
	}
	for u, print := range ours {
		dst, _, _ := s.rec.uids.get(u)
		if copied, there := copies[dst]; there && copied != print {
			return true, nil
		}
	}
	return false, nil
}

// claimed are the target UIDs of a suspect's folder that other records explain: a folder
// that is gone may have left its place, and its copies, to another one.
func (p *lane) claimed(s *suspect, naming mailbox.Naming) (out mailbox.UIDSet) {
	records := slices.Collect(maps.Values(p.mirror.records))
	for _, w := range p.all {
		records = append(records, w.rec) // new ones too
	}
	for _, r := range records {
		if r != s.rec && r.TargetValidity == s.target && foldName(r.Target, naming) == foldName(s.rec.Target, naming) {
			out = out.Union(r.uids.targets(1))
		}
	}
	return out
}

// skippedPrints are the fingerprints of what the source has and the target did not get:
// a message may have been moved there. They all have to be known.
func (p *lane) skippedPrints(ctx context.Context) (map[fingerprint]bool, error) {
	out := map[fingerprint]bool{}
	for _, w := range p.all {
		set := w.rec.skippedUIDs()
		prints, err := p.prints(ctx, &p.source, w.source.Name, set)
		if err != nil {
			return nil, err
		}
		untold := set.Minus(mailbox.NewUIDSet(slices.Collect(maps.Keys(prints))...))
		there, err := p.presentUIDs(ctx, &p.source, w.source.Name, untold)
		if err != nil {
			return nil, err
		}
		if len(there) > 0 {
			return nil, contradicts("the source does not tell what %d skipped messages of folder %q are: one may be what was moved there",
				there.Len(), displayPath(w.source))
		}
		for _, f := range prints {
			out[f] = true
		}
	}
	return out, nil
}

// planFor decides about one folder's copies. ok is false where the target folder is not
// the one recorded.
func (p *lane) planFor(ctx context.Context, s *suspect, elsewhere map[fingerprint]bool) (ok bool, err error) {
	of := map[mailbox.UID]mailbox.UID{} // copy -> source UID
	var set []mailbox.UID
	for u := range s.gone.All() {
		if dst, _, ok := s.rec.uids.get(u); ok && dst != 0 {
			of[dst] = u
			set = append(set, dst)
		}
	}
	p.target.use.Lock()
	defer p.target.use.Unlock()
	target, sel, err := p.openCopies(ctx, s)
	if isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s.plan = deletions{remove: map[mailbox.UID]mailbox.UID{}}
	// A target that has not numbered a copy yet was set back: its UIDs are other messages'.
	copied := s.rec.uids.targets(1)
	s.others = sel.UIDNext > 0 && copied.Minus(mailbox.Span(1, sel.UIDNext-1)).Len() > 0
	var keep []mailbox.UID
	decide := func(dst mailbox.UID, flags mailbox.Flags, theirs bool) {
		src := of[dst]
		_, base, _ := s.rec.uids.get(src)
		if theirs || !untouched(sel.Keeps(base), flags) {
			keep = append(keep, src)
		} else {
			s.plan.remove[src] = dst
		}
	}
	// A copy that a message explains which is still there is not to be touched.
	wanted, dates := mailbox.NewUIDSet(set...).Minus(s.rec.uids.targetsBut(s.gone)), p.job.dates()
	claimed := wanted.Intersect(p.claimed(s, target.Naming()))
	var theirs []mailbox.UID
	for dst := range claimed.All() {
		theirs = append(theirs, of[dst])
	}
	s.plan.theirs, wanted = mailbox.NewUIDSet(theirs...), wanted.Minus(claimed)
	if len(elsewhere) == 0 && dates.any() {
		err = target.Flags(ctx, wanted, 0, func(u mailbox.UID, flags mailbox.Flags) error {
			decide(u, flags, false)
			return nil
		})
	} else {
		err = target.Metas(ctx, wanted, func(m mailbox.Meta) error {
			decide(m.UID, m.Flags, dates.leavesOut(m.Date) || elsewhere[fingerprintOf(m.Header)])
			return nil
		})
	}
	s.plan.keep = mailbox.NewUIDSet(keep...)
	return true, err
}

// untouched reports whether a copy's flags are those that were carried. \Deleted does not
// count: both sides say then that the message is to go, or a pass ended over it.
func untouched(carried, now mailbox.Flags) bool {
	deleted := mailbox.Flags{mailbox.Deleted}
	return carried.Without(deleted).Equal(now.Without(deleted))
}

// openCopies opens the folder of a suspect's copies for writing; another one than that
// recorded is missing. The target is in use.
func (p *lane) openCopies(ctx context.Context, s *suspect) (mailbox.Session, mailbox.Selected, error) {
	target, err := p.target.session(ctx)
	if err != nil {
		return nil, mailbox.Selected{}, err
	}
	sel, err := target.Select(ctx, s.rec.Target, false)
	if err == nil && sel.UIDValidity != s.target {
		err = migration.NewFault(migration.SourceChanged, migration.ScopeFolder, migration.Target,
			fmt.Sprintf("the UIDVALIDITY of folder %q changed while the pass ran", s.rec.Target), nil)
	}
	return target, sel, err
}

// planned is how many copies are to be deleted.
func (m *mirror) planned() (n int64) {
	for _, s := range m.suspects {
		n += int64(len(s.plan.remove))
	}
	return n
}

// looksWrong says what speaks against believing the source; "" where nothing does.
func (m *mirror) looksWrong() string {
	var copies int64
	var emptied, others []string
	for _, s := range m.suspects {
		if s.others {
			others = append(others, fmt.Sprintf("folder %q or its copy holds other messages than were copied", s.folder))
		}
		n := s.plan.copies()
		if copies += n; n == 0 || s.held < emptiedFolder || s.gone.Len() < s.held {
			continue
		}
		if s.vanished {
			emptied = append(emptied, fmt.Sprintf("folder %q with %d messages is gone", s.folder, s.held))
		} else {
			emptied = append(emptied, fmt.Sprintf("all %d messages of folder %q are gone", s.held, s.folder))
		}
	}
	switch {
	case copies == 0:
		return ""
	case m.messages == 0 && !m.seen:
		return "the source has no messages at all"
	case len(others)+len(emptied) > 0:
		return first(append(others, emptied...))
	case m.tooMany(copies):
		return fmt.Sprintf("that is more than %d and more than a tenth of the mailbox", fewDeleted)
	}
	return ""
}

// tooMany reports whether n messages are more than go in a day.
func (m *mirror) tooMany(n int64) bool { return n > max(fewDeleted, m.carried/deletedShare) }

// asks is the fault of a pass whose deletions have to be confirmed.
func (m *mirror) asks(why string) *migration.Fault {
	largest := slices.Clone(m.suspects)
	slices.SortStableFunc(largest, func(a, b *suspect) int { return cmp.Compare(len(b.plan.remove), len(a.plan.remove)) })
	var where []string
	for _, s := range largest {
		if n := len(s.plan.remove); n > 0 {
			where = append(where, fmt.Sprintf("%q %d", s.folder, n))
		}
	}
	n := m.planned()
	return migration.NewFault(migration.NeedsDecision, migration.ScopeUser, migration.Source, fmt.Sprintf(
		"%d of %d messages were deleted at the source (%s), and %s: their copies at the target were left alone; confirm %d to delete them",
		n, m.carried, first(where), why, n), nil)
}

// first lists the first three, and how many more there are.
func first(list []string) string {
	if len(list) > 3 {
		return strings.Join(list[:3], ", ") + fmt.Sprintf(" and %d more", len(list)-3)
	}
	return strings.Join(list, ", ")
}
