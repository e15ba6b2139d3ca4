package mailsync

import (
	"context"
	"fmt"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// settleDeletions finds out, where an earlier pass ended while it deleted copies, which are
// gone, and forgets their messages. Those that are there are no longer marked as deleted:
// their messages may be back.
func (p *lane) settleDeletions(ctx context.Context, l *listing) error {
	for _, r := range l.records {
		if len(r.Deleting) == 0 {
			continue
		}
		set, err := decodeSet(r.Deleting)
		if err != nil {
			return fmt.Errorf("record of folder %q: %w", r.folder, err)
		}
		set = set.Intersect(r.uids.sources())
		var there mailbox.UIDSet
		if at, ok := l.folderAt(r.Target); ok && at.Status != nil && at.Status.UIDValidity == r.TargetValidity {
			if there, err = p.presentUIDs(ctx, &p.target, r.Target, r.uids.lastTargets(set, set.Len())); err != nil {
				return err
			}
		}
		var gone, marked []mailbox.UID
		for u := range set.All() {
			if dst, base, _ := r.uids.get(u); !there.Contains(dst) {
				gone = append(gone, u)
			} else if !base.Has(mailbox.Deleted) {
				marked = append(marked, dst)
			}
		}
		r.forgetGone(mailbox.NewUIDSet(gone...))
		if p.job.DryRun {
			continue
		}
		if err := p.unmark(ctx, r, mailbox.NewUIDSet(marked...)); err != nil {
			return err
		}
		if err := p.storeRecord(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// unmark takes \Deleted off copies.
func (p *lane) unmark(ctx context.Context, r *record, copies mailbox.UIDSet) error {
	if len(copies) == 0 {
		return nil
	}
	p.target.use.Lock()
	defer p.target.use.Unlock()
	target, err := p.target.session(ctx)
	if err != nil {
		return err
	}
	sel, err := target.Select(ctx, r.Target, false)
	if err != nil || sel.UIDValidity != r.TargetValidity {
		return err
	}
	return target.Store(ctx, []mailbox.FlagChange{{Set: copies, Remove: mailbox.Flags{mailbox.Deleted}}})
}

// forgetGone forgets messages whose copies were deleted.
func (r *record) forgetGone(set mailbox.UIDSet) {
	r.uids.remove(set)
	r.Forgot, r.stale, r.Deleting = true, true, nil
}

// storeRecord commits what has changed in a record.
func (p *lane) storeRecord(ctx context.Context, r *record) error {
	w, err := r.window(p.tallyNow())
	if err == nil {
		err = p.store(ctx, w)
	}
	return err
}
