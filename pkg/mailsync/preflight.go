package mailsync

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// PreflightJob looks at one mailbox pair before anything is copied.
type PreflightJob struct {
	Source, Target mailbox.Opener
	Records        Records // nil: none
	Selection
	MaxMessageSize int64 // as in Job
	// AppendLimit is the largest message that the target is known to take where it does
	// not tell itself; 0: nothing is known.
	AppendLimit int64
}

// Preflight finds out what a pass would meet. It changes nothing anywhere: folders are
// opened read-only, none is made.
//
//  1. Both sides are logged in to and listed at once, and the target is asked for its
//     room. A fault of one side is a finding, and keeps nothing of the other side back.
//  2. Folders are assigned as in a pass; other names and what is left out are told.
//  3. Sizes are read as a stream, and only of folders that can hold a larger message than
//     the largest known, or whose sum the source does not tell; with a limit on size, of
//     those too that can hold a message above it. Of a batch with a time, of all.
//  4. What is found is held against what the target has room for.
//
// What was found before an error is valid beside it; the error is a fault that would have
// ended a pass.
func Preflight(ctx context.Context, job PreflightJob) (migration.Preflight, error) {
	begun := time.Now()
	f := &preflight{job: job}
	err := f.run(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return f.found, cause
	}
	f.found.At, f.found.Took = time.Now().UTC(), time.Since(begun)
	return f.found, err
}

type preflight struct {
	job    PreflightJob
	lane   *lane
	listed *listing
	room   mailbox.Room
	failed [2]error // of the source, of the target
	found  migration.Preflight
}

func (f *preflight) run(ctx context.Context) error {
	job := Job{Source: f.job.Source, Target: f.job.Target, Records: f.job.Records, Selection: f.job.Selection}
	if job.Records == nil {
		job.Records = NewMemoryRecords()
	}
	f.lane = newPass(job).lanes[0]
	defer f.lane.source.close()
	defer f.lane.target.close()
	if err := f.list(ctx); err != nil {
		return err
	}
	if f.failed[1] == nil {
		f.lookAtTarget()
	}
	if f.failed[0] == nil {
		f.lane.assignAll(f.listed)
		f.lookAtFolders()
		f.failed[0] = f.measure(ctx)
	}
	for _, err := range f.failed {
		if err != nil {
			f.found.FindFault(migration.AsFault(err))
		}
	}
	f.judge()
	return cmp.Or(f.failed[0], f.failed[1])
}

// list asks both sides at once. The error is of the records alone.
func (f *preflight) list(ctx context.Context) error {
	f.listed = &listing{records: map[string]*record{}, rules: f.job.MapFolders}
	var sides errgroup.Group
	sides.Go(func() error {
		f.listed.source, _, f.failed[0] = f.lane.list(ctx, &f.lane.source)
		return nil
	})
	sides.Go(func() error {
		f.listed.target, f.listed.naming, f.failed[1] = f.lane.list(ctx, &f.lane.target)
		if f.failed[1] != nil {
			return nil
		}
		s, err := f.lane.target.session(ctx)
		if err == nil {
			f.room, err = s.Room(ctx)
		}
		f.failed[1] = err
		return nil
	})
	stored, err := f.lane.job.Records.Records(ctx)
	_ = sides.Wait() // their errors are in failed
	if err != nil {
		return err
	}
	for _, s := range stored {
		r, err := loadRecord(s)
		if err != nil {
			return err
		}
		f.listed.records[r.folder] = r
	}
	return nil
}

func (f *preflight) lookAtTarget() {
	for _, x := range f.listed.target {
		if !x.Selectable || x.Role == mailbox.RoleAll {
			continue
		}
		f.found.TargetFolders++
		if x.Status != nil {
			f.found.TargetMessages += int64(x.Status.Messages)
		}
	}
	if n := f.found.TargetMessages; n > 0 {
		f.found.Find(migration.FindingTargetHolds, migration.LevelNote, migration.Target,
			fmt.Sprintf("the target holds %d messages in %d folders", n, f.found.TargetFolders))
	}
	if f.room.Limit > 0 {
		f.found.Quota = &migration.Quota{Used: f.room.Used, Limit: f.room.Limit}
	}
	f.found.SizeLimit = cmp.Or(f.room.AppendLimit, f.job.AppendLimit)
	if own := f.job.MaxMessageSize; own > 0 && (f.found.SizeLimit == 0 || own < f.found.SizeLimit) {
		f.found.SizeLimit = own
	}
}

