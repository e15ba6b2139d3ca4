package mailsync

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// VerifyJob compares two mailboxes.
type VerifyJob struct {
	Source, Target mailbox.Opener
	Records        Records // nil: none
	Selection
	// Observe is told how many messages of both sides have been read, after each of them
	// and from both sides at once, and how many there were to begin with; nil: nobody.
	Observe func(read, all int64)
}

// copyOf is what verify keeps of one message: a digest each, whatever its size.
type copyOf struct {
	uid   mailbox.UID
	raw   digest
	form  digest
	date  int64 // Unix seconds, 0 without
	flags mailbox.Flags
	print fingerprint
	id    string // Message-ID
	size  int64
}

// Verify reads both mailboxes whole and names every difference. It changes nothing.
//
//  1. Folders are assigned as in a pass.
//  2. Per folder, messages are paired by equal contents: those of equal date and
//     flags first, so that one fault is counted once; then, among what is left, by
//     the form that servers are known to leave alike (normalised).
//  3. What remains of the source is altered, if a message at the target has its
//     fingerprint, or else missing; with records, a message that was delivered and is
//     in another folder of the target now was moved there by its user, one that is
//     nowhere was removed. What remains of the target is extra.
func Verify(ctx context.Context, job VerifyJob) (migration.Receipt, error) {
	v := &verifier{job: job, receipt: migration.Receipt{}}
	if err := v.run(ctx); err != nil {
		return v.receipt, cmp.Or(context.Cause(ctx), err)
	}
	return v.receipt, nil
}

type verifier struct {
	job     VerifyJob
	receipt migration.Receipt
	lines   []string // of the digest
	// unmatched waits until all folders are read: a message may have been moved.
	lost, found []stray
	read, all   atomic.Int64 // messages of both sides
}

type stray struct {
	folder  string
	message copyOf
	known   bool // the record says that it was delivered
}

func (v *verifier) run(ctx context.Context) error {
	job := Job{Source: v.job.Source, Target: v.job.Target, Records: v.job.Records, Selection: v.job.Selection}
	if job.Records == nil {
		job.Records = NewMemoryRecords()
	}
	p := newPass(job).lanes[0]
	defer p.source.close()
	defer p.target.close()
	l, err := p.listBoth(ctx)
	if err != nil {
		return err
	}
	p.assignAll(l)
	folders := slices.Concat(p.all, p.collided)
	for _, w := range folders {
		for _, st := range []*mailbox.Status{w.src, w.dst} {
			if st != nil {
				v.all.Add(int64(st.Messages))
			}
		}
	}
	for _, w := range folders {
		if err := v.folder(ctx, p, w); err != nil {
			return err
		}
	}
	v.strays()
	slices.Sort(v.lines)
	sum := sha256.New()
	for _, l := range v.lines {
		_, _ = io.WriteString(sum, l) // a hash takes everything
	}
	v.receipt.Digest = hex.EncodeToString(sum.Sum(nil))
	v.receipt.At = time.Now().UTC()
	return nil
}

