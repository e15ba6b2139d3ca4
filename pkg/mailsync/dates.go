package mailsync

import (
	"context"
	"slices"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// Messages of a time. An operator may want only mail that the source received in some
// time carried. What lies outside of it is not seen: it counts nowhere, and is not
// decided, so that a later pass with a wider time finds it as if it had just come. What
// was delivered before the time was narrowed stays in step.
//
// Only INTERNALDATE counts, to the second (the keys SINCE and BEFORE of IMAP's SEARCH
// drop the hour and the zone, RFC 9051 section 6.4.4). It is read where a time is set,
// of messages that are not decided. A folder that is finished remembers how many it left
// out; only where messages have gone since are they counted again.

// dates is the time from since on (zero: any) to just before before (zero: any).
type dates struct{ since, before time.Time }

func (j *Job) dates() dates { return dates{j.Since, j.Before} }

// any reports whether every message is of the time.
func (d dates) any() bool { return d.since.IsZero() && d.before.IsZero() }

// leavesOut reports whether a message is outside the time. One without a date is not:
// nothing is left behind on a guess.
func (d dates) leavesOut(received time.Time) bool {
	return !received.IsZero() &&
		(!d.since.IsZero() && received.Before(d.since) || !d.before.IsZero() && !received.Before(d.before))
}

// seconds are the ends as they are recorded; 0: none.
func (d dates) seconds() (since, before int64) {
	if !d.since.IsZero() {
		since = d.since.Unix()
	}
	if !d.before.IsZero() {
		before = d.before.Unix()
	}
	return since, before
}

// lookAtDatesAnew has folders looked through again that were finished under another
// time, their target's too: what it held from the first may be what was left out.
func (p *pass) lookAtDatesAnew() {
	since, before := p.job.dates().seconds()
	for _, w := range p.all {
		if w.rec.Since != since || w.rec.Before != before {
			w.rec.Since, w.rec.Before, w.rec.LeftOut, w.rec.Finished = since, before, 0, false
			w.rec.TargetSeen = 1
		}
	}
}

// ofTime returns those of the undecided messages that exist and are of the time, and
// notes in f what is left out. The source's folder is open.
func (p *pass) ofTime(ctx context.Context, f *work, source mailbox.Session, sel mailbox.Selected, undecided mailbox.UIDSet) (mailbox.UIDSet, error) {
	wanted, left, err := p.byTime(ctx, source, undecided)
	if err != nil {
		return nil, err
	}
	f.left, f.leftBefore = left, 0
	if !f.rec.Finished || f.rec.LeftOut == 0 {
		return wanted, nil
	}
	f.leftBefore = f.rec.LeftOut
	if int64(sel.Messages) == int64(f.rec.Messages)+wanted.Len()+left.Len() {
		return wanted, nil // none of those there then has gone
	}
	f.leftBefore = 0
	return wanted, source.Flags(ctx, mailbox.Span(1, f.rec.UIDNext-1).Minus(f.rec.decided()), 0, func(mailbox.UID, mailbox.Flags) error {
		f.leftBefore++
		return nil
	})
}

// byTime parts the messages of set that exist into those of the time and the others.
func (p *pass) byTime(ctx context.Context, source mailbox.Session, set mailbox.UIDSet) (wanted, left mailbox.UIDSet, err error) {
	if len(set) == 0 {
		return nil, nil, nil
	}
	of := p.job.dates()
	var in, out []mailbox.UID
	err = source.Metas(ctx, set, func(m mailbox.Meta) error {
		if of.leavesOut(m.Date) {
			out = append(out, m.UID)
		} else {
			in = append(in, m.UID)
		}
		return nil
	})
	return mailbox.NewUIDSet(in...), mailbox.NewUIDSet(out...), err
}

// leftOut is how many of the folder's messages are not seen.
func (f *work) leftOut() int64 { return f.leftBefore + f.left.Len() }

// leftBelow is leftOut of the messages below next: those above are looked at again.
func (f *work) leftBelow(next mailbox.UID) int64 {
	if next == 0 {
		return 0
	}
	return f.leftBefore + f.left.Intersect(mailbox.Span(1, next-1)).Len()
}

// countDates takes off a dry run's numbers what is left out.
func (p *lane) countDates(ctx context.Context, queue []*work) error {
	p.source.use.Lock()
	defer p.source.use.Unlock()
	for _, w := range queue {
		if p.job.dates().any() || w.isEmpty() {
			continue
		}
		source, err := p.source.session(ctx)
		if err != nil {
			return err
		}
		sel, err := source.Select(ctx, w.source.Name, true)
		if err != nil {
			return err
		}
		if _, w.left, err = p.byTime(ctx, source, w.undecidedUIDs(sel)); err != nil {
			return err
		}
		t := w.tally
		t.seen, t.copied = max(0, t.seen-w.left.Len()), max(0, t.copied-w.left.Len())
		p.mu.Lock()
		p.count(w, t)
		p.mu.Unlock()
	}
	return nil
}

// ofTime drops the source's messages that are not seen: outside the time, and never
// delivered.
func (v *verifier) ofTime(w *work, source []copyOf) []copyOf {
	of := dates{v.job.Since, v.job.Before}
	if of.any() {
		return source
	}
	decided := w.rec.decided()
	return slices.DeleteFunc(source, func(c copyOf) bool {
		return c.date != 0 && of.leavesOut(time.Unix(c.date, 0)) && !decided.Contains(c.uid)
	})
}