// lookAtFolders tells of folders that get other names, and of those that stay.
func (f *preflight) lookAtFolders() {
	carried := map[string]bool{}
	for _, w := range f.lane.collided {
		carried[w.source.Name] = true // it is another finding
		f.found.Find(migration.FindingCode(w.refused.Code), migration.LevelWarning, migration.Source, w.refused.Reason)
	}
	odd := 0
	var examples []string
	for _, w := range f.lane.all {
		carried[w.source.Name] = true
		if !w.renamed || f.failed[1] != nil {
			continue
		}
		r := migration.RenamedFolder{From: displayPath(w.source), To: w.target, Why: whyRenamed(w.assignment, f.listed.naming)}
		if r.Why != migration.RenamedByPlace {
			odd++
			examples = append(examples, fmt.Sprintf("%q becomes %q", r.From, r.To))
		}
		f.found.Renamed = append(f.found.Renamed, r)
	}
	slices.SortStableFunc(f.found.Renamed, func(a, b migration.RenamedFolder) int {
		return boolCompare(a.Why == migration.RenamedByPlace, b.Why == migration.RenamedByPlace)
	})
	f.found.Renamed = f.found.Renamed[:min(len(f.found.Renamed), migration.MaxNamed)]
	if odd > 0 {
		f.found.Find(migration.FindingRenamed, migration.LevelWarning, migration.Target,
			fmt.Sprintf("%s another name at the target: %s", countFolders(odd, "gets", "get"), some(examples)))
	}
	f.lookAtLength()
	f.lookAtWhatStays(carried)
	var left []string
	for _, x := range f.listed.source {
		if x.Selectable && x.Role != mailbox.RoleAll && !carried[x.Name] {
			left = append(left, displayPath(x))
		}
	}
	if len(left) > 0 {
		all := append(f.found.LeftOut, left...)
		f.found.LeftOut = all[:min(len(all), migration.MaxNamed)]
		f.found.Find(migration.FindingLeftOut, migration.LevelNote, migration.Source,
			fmt.Sprintf("%s left out by the batch's filters: %s", countFolders(len(left), "is", "are"), some(left)))
	}
	if s := f.lane.source.current(); s != nil {
		if others := s.Naming().Others; len(others) > 0 {
			f.found.Find(migration.FindingLeftOut, migration.LevelNote, migration.Source,
				"what lies in the namespaces of other users and of all is left out: "+some(others))
		}
	}
}

// lookAtLength tells of folders that are still to be made and that many targets refuse for
// the length of their names: by a part of it, or, some of them, by the whole. Which do is
// not told by any server, so a sync tries (see otherNames).
func (f *preflight) lookAtLength() {
	if f.failed[1] != nil {
		return
	}
	there := map[string]bool{}
	for _, x := range f.listed.target {
		there[x.Name] = true
	}
	var long []string
	level := migration.LevelNote
	for _, w := range f.lane.all {
		if there[w.target] || wireLength(w.target) <= fileName {
			continue
		}
		parts := []string{w.target}
		if d := f.listed.naming.Delimiter; d != "" {
			parts = strings.Split(w.target, d)
		}
		if slices.ContainsFunc(parts, func(part string) bool { return wireLength(part) > fileName }) {
			level = migration.LevelWarning
		}
		path := []rune(displayPath(w.source))
		long = append(long, fmt.Sprintf("%q...", string(path[:min(len(path), shortPart)])))
	}
	if len(long) > 0 {
		f.found.Find(migration.FindingLongNames, level, migration.Target,
			fmt.Sprintf("%s a name of more than %d bytes, which the target may refuse: %s", countFolders(len(long), "has", "have"), fileName, some(long)))
	}
}

// lookAtWhatStays tells of folders that are left out by default, which are carried then
// as far as others go, and of those that the source does not show as a whole.
func (f *preflight) lookAtWhatStays(carried map[string]bool) {
	var left []string
	for _, x := range f.lane.leftOut {
		carried[x.Name] = true
		left = append(left, displayPath(x))
	}
	if len(left) > 0 {
		f.found.LeftOut = left[:min(len(left), migration.MaxNamed)]
		f.found.Find(migration.FindingCode(migration.LeftOutByPreset), migration.LevelNote, migration.Source,
			fmt.Sprintf("%s left out by default: %s", countFolders(len(left), "is", "are"), some(left)))
	}
	for _, w := range f.lane.all {
		if f.lane.isCutShort(w.src) {
			f.found.Find(migration.FindingCode(migration.FolderNotWhole), migration.LevelWarning, migration.Source,
				displayPath(w.source)+": "+f.lane.notWhole(w))
		}
	}
}

// whyRenamed tells a name that cannot be from one that is another's, and both from a
// folder that goes where its use has a place.
func whyRenamed(a assignment, naming mailbox.Naming) migration.RenameWhy {
	spelled := spell(a.source.Path, naming)
	switch {
	case strings.HasPrefix(a.target, naming.Join(spelled)+" ("):
		return migration.RenamedApart
	case !slices.Equal(spelled, a.source.Path):
		return migration.RenamedCharacters
	}
	return migration.RenamedByPlace
}

func countFolders(n int, one, many string) string {
	if n == 1 {
		return "1 folder " + one
	}
	return fmt.Sprintf("%d folders %s", n, many)
}

// some lists the first of names.
func some(names []string) string {
	const few = 5
	if more := len(names) - few; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), more)
	}
	return strings.Join(names, ", ")
}

