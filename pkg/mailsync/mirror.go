package mailsync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Deletions that are carried over (Job.Mirror): the one thing in this program that
// deletes mail. A copy goes only if the record explains it, and only at the end:
//
//  1. Before anything is carried, folders whose numbers do not add up with their record
//     are opened at the source, and told UIDs compared: what was delivered and is not
//     there is gone (lookForGone). A folder that tells fewer messages than it says it
//     has is not believed. What no filter lets through is not looked at. What was gone
//     before and has come back is found here too, in any pass.
//  2. The source is listed once more. What was moved has reached its new folder by
//     then, so that this pass finds it there, and copies it first.
//  3. Everything is carried as always. Where anything of it failed, or was put off,
//     nothing is deleted (isIncomplete).
//  4. The copies are looked at (mirrorplan.go). One whose flags are not those last
//     carried was changed by the target's user: it is kept, and is the user's from then
//     on. So is one that a message resembles that was skipped, as that may be where the
//     deleted one went. One that another folder's record explains is that one's.
//  5. Where all of that looks like a fault of the source's, nothing is deleted: the pass
//     ends with NeedsDecision, tells how many it is about, and records which. Only those
//     does a confirmation delete.
//  6. In pieces, the source is asked for exactly those messages once more, and the copies
//     are deleted by UID. Then the record forgets them: should the source bring one
//     back, it is copied again. Where it ends in between, the next pass finds out what
//     was deleted (settleDeletions).

// mirror is what a pass knows of deletions.
type mirror struct {
	suspects []*suspect
	carried  int64 // messages that the records explain, of the whole mailbox
	messages int64 // in all of the source's folders that tell
	seen     bool  // the pass met messages, whatever the listing told
	// doubt is why nothing is deleted in this pass; hidden is why what is to be deleted is
	// not.
	doubt, hidden *migration.Fault
	records       map[string]*record // of the listing
}

// suspect is a source folder of which messages are gone.
type suspect struct {
	folder         string // its name when it was looked at
	vanished       bool   // the source lists it no more, and does not open it
	rec            *record
	source, target mailbox.UIDValidity // as recorded then
	held           int64               // messages that the record explained then
	gone           mailbox.UIDSet      // of those
	stay           mailbox.UIDSet      // the last that are still there

	plan deletions
	// others is set where those that are still there are other messages than were copied.
	others bool
}

// compared is how many messages of a folder are compared with their copies before others
// are believed to be gone.
const compared = 5

// lookForGone finds what was delivered and is gone at the source, and what was gone and has
// come back. The listing is a later one where anything is gone.
func (p *lane) lookForGone(ctx context.Context, l *listing) error {
	target, err := p.target.session(ctx)
	if err != nil {
		return err
	}
	if p.job.Mirror && !target.Caps().UIDPlus {
		return migration.NewFault(migration.TargetNotPrepared, migration.ScopeUser, migration.Target, "deletions cannot be carried over: "+
			"the target server has no UIDPLUS (RFC 4315), so it cannot delete single messages without those that its user has marked; "+
			"set deletions to keep", nil)
	}
	source, err := p.source.session(ctx)
	if err != nil {
		return err
	}
	if err := p.settleDeletions(ctx, l); err != nil {
		return err
	}
	wanted := p.filter(l.source)
	p.mirror.records = l.records
	for _, name := range slices.Sorted(maps.Keys(l.records)) {
		r := l.records[name]
		p.mirror.carried += r.uids.len()
		f, listed := l.sourceFolder(name)
		if !listed {
			f = l.vanishedFolder(r, source.Naming())
			wanted.roles[name] = f.Role
		}
		if !wanted.takes(f) || p.isCutShort(f.Status) {
			continue
		}
		mayLack := p.job.Mirror && r.explains() && !(listed && r.addsUp(f.Status))
		// As many may be gone as have come back.
		mayHaveMore := listed && (r.surplus(f.Status) > 0 || r.Forgot && !r.isStill(f.Status))
		if !mayLack && !mayHaveMore {
			continue
		}
		if err := p.lookAtGone(ctx, r, listed); err != nil {
			return err
		}
	}
	if len(p.mirror.suspects) > 0 {
		err = p.listAgain(ctx, l)
	}
	for _, f := range l.source {
		if f.Status != nil {
			p.mirror.messages += int64(f.Status.Messages)
		}
	}
	return err
}

// listAgain lists the source once more. What a folder that is not among them now holds is
// not known.
func (p *lane) listAgain(ctx context.Context, l *listing) (err error) {
	before, wanted := l.source, p.filter(l.source)
	if l.source, _, err = p.list(ctx, &p.source); err != nil {
		return err
	}
	for _, f := range before {
		if _, listed := l.sourceFolder(f.Name); !listed && wanted.takes(f) {
			p.mirror.hidden = contradicts("folder %q was listed, and is not any more", f.Name)
		}
	}
	return p.followRenames(ctx, l)
}

// explains reports whether what the record says of UIDs can be relied on.
func (r *record) explains() bool {
	return r.uids.len() > 0 && r.SourceValidity != 0 && r.TargetValidity != 0 && !r.Writing && !r.Unproven
}

// addsUp reports whether a folder's numbers are those of the messages that the record
// knows of and of as many new ones as there can be: then none is gone, and none came
// back.
func (r *record) addsUp(now *mailbox.Status) bool {
	return r.isComparable(now) && r.surplus(now) == 0
}

func (r *record) isComparable(now *mailbox.Status) bool {
	return now != nil && r.Finished && now.UIDNext >= r.UIDNext && r.UIDNext != 0
}

