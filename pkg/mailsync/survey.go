package mailsync

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// survey looks at both sides and returns the folders that have to be opened, with
// their target folders made.
func (p *lane) survey(ctx context.Context) ([]*work, error) {
	l, err := p.listBoth(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.followRenames(ctx, l); err != nil {
		return nil, err
	}
	if err := p.lookForGone(ctx, l); err != nil {
		return nil, err
	}
	p.assignAll(l)
	voidRecords(p.all)
	if err := p.proveReversed(ctx); err != nil {
		return nil, err
	}
	p.watchMoves()
	if err := p.retrySkipped(ctx); err != nil {
		return nil, err
	}
	p.lookAtDatesAnew()
	queue := p.triage()
	if p.job.DryRun {
		return queue, p.countDates(ctx, queue)
	}
	if err := p.tooManySkipped(); err != nil {
		return nil, err
	}
	p.shareOut(queue)
	p.foresee(p.queue) // the source answers while the target's folders are made
	if len(queue) > 0 {
		if err := p.store(ctx, migration.Window{Tally: p.tally}); err != nil {
			return nil, err
		}
		if err := p.makeFolders(ctx, queue); err != nil {
			return nil, err
		}
	}
	return queue, p.carrySubscriptions(ctx)
}

// listing is what both sides and the records say at the beginning.
type listing struct {
	source, target []mailbox.Folder
	naming         mailbox.Naming // the target's
	records        map[string]*record
	rules          []migration.FolderRule
}

// listBoth lists both sides at once and reads the records.
func (p *lane) listBoth(ctx context.Context) (*listing, error) {
	l := &listing{records: map[string]*record{}, rules: p.job.MapFolders}
	var stored []migration.FolderRecord
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		l.source, _, err = p.list(ctx, &p.source)
		return err
	})
	g.Go(func() (err error) {
		l.target, l.naming, err = p.list(ctx, &p.target)
		return err
	})
	g.Go(func() (err error) {
		stored, err = p.job.Records.Records(gctx)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, s := range stored {
		r, err := loadRecord(s)
		if err != nil {
			return nil, err
		}
		l.records[r.folder] = r
	}
	p.unsettled = p.job.Unsettled && len(stored) == 0
	return l, nil
}

func (p *pass) list(ctx context.Context, l *link) ([]mailbox.Folder, mailbox.Naming, error) {
	l.use.Lock()
	defer l.use.Unlock()
	s, err := l.session(ctx)
	if err != nil {
		return nil, mailbox.Naming{}, err
	}
	folders, err := s.List(ctx)
	return folders, s.Naming(), err
}

// assignAll assigns targets to the folders that are to be carried.
func (p *pass) assignAll(l *listing) {
	keep := p.filter(l.source)
	var wanted []mailbox.Folder
	for _, f := range l.source {
		if keep.takes(f) {
			wanted = append(wanted, f)
		} else if keep.leavesOut(f) {
			p.leftOut = append(p.leftOut, f)
		}
	}
	recorded := map[string]string{}
	for name, r := range l.records {
		recorded[name] = r.Target
	}
	there := map[string]mailbox.Folder{}
	for _, f := range l.target {
		there[f.Name] = f
	}
	for _, name := range p.vanished(l) {
		if f, ok := there[recorded[name]]; ok {
			p.gone = append(p.gone, &work{assignment: assignment{target: f.Name}, rec: l.records[name], dst: f.Status})
		}
	}
	placed, collisions := mapping{source: wanted, all: l.source, target: l.target, naming: l.naming, recorded: recorded, rules: l.rules}.assign()
	for _, c := range collisions {
		w := &work{assignment: assignment{source: c.source, target: c.target}, src: c.source.Status, rec: newRecord(c.source.Name), refused: c.fault()}
		p.collided = append(p.collided, w)
	}
	for _, a := range placed {
		w := &work{assignment: a, src: a.source.Status, rec: l.records[a.source.Name]}
		if w.rec == nil {
			w.rec = newRecord(a.source.Name)
			w.rec.TargetSeen = 1
		}
		w.rec.Target = a.target
		if f, ok := there[a.target]; ok && f.Selectable {
			w.dst = f.Status
			if w.dst == nil {
				w.dst = &mailbox.Status{} // it is there, its numbers are not known
			}
			w.subscribed = f.Subscribed
		}
		if a.renamed {
			p.renamed = append(p.renamed, Renamed{displayPath(a.source), a.target})
		}
		if a.ruled != "" {
			p.kept = append(p.kept, Renamed{displayPath(a.source), a.target})
		}
		p.all = append(p.all, w)
	}
}

// voidRecords forgets what was delivered to a target that is no more, and what was
// read from source folders that are others now.
//
// INBOX with another UIDVALIDITY, or all folders that were filled gone, is a new
// mailbox: everything is void. A single folder with another UIDVALIDITY is void
// alone. A single folder that is gone is the user's doing: its record stays.
func voidRecords(all []*work) {
	filled, gone := 0, 0
	newMailbox := false
	for _, w := range all {
		if w.rec.uids.len() == 0 {
			continue
		}
		filled++
		if w.dst == nil {
			gone++
		}
		if w.target == "INBOX" && w.targetChanged() {
			newMailbox = true
		}
	}
	newMailbox = newMailbox || filled > 0 && gone == filled
	for _, w := range all {
		if w.src != nil && w.rec.SourceValidity != 0 && w.src.UIDValidity != 0 && w.src.UIDValidity != w.rec.SourceValidity {
			w.rec.forget(false)
		}
		if w.rec.uids.len() > 0 && (newMailbox || w.targetChanged()) {
			w.rec.forget(true)
		}
		if w.targetChanged() {
			w.rec.TargetValidity = 0
		}
		if w.rec.TargetSeen == 0 || w.rec.TargetValidity == 0 {
			w.rec.TargetSeen = 1
		}
	}
}

func (w *work) targetChanged() bool {
	return w.dst != nil && w.dst.UIDValidity != 0 && w.rec.TargetValidity != 0 && w.dst.UIDValidity != w.rec.TargetValidity
}

// triage counts every folder and returns those that have to be opened.
func (p *pass) triage() []*work {
	var queue []*work
	p.tally.Folders = int64(len(p.all))
	sizes := p.job.dates().any() // else those left out would count
	for _, w := range p.all {
		if w.src != nil {
			w.tally = folderTally{counted: true, seen: int64(w.src.Messages)}
			if w.rec.Finished {
				w.tally.seen = max(0, w.tally.seen-w.rec.LeftOut)
			}
			p.tally.Seen += w.tally.seen
			sizes = sizes && w.src.Size >= 0
			p.tally.BytesTotal += max(0, w.src.Size)
		}
		if w.rec.Writing || p.unsettled {
			p.settleFirst(w)
		}
		if !w.done() {
			if p.job.DryRun && w.src != nil {
				w.tally.copied = max(0, w.tally.seen-w.rec.uids.len()-int64(len(w.rec.skipped)))
				w.tally.unchanged = w.tally.seen - w.tally.copied
				p.tally.Copied += w.tally.copied
				p.tally.Unchanged += w.tally.unchanged
			}
			queue = append(queue, w)
			continue
		}
		p.tally.FoldersDone++
		p.tally.Skipped += int64(len(w.rec.skipped))
		p.tally.Unchanged += w.tally.seen - int64(len(w.rec.skipped))
	}
	if !sizes {
		p.tally.BytesTotal = 0
	}
	for _, w := range p.collided {
		p.tally.Folders++
		p.folderFailed(w, w.refused)
	}
	return queue
}

// done reports whether nothing can have changed at the source since the folder was
// finished, and nothing is owed. What happened at the target alone is the user's.
func (w *work) done() bool {
	return !w.rec.Writing && (w.dst != nil || w.rec.uids.len() > 0) && w.rec.isStill(w.src)
}

// isStill reports whether a source folder's numbers are those of when it was finished.
func (r *record) isStill(s *mailbox.Status) bool {
	return s != nil && r.Finished && s.UIDValidity == r.SourceValidity && s.Messages == r.Messages && s.UIDNext == r.UIDNext &&
		(s.HighestModSeq != 0 && s.HighestModSeq == r.ModSeq || s.Messages == 0)
}

// retrySkipped takes messages up again that were larger than the limit then, and
// are not now; and all that were skipped, if the job says so.
func (p *lane) retrySkipped(ctx context.Context) error {
	target, err := p.target.session(ctx)
	if err != nil {
		return err
	}
	limit := p.limit(target)
	p.sizeLimit = limit
	for _, w := range p.all {
		if w.rec.SizeLimit == limit && !p.job.Again {
			continue
		}
		for u, it := range w.rec.skipped {
			if p.job.Again || it.Code == migration.MessageTooLarge && (limit == 0 || it.Size <= limit) {
				delete(w.rec.skipped, u)
				w.rec.Finished, w.rec.stale = false, true
			}
		}
	}
	return nil
}

// limit is the size in bytes above which messages are skipped; 0: none is known.
func (p *pass) limit(target mailbox.Session) int64 {
	own, theirs := p.job.MaxMessageSize, target.Caps().AppendLimit
	if own > 0 && (theirs == 0 || own < theirs) {
		return own
	}
	return theirs
}

// makeFolders makes the target folders that are missing, except those that were
// there once: the user deleted them, and they come back only for new mail.
func (p *lane) makeFolders(ctx context.Context, queue []*work) error {
	var missing []*work
	var requests []mailbox.NewFolder
	for _, w := range queue {
		if w.dst == nil && w.rec.uids.len() == 0 {
			missing = append(missing, w)
			role := w.role
			if role == mailbox.RoleInbox {
				role = ""
			}
			requests = append(requests, mailbox.NewFolder{Name: w.target, Role: role})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	p.target.use.Lock()
	defer p.target.use.Unlock()
	s, err := p.target.session(ctx)
	if err != nil {
		return err
	}
	answers := s.Create(ctx, requests)
	failpoint.Reach(failpoint.FoldersCreated)
	for i, err := range answers {
		w := missing[i]
		if err == nil {
			w.made()
			continue
		}
		fault := migration.AsFault(err)
		if fault.Scope != migration.ScopeFolder && fault.Scope != migration.ScopeMessage {
			return fmt.Errorf("create folder %q: %w", w.target, err)
		}
		w.refused = fault
	}
	return p.makeOtherwise(ctx, s, missing)
}

// made notes that the target folder is there now.
func (w *work) made() {
	w.dst, w.refused = &mailbox.Status{UIDNext: 1}, nil
	w.rec.TargetValidity, w.rec.TargetSeen = 0, 1 // of one that was there before
}

// carrySubscriptions brings the target's subscriptions in step where the source's
// have changed since they were last carried. A server that refuses is asked again
// by the next pass.
func (p *lane) carrySubscriptions(ctx context.Context) error {
	for _, want := range []bool{true, false} {
		var changed []*work
		var names []string
		for _, w := range p.all {
			if w.source.Subscribed == w.rec.Subscribed || w.source.Subscribed != want || w.dst == nil {
				continue
			}
			if w.subscribed == want {
				w.rec.Subscribed = want
				continue
			}
			changed, names = append(changed, w), append(names, w.target)
		}
		if len(names) == 0 {
			continue
		}
		if err := p.subscribe(ctx, changed, names, want); err != nil {
			return err
		}
	}
	return nil
}

func (p *lane) subscribe(ctx context.Context, changed []*work, names []string, want bool) error {
	p.target.use.Lock()
	defer p.target.use.Unlock()
	s, err := p.target.session(ctx)
	if err != nil {
		return err
	}
	for i, err := range s.Subscribe(ctx, names, want) {
		if err != nil {
			if f := migration.AsFault(err); f.Scope == migration.ScopeEndpoint || f.Scope == migration.ScopeUser {
				return fmt.Errorf("subscribe %q: %w", names[i], err)
			}
			continue
		}
		changed[i].rec.Subscribed = want
		if !changed[i].rec.Finished {
			continue // the folder's own windows carry it
		}
		w, err := changed[i].rec.window(p.tallyNow())
		if err == nil {
			err = p.store(ctx, w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
