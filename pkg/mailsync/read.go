package mailsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// step is what the reader hands the writer: the beginning of a folder, a message,
// or the folder's end.
type step struct {
	folder *work
	begin  *prepared               // first step of a folder
	hand   *hand                   // first step of another lane's folder
	abort  context.CancelCauseFunc // with begin or hand: ends the reading
	msg    *mailbox.Message        // nil: only done
	done   func()                  // to be called when msg is of no use any more; nil for none
	end    bool                    // last step of a folder
	err    error                   // with end: why the reader could not finish
	// unread are the messages that exist and were not delivered.
	unread mailbox.UIDSet
	gone   int64 // messages that were expunged before they were read
}

// take prepares a folder and streams it to the writer. handed is whether the writer
// has it now and will hand it back.
func (p *lane) take(ctx context.Context, f *work, w *writer) (handed bool, err error) {
	if f.refused != nil {
		return false, f.refused
	}
	if f.settled {
		// What is believed of the tail must come over a new connection.
		f.settled = false
		if err := p.reopenTarget(ctx, w); err != nil {
			return false, err
		}
	}
	prep, err := p.prepare(ctx, f)
	if err != nil {
		return false, err
	}
	hopeless, err := p.hopeless(ctx, f, prep)
	if err != nil {
		return false, err
	}
	prep.copy = prep.copy.Minus(hopeless)
	fctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	if err := p.shareFolder(ctx, fctx, f, prep); err != nil {
		return false, err
	}
	if err := w.send(ctx, step{folder: f, begin: prep, abort: abort}); err != nil {
		return true, err
	}
	end := step{folder: f, end: true}
	if len(prep.copy) > 0 {
		received, err := p.stream(ctx, fctx, f, prep, w)
		if s := prep.shared; s != nil {
			others, disturbed := s.close(ctx)
			received = received.Union(others)
			if err != nil || disturbed {
				f.disturbed++
			}
		}
		if err == nil {
			end.unread, end.gone, err = p.missing(ctx, f, prep, received)
		}
		end.err = err
	}
	end.unread = end.unread.Union(hopeless)
	if err := w.send(ctx, end); err != nil {
		return true, err
	}
	return true, end.err
}

// failedAt notes at which message the source failed, or after which.
func (f *work) failedAt(u mailbox.UID, after bool) {
	if u != f.stuckAt || after != f.stuckAfter {
		f.stuckAt, f.stuckAfter, f.stuck = u, after, 0
	}
	f.stuck++
}

// hopeless is the message, if any, at which the source has failed again and again:
// it is left out, so that the rest can go on.
func (p *lane) hopeless(ctx context.Context, f *work, prep *prepared) (mailbox.UIDSet, error) {
	if f.stuck < hopelessAfter {
		return nil, nil
	}
	if !f.stuckAfter {
		return mailbox.NewUIDSet(f.stuckAt).Intersect(prep.copy), nil
	}
	p.source.use.Lock()
	defer p.source.use.Unlock()
	source, err := p.source.session(ctx)
	if err != nil {
		return nil, err
	}
	next := mailbox.UID(0)
	err = source.Flags(ctx, prep.copy.Intersect(mailbox.Span(f.stuckAt+1, mailbox.MaxUID)), 0, func(u mailbox.UID, _ mailbox.Flags) error {
		if next == 0 || u < next {
			next = u
		}
		return nil
	})
	if err != nil || next == 0 {
		return nil, err
	}
	return mailbox.NewUIDSet(next), nil
}

func (p *lane) reopenTarget(ctx context.Context, w *writer) error {
	p.target.use.Lock()
	defer p.target.use.Unlock()
	w.unanswered.Wait() // over the one that is closed
	p.target.close()
	_, err := p.target.session(ctx)
	return err
}