// surplus is how many more messages a folder has than are known and can be new: they have
// come back, or were put there with old UIDs.
func (r *record) surplus(now *mailbox.Status) int64 {
	if !r.isComparable(now) {
		return 0
	}
	known := r.uids.len() + int64(len(r.skipped)) + r.LeftOut
	return int64(now.Messages) - known - int64(now.UIDNext-r.UIDNext)
}

// sourceFolder returns the source folder of a name, if it is listed as one.
func (l *listing) sourceFolder(name string) (mailbox.Folder, bool) {
	for _, f := range l.source {
		if f.Name == name && f.Selectable {
			return f, true
		}
	}
	return mailbox.Folder{}, false
}

// vanishedFolder is a source folder that is listed no more as a filter knew it: by its
// name, and by the role of the folder where its copies are.
func (l *listing) vanishedFolder(r *record, source mailbox.Naming) mailbox.Folder {
	f := mailbox.Folder{Name: r.folder, Path: []string{r.folder}, Selectable: true}
	if source.Delimiter != "" && r.folder != "INBOX" {
		f.Path = strings.Split(strings.TrimPrefix(r.folder, source.Prefix), source.Delimiter)
	}
	for role, name := range roleFolders(l.target) {
		if name == r.Target {
			f.Role = role
		}
	}
	return f
}

// lookAtGone compares a record with what its source folder holds.
func (p *lane) lookAtGone(ctx context.Context, r *record, listed bool) error {
	sel, there, err := p.uidsThere(ctx, r.folder)
	switch {
	case err == nil && !listed: // it is not gone, and what has come to it is not carried
		if !r.Finished || sel.UIDNext != r.UIDNext {
			p.mirror.hidden = contradicts("folder %q is not listed, opens, and new mail is in it", r.folder)
		}
		return nil
	case isMissing(err) && !listed:
	case err != nil:
		if f := migration.AsFault(err); f.Scope != migration.ScopeFolder && f.Scope != migration.ScopeMessage {
			return err
		}
		return nil // the pass meets it again, and tells
	case sel.UIDValidity != r.SourceValidity:
		return nil // other messages: they are recognised by their contents
	case p.isCutShort(&sel.Status):
		return nil
	case there.Len() < int64(sel.Messages):
		p.mirror.doubt = contradicts("folder %q has %d messages and tells only %d of them", r.folder, sel.Messages, there.Len())
		return nil
	}
	if r.Finished && r.UIDNext > 1 && there.Intersect(mailbox.Span(1, r.UIDNext-1)).Minus(r.decided()).Len() != r.LeftOut {
		r.lookThrough() // some came back
	}
	delivered := r.uids.sources()
	gone := delivered.Minus(there)
	if sel.UIDNext > 0 { // it was set back: what it has not numbered yet it cannot have lost
		gone = gone.Intersect(mailbox.Span(1, sel.UIDNext-1))
	}
	if p.job.Mirror && gone.Len() > 0 {
		p.mirror.suspects = append(p.mirror.suspects, &suspect{
			folder: r.folder, vanished: !listed, rec: r, source: r.SourceValidity, target: r.TargetValidity, held: r.uids.len(), gone: gone,
			stay: lastOf(delivered.Intersect(there), compared),
		})
	}
	return nil
}

// lookThrough has a folder looked through as a whole, its target's too: a copy that was
// kept there is the one of a message that comes back.
func (r *record) lookThrough() { r.Finished, r.TargetSeen = false, 1 }

// lastOf returns the last n UIDs of set.
func lastOf(set mailbox.UIDSet, n int64) mailbox.UIDSet {
	var out mailbox.UIDSet
	for i := len(set) - 1; i >= 0 && out.Len() < n; i-- {
		first := set[i].First
		if more := n - out.Len(); set[i].Len() > more {
			first = set[i].Last - mailbox.UID(more) + 1
		}
		out = out.Union(mailbox.Span(first, set[i].Last))
	}
	return out
}

// uidsThere opens a source folder and returns the UIDs of all messages in it. Messages
// that go meanwhile may be missing: then it looks once more.
func (p *lane) uidsThere(ctx context.Context, folder string) (sel mailbox.Selected, there mailbox.UIDSet, err error) {
	p.source.use.Lock()
	defer p.source.use.Unlock()
	s, err := p.source.session(ctx)
	if err != nil {
		return sel, nil, err
	}
	for range 2 {
		if sel, err = s.Select(ctx, folder, true); err != nil || sel.Messages == 0 {
			return sel, nil, err
		}
		var uids []mailbox.UID
		if err = s.Flags(ctx, mailbox.Span(1, mailbox.MaxUID), 0, func(u mailbox.UID, _ mailbox.Flags) error {
			uids = append(uids, u)
			return nil
		}); err != nil {
			return sel, nil, err
		}
		if there = mailbox.NewUIDSet(uids...); there.Len() >= int64(sel.Messages) {
			break
		}
	}
	return sel, there, nil
}

// isMissing reports whether a server says that a folder is not there.
func isMissing(err error) bool {
	f := migration.AsFault(err)
	return f != nil && f.Code == migration.SourceChanged && f.Scope == migration.ScopeFolder
}

// contradicts is the fault of a source that cannot be believed about what is gone.
func contradicts(format string, args ...any) *migration.Fault {
	return migration.NewFault(migration.SourceChanged, migration.ScopeUser, migration.Source,
		"no deletion is carried over: "+fmt.Sprintf(format, args...), nil)
}

// isIncomplete reports whether anything of the pass failed or was put off.
func (p *pass) isIncomplete() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.yielded || p.owed != nil || len(p.items) > 0 || p.tally.Failed > 0 ||
		slices.ContainsFunc(p.all, func(w *work) bool { return !w.rec.Finished || w.rec.Writing })
}