func (v *verifier) folder(ctx context.Context, p *lane, w *work) error {
	v.receipt.Folders++
	var source, target []copyOf
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		source, err = v.readCopies(gctx, &p.source, w.source.Name, w.src)
		return err
	})
	if w.dst != nil {
		g.Go(func() (err error) {
			target, err = v.readCopies(gctx, &p.target, w.target, w.dst)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("verify folder %q: %w", w.source.Name, err)
	}
	source = v.ofTime(w, source)
	path := displayPath(w.source)
	if w.dst == nil {
		if w.rec.uids.len() == 0 {
			v.receipt.FoldersMissing++
			v.differ("foldersMissing", path, copyOf{}, copyOf{}, "")
		}
	}
	for _, m := range source {
		v.receipt.Messages++
		v.receipt.Bytes += m.size
		if _, skipped := w.rec.skipped[m.uid]; !skipped {
			v.lines = append(v.lines, fmt.Sprintf("%s\t%x\n", path, m.raw))
		}
	}
	v.compare(path, w, source, target)
	return nil
}

// readCopies reads a folder whole.
func (v *verifier) readCopies(ctx context.Context, l *link, name string, st *mailbox.Status) ([]copyOf, error) {
	if st != nil && st.UIDNext != 0 && st.Messages == 0 {
		return nil, nil
	}
	s, err := l.session(ctx)
	if err != nil {
		return nil, err
	}
	sel, err := s.Select(ctx, name, true)
	if err != nil || sel.Messages == 0 {
		return nil, err
	}
	out := make([]copyOf, 0, sel.Messages)
	last := mailbox.MaxUID
	if sel.UIDNext > 0 {
		last = sel.UIDNext - 1
	}
	err = s.Messages(ctx, mailbox.Span(1, last), func(m mailbox.Message) error {
		c, err := readCopy(m)
		out = append(out, c)
		if n := v.read.Add(1); v.job.Observe != nil {
			v.job.Observe(n, v.all.Load())
		}
		return err
	})
	slices.SortFunc(out, func(a, b copyOf) int { return cmp.Compare(a.uid, b.uid) })
	return out, err
}

// readCopy digests a message as it streams by.
func readCopy(m mailbox.Message) (copyOf, error) {
	c := copyOf{uid: m.UID, flags: m.Flags, size: m.Size}
	if !m.Date.IsZero() {
		c.date = m.Date.Unix()
	}
	head := headKeeper{}
	d, err := digestOf(io.TeeReader(m.Body, &head))
	header := headerOf(head.b)
	c.raw, c.form, c.print, c.id = d.raw, d.form, fingerprintOf(header), messageID(header)
	return c, err
}

// headKeeper keeps the first bytes written to it.
type headKeeper struct{ b []byte }

func (h *headKeeper) Write(p []byte) (int, error) {
	if room := 16<<10 - len(h.b); room > 0 {
		h.b = append(h.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// compare pairs one folder's messages.
func (v *verifier) compare(path string, w *work, source, target []copyOf) {
	pairs, source, target := pairCopies(source, target,
		func(c copyOf) string { return fmt.Sprintf("%x %d %s", c.raw, c.date, c.flags) },
		func(c copyOf) string { return fmt.Sprintf("%x %d", c.raw, c.date) },
		func(c copyOf) string { return string(c.raw[:]) })
	for _, x := range pairs {
		v.sameContents(path, x[0], x[1])
	}
	normalised, source, target := pairCopies(source, target,
		func(c copyOf) string { return fmt.Sprintf("%x %d", c.form, c.date) },
		func(c copyOf) string { return string(c.form[:]) })
	for _, x := range normalised {
		v.receipt.Normalised++
		v.differ("normalised", path, x[0], x[1], fmt.Sprintf("%d bytes became %d", x[0].size, x[1].size))
		v.sameContents(path, x[0], x[1])
	}
	altered, source, target := pairCopies(source, target, func(c copyOf) string { return string(c.print[:]) })
	for _, x := range altered {
		if it, ok := w.rec.skipped[x[0].uid]; ok {
			v.skip(path, x[0], it)
			continue
		}
		v.receipt.Altered++
		v.differ("altered", path, x[0], x[1], "")
	}
	for _, m := range source {
		if it, ok := w.rec.skipped[m.uid]; ok {
			v.skip(path, m, it)
			continue
		}
		_, _, known := w.rec.uids.get(m.uid)
		v.lost = append(v.lost, stray{path, m, known})
	}
	for _, m := range target {
		v.found = append(v.found, stray{folder: path, message: m})
	}
}

// sameContents compares what is not content.
func (v *verifier) sameContents(path string, source, target copyOf) {
	if source.date != target.date {
		v.receipt.WrongDate++
		v.differ("wrongDate", path, source, target, fmt.Sprintf("off by %d s", target.date-source.date))
	}
	if !source.flags.Equal(target.flags) {
		v.receipt.WrongFlags++
		v.differ("wrongFlags", path, source, target, fmt.Sprintf("(%s) became (%s)", source.flags, target.flags))
	}
}

// pairCopies pairs messages by the first key under which they are equal; what is
// left of both sides comes back in its order.
func pairCopies(source, target []copyOf, keys ...func(copyOf) string) (pairs [][2]copyOf, restS, restT []copyOf) {
	for _, key := range keys {
		waiting := map[string][]copyOf{}
		for _, t := range target {
			waiting[key(t)] = append(waiting[key(t)], t)
		}
		restS = nil
		taken := map[mailbox.UID]bool{}
		for _, s := range source {
			k := key(s)
			if q := waiting[k]; len(q) > 0 {
				pairs = append(pairs, [2]copyOf{s, q[0]})
				taken[q[0].uid] = true
				waiting[k] = q[1:]
			} else {
				restS = append(restS, s)
			}
		}
		restT = nil
		for _, t := range target {
			if !taken[t.uid] {
				restT = append(restT, t)
			}
		}
		source, target = restS, restT
	}
	return pairs, source, target
}

// strays judges what was not paired in its folder.
func (v *verifier) strays() {
	elsewhere := map[digest][]stray{}
	for _, f := range v.found {
		elsewhere[f.message.raw] = append(elsewhere[f.message.raw], f)
	}
	taken := map[string]bool{}
	for _, l := range v.lost {
		q := elsewhere[l.message.raw]
		switch {
		case l.known && len(q) > 0:
			v.receipt.MovedAtTarget++
			v.differ("movedAtTarget", l.folder, l.message, q[0].message, "now in "+q[0].folder)
			taken[fmt.Sprint(q[0].folder, q[0].message.uid)] = true
			elsewhere[l.message.raw] = q[1:]
		case l.known:
			v.receipt.RemovedAtTarget++
			v.differ("removedAtTarget", l.folder, l.message, copyOf{}, "")
		default:
			v.receipt.Missing++
			v.differ("missing", l.folder, l.message, copyOf{}, "")
		}
	}
	for _, f := range v.found {
		if !taken[fmt.Sprint(f.folder, f.message.uid)] {
			v.receipt.Extra++
			v.differ("extra", f.folder, copyOf{}, f.message, "")
		}
	}
}

// skip counts a message that a pass has left behind and told of.
func (v *verifier) skip(path string, source copyOf, it migration.Item) {
	v.receipt.Skipped++
	v.differ("skipped", path, source, copyOf{}, fmt.Sprintf("%s: %s", it.Code, it.Reason))
}

func (v *verifier) differ(kind, folder string, source, target copyOf, detail string) {
	if len(v.receipt.Differences) >= migration.MaxDifferences {
		return
	}
	v.receipt.Differences = append(v.receipt.Differences, migration.Difference{
		Kind: kind, Folder: folder, SourceUID: uint32(source.uid), TargetUID: uint32(target.uid),
		MessageID: migration.Clean(cmp.Or(source.id, target.id)), Detail: migration.Clean(detail),
	})
}