// stream reads the messages and passes them on, small ones from memory so that the
// source is read ahead of the target, large ones straight through.
func (p *lane) stream(ctx, fctx context.Context, f *work, prep *prepared, w *writer) (mailbox.UIDSet, error) {
	p.source.use.Lock()
	defer p.source.use.Unlock()
	source, err := p.source.session(ctx)
	if err != nil {
		return nil, err
	}
	var r reading
	for piece := range p.toAsk(fctx, f, prep, w) {
		if err = p.readPiece(fctx, source, f, piece, w, &r); err != nil {
			break
		}
	}
	if err != nil {
		p.source.drop(err)
		// A message that tears while the writer sends it makes the writer abort too.
		torn := (*mailbox.BodyError)(nil)
		if cause := context.Cause(fctx); cause != nil && (!errors.As(err, &torn) || errors.Is(err, errAborted)) {
			return r.received, cause
		}
		f.failedAt(r.at, !r.inside)
		return r.received, err
	}
	return r.received, context.Cause(fctx)
}

// toAsk yields the sets of messages that are asked for one after another.
func (p *lane) toAsk(fctx context.Context, f *work, prep *prepared, w *writer) iter.Seq[mailbox.UIDSet] {
	if prep.shared == nil {
		return slices.Values(p.pieces(prep.copy, f.numbers(prep)))
	}
	return prep.shared.pieces(fctx, true, w)
}

// reading is how far messages have been read.
type reading struct {
	received mailbox.UIDSet // that at among them
	at       mailbox.UID
	inside   bool // at is not wholly read, or not with the writer
}

// readPiece reads the messages of piece that exist and passes them on.
func (p *lane) readPiece(ctx context.Context, source mailbox.Session, f *work, piece mailbox.UIDSet, w *writer, r *reading) error {
	return source.Messages(ctx, piece, func(m mailbox.Message) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		r.at, r.inside = m.UID, true
		r.received.Append(m.UID)
		give := p.passThrough
		if m.Size <= streamAbove {
			give = p.readWhole
		}
		if err := give(ctx, f, m, w); err != nil {
			return err
		}
		r.inside = false
		return nil
	})
}

// numbers are the source's as far as they are known: some servers tell UIDNEXT in the
// survey alone (Courier).
func (f *work) numbers(prep *prepared) mailbox.Status {
	now := prep.selected.Status
	if now.UIDNext == 0 && f.src != nil {
		now.UIDNext = f.src.UIDNext
	}
	return now
}

// pieces cuts what is to be copied into the sets that are asked for one after
// another: all at once, or the newest first. There are no more of them than messages
// in the folder, and never more than mostPieces, however far apart the UIDs are. What has
// come since the numbers were told goes with the first.
func (p *pass) pieces(set mailbox.UIDSet, now mailbox.Status) []mailbox.UIDSet {
	if !p.job.NewestFirst || len(set) == 0 || now.UIDNext <= set[0].First {
		return []mailbox.UIDSet{set}
	}
	var out []mailbox.UIDSet
	last := min(set[len(set)-1].Last, now.UIDNext-1)
	newer := set.Minus(mailbox.Span(1, last))
	set = set.Minus(newer)
	span := int64(last-set[0].First) + 1
	size := mailbox.UID(max(int64(p.job.Window*newestPiece/2), span/min(int64(now.Messages)+1, mostPieces)+1))
	for len(set) > 0 {
		first := mailbox.UID(1)
		if last > size {
			first = last - size + 1
		}
		out = append(out, set.Intersect(mailbox.Span(first, last)).Union(newer))
		newer = nil
		set = set.Minus(mailbox.Span(first, last))
		if len(set) > 0 {
			last = set[len(set)-1].Last
		}
	}
	return out
}