// measure counts messages and bytes, and finds the largest.
func (f *preflight) measure(ctx context.Context) error {
	f.found.Folders = int64(len(f.lane.all))
	bySize := slices.Clone(f.lane.all)
	// The largest folder first: most others cannot hold a larger message then.
	slices.SortStableFunc(bySize, func(a, b *work) int { return cmp.Compare(sizeOf(b), sizeOf(a)) })
	for _, w := range bySize {
		if w.src != nil && w.src.Messages == 0 && w.src.UIDNext != 0 {
			continue
		}
		m := measured{messages: -1}
		if w.src != nil {
			m.messages, m.bytes = int64(w.src.Messages), w.src.Size
		}
		if f.needsLook(m) {
			var err error
			if m, err = f.look(ctx, w); err != nil {
				return err
			}
		}
		f.found.Messages += m.messages
		f.found.Bytes += m.bytes
		f.found.ToCome += m.toCome(w.rec.uids.len())
	}
	return nil
}

// measured are a folder's messages and their bytes; messages are -1 and bytes too where
// they are not known.
type measured struct{ messages, bytes int64 }

// toCome is the part of the bytes that is left where n messages were delivered.
func (m measured) toCome(n int64) int64 {
	left := max(0, m.messages-n)
	if left == m.messages {
		return m.bytes
	}
	return int64(float64(m.bytes) * float64(left) / float64(m.messages))
}

func sizeOf(w *work) int64 {
	if w.src == nil || w.src.Size < 0 {
		return 1<<63 - 1
	}
	return w.src.Size
}

// needsLook tells whether a folder's messages have to be looked at one by one.
func (f *preflight) needsLook(m measured) bool {
	limit := f.found.SizeLimit
	return m.messages < 0 || m.bytes < 0 || !f.lane.job.dates().any() ||
		f.found.Largest == nil || m.bytes > f.found.Largest.Size || limit > 0 && m.bytes > limit
}

// look reads the sizes of one folder. One that went away since it was listed is empty.
func (f *preflight) look(ctx context.Context, w *work) (measured, error) {
	var m measured
	s, err := f.lane.source.session(ctx)
	if err != nil {
		return m, err
	}
	sel, err := s.Select(ctx, w.source.Name, true)
	if fault := migration.AsFault(err); fault != nil && (fault.Scope == migration.ScopeFolder || fault.Scope == migration.ScopeMessage) {
		f.found.Find(migration.FindingCode(fault.Code), migration.LevelWarning, fault.Side, fault.Reason)
		return m, nil
	}
	if err != nil || sel.Messages == 0 {
		return m, err
	}
	last := mailbox.MaxUID
	if sel.UIDNext > 0 {
		last = sel.UIDNext - 1
	}
	of := f.lane.job.dates()
	err = s.Sizes(ctx, mailbox.Span(1, last), func(_ mailbox.UID, size int64, received time.Time) error {
		if of.leavesOut(received) {
			return nil
		}
		m.messages++
		m.bytes += size
		if f.found.Largest == nil || size > f.found.Largest.Size {
			f.found.Largest = &migration.Largest{Folder: displayPath(w.source), Size: size}
		}
		if f.found.SizeLimit > 0 && size > f.found.SizeLimit {
			f.found.TooLarge++
		}
		return nil
	})
	return m, err
}

// judge holds what is to come against what there is room for.
func (f *preflight) judge() {
	p := &f.found
	if p.TooLarge > 0 {
		p.Find(migration.FindingCode(migration.MessageTooLarge), migration.LevelWarning, migration.Target,
			fmt.Sprintf("messages above the limit of %s: %d; the largest is %s, in %s", bytesText(p.SizeLimit), p.TooLarge, bytesText(p.Largest.Size), p.Largest.Folder))
	}
	if f.failed[0] == nil && p.Messages == 0 {
		p.Find(migration.FindingEmpty, migration.LevelNote, migration.Source, "there is no message to be carried")
	}
	switch q := p.Quota; {
	case f.failed[1] != nil:
	case q == nil:
		p.Find(migration.FindingNoQuota, migration.LevelNote, migration.Target, "the target does not tell how much the mailbox may hold")
	case q.Used+p.ToCome > q.Limit:
		level, but := migration.LevelFailing, ""
		if p.TargetMessages > 0 && p.ToCome <= q.Limit {
			level, but = migration.LevelWarning, "; it fits only as far as the target holds the same messages already, which are not copied again"
		}
		p.Find(migration.FindingCode(migration.QuotaExceeded), level, migration.Target,
			fmt.Sprintf("it will not fit: %s are to come, and the target has room for %s of %s%s",
				bytesText(p.ToCome), bytesText(max(0, q.Limit-q.Used)), bytesText(q.Limit), but))
	}
}

// bytesText spells bytes for people.
func bytesText(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for ; v >= 999.95 && unit < 5; unit++ {
		v /= 1000
	}
	return fmt.Sprintf("%.1f %cB", v, " kMGTP"[unit])
}
