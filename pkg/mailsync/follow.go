package mailsync

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Following a folder that was renamed at the source:
//
//  1. A recorded source name is gone and one without a record has come, of the same
//     UIDVALIDITY. Of the delivered messages, the first and the last that are on both
//     sides still are compared: equal fingerprints make it the same folder.
//  2. The target folder is renamed alike, unless its user has touched it (renamed or
//     deleted it, or made one of the new name), it has a role, or other folders that
//     are carried lie below it. Then it keeps its name.
//  3. The record goes over to the new source name, whole, and then the old one is
//     dropped. Whatever of this a crash leaves out is found the next time: a target
//     folder that has the new name and the recorded UIDVALIDITY was renamed by us.

// renamedFolder is a source folder that the records know by another name.
type renamedFolder struct {
	now mailbox.Folder
	rec *record
	// at is where the target holds its copies now.
	at string
}

// followRenames brings the records in step with source folders that were renamed,
// parents first, and renames their target folders.
func (p *lane) followRenames(ctx context.Context, l *listing) error {
	vanished := p.vanished(l)
	if err := p.dropLeftOvers(ctx, l, vanished); err != nil || len(vanished) == 0 {
		return err
	}
	for _, now := range l.unknown(p.filter(l.source)) {
		for _, old := range vanished {
			r := l.records[old]
			if r == nil || r.SourceValidity != now.Status.UIDValidity || r.uids.len() == 0 {
				continue
			}
			f, same, err := p.sameFolder(ctx, l, now, r)
			if err != nil {
				return err
			}
			if !same {
				continue
			}
			if err := p.follow(ctx, l, f); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// vanished returns the recorded names that the source lists no more, sorted.
func (p *pass) vanished(l *listing) []string {
	there := map[string]bool{}
	for _, f := range l.source {
		there[f.Name] = f.Selectable
	}
	var out []string
	for name := range l.records {
		if !there[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// dropLeftOvers drops the records of old names whose messages are recorded under the
// new one: what a crash in the middle of step 3 leaves.
func (p *pass) dropLeftOvers(ctx context.Context, l *listing, vanished []string) error {
	for _, r := range l.records {
		if old := l.records[r.Was]; old == nil || !slices.Contains(vanished, r.Was) || old.SourceValidity != r.SourceValidity {
			continue
		}
		delete(l.records, r.Was)
		if p.job.DryRun {
			continue
		}
		if err := p.store(ctx, migration.Window{Folder: r.Was, Drop: true}); err != nil {
			return err
		}
	}
	return nil
}

// unknown returns the folders to be carried that have no record, parents first.
func (l *listing) unknown(keep filter) []mailbox.Folder {
	var out []mailbox.Folder
	for _, f := range l.source {
		if keep.takes(f) && l.records[f.Name] == nil && f.Status != nil && f.Status.UIDValidity != 0 && f.Status.Messages > 0 && f.Name != "INBOX" {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b mailbox.Folder) int { return cmp.Compare(len(a.Path), len(b.Path)) })
	return out
}

// sameFolder compares the first and the last message of now that r says to be at the
// target with their copies there.
func (p *lane) sameFolder(ctx context.Context, l *listing, now mailbox.Folder, r *record) (renamedFolder, bool, error) {
	f := renamedFolder{now: now, rec: r}
	for _, name := range []string{r.Target, l.targetOf(now)} {
		at, ok := l.folderAt(name)
		if ok && f.at == "" && at.Status != nil && at.Status.UIDValidity == r.TargetValidity {
			f.at = name
		}
	}
	if f.at == "" {
		return f, false, nil
	}
	there, err := p.presentUIDs(ctx, &p.source, now.Name, r.uids.sources())
	if err != nil {
		return f, false, err
	}
	copies, err := p.presentUIDs(ctx, &p.target, f.at, r.uids.targets(1))
	if err != nil {
		return f, false, err
	}
	first, last := r.uids.ends(there, copies)
	if first.src == 0 {
		return f, false, nil
	}
	source, err := p.prints(ctx, &p.source, now.Name, mailbox.NewUIDSet(first.src, last.src))
	if err != nil {
		return f, false, err
	}
	target, err := p.prints(ctx, &p.target, f.at, mailbox.NewUIDSet(first.dst, last.dst))
	if err != nil {
		return f, false, err
	}
	for _, x := range []pair{first, last} {
		ours, here := source[x.src]
		copied, there := target[x.dst]
		if !here || !there || ours != copied { // what was expunged meanwhile proves nothing
			return f, false, nil
		}
	}
	return f, true, nil
}

// presentUIDs returns which messages of set are in a folder.
func (p *pass) presentUIDs(ctx context.Context, l *link, folder string, set mailbox.UIDSet) (mailbox.UIDSet, error) {
	var uids []mailbox.UID
	err := p.reading(ctx, l, folder, set, func(s mailbox.Session) error {
		return s.Flags(ctx, set, 0, func(u mailbox.UID, _ mailbox.Flags) error {
			uids = append(uids, u)
			return nil
		})
	})
	return mailbox.NewUIDSet(uids...), err
}

// prints returns the fingerprints of messages.
func (p *pass) prints(ctx context.Context, l *link, folder string, set mailbox.UIDSet) (map[mailbox.UID]fingerprint, error) {
	out := map[mailbox.UID]fingerprint{}
	err := p.reading(ctx, l, folder, set, func(s mailbox.Session) error {
		return s.Metas(ctx, set, func(m mailbox.Meta) error {
			out[m.UID] = fingerprintOf(m.Header)
			return nil
		})
	})
	return out, err
}

// reading opens a folder to look at it.
func (p *pass) reading(ctx context.Context, l *link, folder string, set mailbox.UIDSet, look func(mailbox.Session) error) error {
	if len(set) == 0 {
		return nil
	}
	l.use.Lock()
	defer l.use.Unlock()
	s, err := l.session(ctx)
	if err != nil {
		return err
	}
	if _, err := s.Select(ctx, folder, true); err != nil {
		return err
	}
	return look(s)
}

// follow renames the target folder, if nothing is against it, and takes the record
// over.
func (p *lane) follow(ctx context.Context, l *listing, f renamedFolder) error {
	r, old := f.rec, f.rec.folder
	r.Target = f.at
	if name := l.targetOf(f.now); name != f.at && l.mayRename(f, name) && !p.job.DryRun {
		at, _ := l.folderAt(f.at)
		done, err := p.renameTarget(ctx, f.at, name, at.Subscribed)
		if err != nil {
			return err
		}
		if done {
			failpoint.Reach(failpoint.FolderRenamed)
			l.renamedTarget(f.at, name)
			r.Subscribed = false // subscriptions belong to names
		}
	}
	delete(l.records, old)
	r.folder, r.Was, r.stale = f.now.Name, old, true
	l.records[r.folder] = r
	if p.job.DryRun {
		return nil
	}
	w, err := r.window(p.tallyNow())
	if err == nil {
		err = p.store(ctx, w)
	}
	if err != nil {
		return err
	}
	failpoint.Reach(failpoint.RecordMoved)
	return p.store(ctx, migration.Window{Folder: old, Drop: true})
}

// renameTarget reports whether the target has renamed a folder; where it refuses, the
// folder keeps its name.
func (p *lane) renameTarget(ctx context.Context, from, to string, subscribed bool) (bool, error) {
	p.target.use.Lock()
	defer p.target.use.Unlock()
	s, err := p.target.session(ctx)
	if err != nil {
		return false, err
	}
	if err := s.Rename(ctx, from, to); err != nil {
		if migration.AsFault(err).Scope == migration.ScopeFolder {
			return false, nil
		}
		return false, fmt.Errorf("rename folder %q to %q: %w", from, to, err)
	}
	if subscribed { // the old name's subscription would stay; where it is refused, it does
		_ = s.Subscribe(ctx, []string{from}, false)
	}
	return true, nil
}

// targetOf is where a source folder would go if nothing were recorded of it.
func (l *listing) targetOf(f mailbox.Folder) string {
	recorded := map[string]string{}
	for name, r := range l.records {
		if name != f.Name {
			recorded[name] = r.Target
		}
	}
	var known []mailbox.Folder // that keep their place, and f
	for _, x := range l.source {
		if recorded[x.Name] != "" || x.Name == f.Name {
			known = append(known, x)
		}
	}
	placed, _ := mapping{source: known, all: l.source, target: l.target, naming: l.naming, recorded: recorded, rules: l.rules}.assign()
	for _, a := range placed {
		if a.source.Name == f.Name {
			return a.target
		}
	}
	return ""
}

// mayRename reports whether nothing at the target is against a new name of f.
func (l *listing) mayRename(f renamedFolder, to string) bool {
	if _, taken := l.folderAt(to); taken || to == "" || f.at == "INBOX" || to == "INBOX" {
		return false
	}
	for _, name := range roleFolders(l.target) {
		if name == f.at || name == to {
			return false
		}
	}
	if l.naming.Delimiter == "" {
		return true
	}
	there := map[string]bool{}
	for _, x := range l.source {
		there[x.Name] = x.Selectable
	}
	for name, r := range l.records {
		if strings.HasPrefix(r.Target, f.at+l.naming.Delimiter) && there[name] {
			return false // it stays where it is
		}
	}
	return !strings.HasPrefix(to, f.at+l.naming.Delimiter)
}

// folderAt returns the target folder of a name.
func (l *listing) folderAt(name string) (mailbox.Folder, bool) {
	for _, f := range l.target {
		if f.Name == name {
			return f, true
		}
	}
	return mailbox.Folder{}, false
}

// renamedTarget notes that a target folder, and what lies below it, has another name
// now.
func (l *listing) renamedTarget(from, to string) {
	renamed := func(name string) string {
		if below, ok := strings.CutPrefix(name, from); ok && (below == "" || l.naming.Delimiter != "" && strings.HasPrefix(below, l.naming.Delimiter)) {
			return to + below
		}
		return name
	}
	for i := range l.target {
		f := &l.target[i]
		if name := renamed(f.Name); name != f.Name {
			f.Name, f.Subscribed = name, false
			path := strings.TrimPrefix(name, l.naming.Prefix)
			f.Path = []string{path}
			if l.naming.Delimiter != "" {
				f.Path = strings.Split(path, l.naming.Delimiter)
			}
		}
	}
	for _, r := range l.records {
		r.Target = renamed(r.Target)
	}
}
