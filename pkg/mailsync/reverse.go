package mailsync

import (
	"cmp"
	"context"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// A move back. What is known of a mailbox pair is known of it in the other direction
// too: each folder is mapped back to where it came from, and what was delivered from one
// UID to another needs not be copied back. Three things are not taken over:
//
//   - A delivered message may have been deleted where it came from, by its user or by
//     whoever cleared the old mailbox. The first pass back looks which of them are there
//     and forgets the others: they are copied (proveReversed).
//   - What was carried of keywords the other side may not have kept. None is ever taken
//     off where the message came from; new ones are added.
//   - What was skipped, left out, or delivered it is not known where, is recognised at
//     the target as in any first pass: all of the target is the tail.

// keptByAll are the flags that every server keeps.
var keptByAll = mailbox.NewFlags(mailbox.Answered, mailbox.Draft, mailbox.Flagged, mailbox.Seen)

// Reversed turns the records of a mailbox pair into those of the pair in the other
// direction.
func Reversed(stored []migration.FolderRecord) ([]migration.FolderRecord, error) {
	var out []migration.FolderRecord
	for _, s := range stored {
		r, err := loadRecord(s)
		if err != nil {
			return nil, err
		}
		if r.Target == "" || r.Gone {
			continue
		}
		back := r.reversed()
		w, err := back.window(migration.Tally{})
		if err != nil {
			return nil, err
		}
		out = append(out, migration.FolderRecord{Folder: back.folder, Head: w.Head, Journal: [][]byte{w.Append}})
	}
	return out, nil
}

func (r *record) reversed() *record {
	back := newRecord(r.Target)
	back.Target, back.Subscribed, back.TargetSeen, back.stale = r.folder, r.Subscribed, 1, true
	if r.SourceValidity == 0 || r.TargetValidity == 0 {
		return back // the UIDs mean nothing
	}
	back.SourceValidity, back.TargetValidity, back.Unproven = r.TargetValidity, r.SourceValidity, true
	runs := slices.Clone(r.uids.runs)
	slices.SortFunc(runs, func(a, b run) int { return cmp.Compare(a.dst, b.dst) })
	for _, x := range runs {
		if x.dst == 0 {
			continue
		}
		carried := r.uids.flagSets.sets[x.flags]
		base := carried.Without(carried.Without(keptByAll))
		back.uids.put(run{src: x.dst, dst: x.src, n: x.n, flags: back.uids.flagSets.add(base)})
	}
	return back
}

// proveReversed looks which of the messages that came from the target are still there,
// once, and forgets the others.
func (p *lane) proveReversed(ctx context.Context) error {
	for _, w := range p.all {
		if !w.rec.Unproven {
			continue
		}
		if w.dst == nil {
			w.rec.forget(false) // the folder is made again
			w.rec.TargetSeen = 1
			continue
		}
		there, err := p.presentUIDs(ctx, &p.target, w.target, w.rec.uids.targets(1))
		if err != nil {
			return err
		}
		w.rec.uids.keepTargets(there)
		w.rec.Unproven, w.rec.stale = false, true
	}
	return nil
}

// keepTargets forgets what was delivered to other target UIDs than those of set.
func (m *uidMap) keepTargets(set mailbox.UIDSet) {
	runs := m.runs
	m.runs = nil
	for _, r := range runs {
		for _, part := range set.Intersect(mailbox.Span(r.dst, r.at(r.end()))) {
			m.put(r.cut(r.src+(part.First-r.dst), r.src+(part.Last-r.dst)))
		}
	}
}