// readWhole reads a message into memory, within the budget of what may be read
// ahead; where that has no room for it and nothing of this pass is in memory, the
// message goes straight through.
func (p *lane) readWhole(ctx context.Context, f *work, m mailbox.Message, w *writer) error {
	cost := bufferSize(m.Size)
	granted, err := w.ahead.take(ctx, cost)
	if err != nil {
		return err
	}
	if !granted {
		return p.passThrough(ctx, f, m, w)
	}
	buf := getBuffer(cost)
	free := func() {
		putBuffer(buf)
		w.ahead.give(cost)
	}
	message := (*buf)[:m.Size]
	if err := fill(message, m.Body); err != nil {
		free()
		return fmt.Errorf("read uid %d of %q: %w", m.UID, f.source.Name, err)
	}
	if p.moves.arrivals != nil {
		p.arrived(f, m.UID, headerOf(message))
	}
	m.Body = bytes.NewReader(message)
	if err := w.send(ctx, step{folder: f, msg: &m, done: free}); err != nil {
		free()
		return err
	}
	return nil
}

// fill reads all of b, and the end behind it.
func fill(b []byte, from io.Reader) error {
	if _, err := io.ReadFull(from, b); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	var more [1]byte
	switch n, err := from.Read(more[:]); {
	case n > 0:
		return fmt.Errorf("more than %d bytes came", len(b))
	case err != nil && !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// lent is a source's stream that keeps its failure: the writer's own error, which
// follows from it, would hide that it was the source's.
type lent struct {
	io.Reader
	err error
}

func (l *lent) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
	}
	return n, err
}

// passThrough lends the writer the source's own stream and waits until it has read
// it.
func (p *lane) passThrough(ctx context.Context, f *work, m mailbox.Message, w *writer) error {
	head := headKeeper{}
	if p.moves.arrivals != nil {
		m.Body = io.TeeReader(m.Body, &head)
	}
	read, body := make(chan struct{}), &lent{Reader: m.Body}
	m.Body = body
	if err := w.send(ctx, step{folder: f, msg: &m, done: sync.OnceFunc(func() { close(read) })}); err != nil {
		return err
	}
	select {
	case <-read:
		if body.err != nil {
			return &mailbox.BodyError{Err: fmt.Errorf("uid %d of %q: %w", m.UID, f.source.Name, body.err)}
		}
		if p.moves.arrivals != nil {
			p.arrived(f, m.UID, headerOf(head.b))
		}
		return nil
	case <-w.ended:
		return errAborted
	}
}

// missing returns what was asked for, exists, and did not come, and how many of the
// folder's messages have been expunged meanwhile.
func (p *lane) missing(ctx context.Context, f *work, prep *prepared, received mailbox.UIDSet) (mailbox.UIDSet, int64, error) {
	rest := prep.copy.Minus(received)
	first := !prep.exact && f.only == nil && f.decidedAtStart == 0
	// The numbers are proof only where none of those decided before can be gone and
	// none that came later can be among those received.
	if len(prep.listed) > 0 && len(received.Minus(prep.listed)) == 0 {
		rest = rest.Intersect(prep.listed)
	}
	if len(rest) == 0 || first && prep.selected.UIDNext != 0 && int64(prep.selected.Messages) == received.Len() {
		return nil, 0, nil
	}
	p.source.use.Lock()
	defer p.source.use.Unlock()
	source, err := p.source.session(ctx)
	if err != nil {
		return nil, 0, err
	}
	if _, err := source.Select(ctx, f.source.Name, true); err != nil {
		return nil, 0, err
	}
	var uids []mailbox.UID
	if err := source.Flags(ctx, rest, 0, func(u mailbox.UID, _ mailbox.Flags) error {
		uids = append(uids, u)
		return nil
	}); err != nil {
		return nil, 0, err
	}
	there, gone := mailbox.NewUIDSet(uids...), int64(0)
	switch {
	case prep.exact:
		gone = rest.Len() - there.Len()
	case first && prep.selected.UIDNext != 0:
		gone = max(0, int64(prep.selected.Messages)-received.Len()-there.Len())
	}
	return there, gone, nil
}
