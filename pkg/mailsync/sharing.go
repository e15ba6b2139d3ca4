package mailsync

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// A large folder is copied by several lanes at once:
//
//  1. It stays with the lane that has prepared it, its owner: one look at the tail, one
//     decision what to copy, one end. What is to be copied is left for whoever comes, in
//     pieces, the owner among them.
//  2. When the owner has opened the target folder, and the record says Writing, the
//     folder is offered to lanes that have nothing else to do. Before that nobody sends
//     anything.
//  3. Who helps opens both folders on its own connections, and only if they are the
//     owner's (UIDVALIDITY) takes pieces, writes them in windows of its own and notes the
//     answers in the same record. A piece that its source does not deliver it gives back.
//  4. The owner reads until no piece is left and nobody else reads; then it asks for what
//     has not come to anyone. It ends the folder when all windows of all lanes are
//     answered, or their fate is not known: then the folder settles as ever, and no
//     answer is under way when its tail is read.
//
// The first error, whoever meets it, ends the copying of all.
//
// No lane waits for itself. The end of a folder waits for the lanes that helped, and there
// for what they read before; all of that was read to its end before the folder was.
type sharing struct {
	owner *lane
	f     *work
	// lead is the owner's folderWrite. It and what follows are set before it is offered.
	lead           *folderWrite
	source, target mailbox.UIDValidity
	// over ends with the owner's reading of the folder.
	over context.Context
	// least and most are how many messages are taken at once.
	least, most int64

	mu      sync.Mutex
	changed chan struct{} // closed, and another one made, when something below has
	left    mailbox.UIDSet
	closed  bool
	// reading and writing count the helpers that do.
	reading, writing int
	received         mailbox.UIDSet // by helpers
	barred           []*lane        // that could not help
	disturbed        bool           // a helper's source failed
}

// hand is a lane's help with a folder.
type hand struct {
	*sharing
	joined bool       // sharing.mu guards it
	opened chan error // whether the target folder is open
}

// mostDisturbed is how often a folder is copied by several lanes and not to its end before
// the rest is its owner's alone.
const mostDisturbed = 3

// pieceWindows is how many windows a piece has at most. Towards the end they get smaller,
// so that all come to it together.
const pieceWindows = 5

// mayShare reports whether a folder can be copied by several lanes, as far as its
// numbers tell.
func (p *pass) mayShare(f *work) bool {
	return p.board != nil && f.care == quick && f.only == nil && !f.synchronous && !f.probing && !f.placing &&
		f.stuck == 0 && f.disturbed < mostDisturbed && p.windowsOf(f) > worthSharing
}

// shareFolder prepares a folder to be copied by several lanes, if it is large enough.
func (p *lane) shareFolder(ctx, over context.Context, f *work, prep *prepared) error {
	there := int64(prep.selected.Messages)
	if !p.mayShare(f) || p.windows(min(there, prep.copy.Len()), f) <= worthSharing {
		return nil
	}
	if prep.copy.Len() > there+there/2 { // mostly gaps: pieces of them would be empty
		p.source.use.Lock()
		defer p.source.use.Unlock()
		source, err := p.source.session(ctx)
		if err == nil {
			err = p.onlyIfNew(ctx, source, prep)
		}
		if err != nil {
			return err
		}
	}
	perWindow := max(1, int64(float64(prep.copy.Len())/max(1, p.windows(prep.copy.Len(), f))))
	prep.shared = &sharing{
		owner: p, f: f, source: prep.selected.UIDValidity, over: over,
		least: max(1, perWindow/8), most: perWindow * pieceWindows,
		changed: make(chan struct{}), left: prep.copy,
	}
	return nil
}

// change changes what others wait for.
func (s *sharing) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// until waits for a condition, or the end of ctx.
func (s *sharing) until(ctx context.Context, reached func() bool) {
	for {
		s.mu.Lock()
		ok, changed := reached(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (s *sharing) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// leftFor is how many messages the lane l might take.
func (s *sharing) leftFor(l *lane) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || l == s.owner || slices.Contains(s.barred, l) {
		return 0
	}
	return s.left.Len()
}

// pieces yields what to read next, as long as there is something. Not more than a piece is
// read ahead of the writer: the rest is for who comes first. The owner waits until nobody
// can give one back any more.
func (s *sharing) pieces(ctx context.Context, owner bool, w *writer) iter.Seq[mailbox.UIDSet] {
	return func(yield func(mailbox.UIDSet) bool) {
		var before <-chan struct{}
		for piece := s.next(ctx, owner); piece != nil && yield(piece); piece = s.next(ctx, owner) {
			given := make(chan struct{})
			if w.send(ctx, step{folder: s.f, done: func() { close(given) }}) != nil {
				return
			}
			if before != nil {
				select {
				case <-before:
				case <-ctx.Done():
				case <-w.ended:
				}
			}
			before = given
		}
	}
}

func (s *sharing) next(ctx context.Context, owner bool) (piece mailbox.UIDSet) {
	if context.Cause(ctx) != nil {
		return nil
	}
	s.until(ctx, func() bool {
		if s.closed || len(s.left) == 0 {
			s.closed = s.closed || owner && s.reading == 0
			return s.closed || !owner
		}
		n := min(max(s.left.Len()/int64(4*len(s.owner.lanes)), s.least), s.most)
		if s.owner.job.NewestFirst {
			piece = s.left.Minus(firstOf(s.left, s.left.Len()-n))
		} else {
			piece = firstOf(s.left, n)
		}
		s.left = s.left.Minus(piece)
		return true
	})
	return piece
}

// close lets nobody begin to read, waits for those who do, and returns what came to them.
func (s *sharing) close(ctx context.Context) (received mailbox.UIDSet, disturbed bool) {
	s.change(func() { s.closed = true })
	s.until(ctx, func() bool { return s.reading == 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received, s.disturbed
}

// await waits until nothing of the helpers is under way.
func (s *sharing) await(ctx context.Context) {
	s.until(ctx, func() bool { return s.writing == 0 })
}

// join begins a lane's reading; false: it comes too late.
func (h *hand) join() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.left) == 0 {
		return false
	}
	h.joined = true
	h.reading++
	h.writing++
	return true
}

// leave ends it: what came is with the writer, what did not of the last piece is left to
// others.
func (h *hand) leave(received, back mailbox.UIDSet, err error) {
	h.change(func() {
		h.reading--
		h.received = h.received.Union(received)
		h.left = h.left.Union(back)
		h.disturbed = h.disturbed || err != nil
	})
}

// written notes that nothing of a lane that helped is under way any more.
func (h *hand) written() {
	h.change(func() {
		if h.joined {
			h.writing--
		}
	})
}

// help copies pieces of another lane's folder.
func (p *lane) help(ctx context.Context, s *sharing, w *writer) error {
	opening, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(s.over, func() { stop(errAborted) })() // nobody waits for who comes too late
	if err := p.connect(opening); err != nil {
		return p.noHelp(ctx, s, err)
	}
	h := &hand{sharing: s, opened: make(chan error, 1)}
	if err := w.send(ctx, step{folder: s.f, hand: h, abort: s.lead.abort}); err != nil {
		return err
	}
	p.outstanding++
	err := p.helpReading(ctx, h, w)
	if err := w.send(ctx, step{folder: s.f, end: true}); err != nil {
		return err
	}
	return p.noHelp(ctx, s, err)
}

// noHelp notes why a lane could not help, or no further. That ends its help, and nothing
// else: whoever owns the folder will meet what is wrong with it.
func (p *lane) noHelp(ctx context.Context, s *sharing, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil && context.Cause(s.over) == nil {
		s.change(func() { s.barred = append(s.barred, p) })
		if p.n > 0 {
			p.lostConnection()
		}
	}
	return nil
}

// helpReading reads pieces until none is left, once the writer has opened the folder.
func (p *lane) helpReading(ctx context.Context, h *hand, w *writer) error {
	select {
	case err := <-h.opened:
		if err != nil {
			return err
		}
	case <-w.ended:
		return errAborted
	}
	p.source.use.Lock()
	defer p.source.use.Unlock()
	source, err := p.source.session(ctx)
	if err != nil {
		return err
	}
	sel, err := source.Select(ctx, h.f.source.Name, true)
	if err == nil && sel.UIDValidity != h.source {
		err = anotherFolder(migration.Source)
	}
	if err != nil {
		p.source.drop(err)
		return err
	}
	if !h.join() {
		return nil
	}
	rctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	defer context.AfterFunc(h.over, func() { abort(errAborted) })()
	var received, back mailbox.UIDSet
	for piece := range h.pieces(rctx, false, w) {
		r := reading{}
		if err = p.readPiece(rctx, source, h.f, piece, w, &r); err != nil {
			if r.inside { // not with the writer, or not whole
				r.received = r.received.Minus(mailbox.NewUIDSet(r.at))
			}
			back = piece.Minus(r.received)
			p.source.drop(err)
		}
		received = received.Union(r.received)
		if err != nil {
			break
		}
	}
	h.leave(received, back, err)
	return err
}

// anotherFolder is why a lane cannot help.
func anotherFolder(side migration.Side) error {
	return migration.NewFault(migration.SourceChanged, migration.ScopeFolder, side, "the folder is another one", nil)
}

// offer lets other lanes help with the folder, which is open: from here on the record
// says that somebody writes.
func (x *folderWrite) offer(ctx context.Context) error {
	s := x.prep.shared
	if s == nil || x.target == nil {
		return nil
	}
	if err := x.markWriting(ctx); err != nil {
		return err
	}
	s.lead, s.target = x, x.rec.TargetValidity
	x.p.board.share(s)
	return nil
}

// openAsHelper opens the folder for a lane that helps.
func (x *folderWrite) openAsHelper(ctx context.Context) error {
	var err error
	if x.target, err = x.p.target.session(ctx); err != nil {
		return err
	}
	if x.selected, err = x.target.Select(ctx, x.f.target, false); err == nil && x.selected.UIDValidity != x.hand.target {
		err = anotherFolder(migration.Target)
	}
	if err == nil {
		err = x.startAppends(ctx)
	}
	if err != nil && migration.AsFault(err).Scope == migration.ScopeEndpoint {
		x.p.target.lose(x.target, err)
	}
	return err
}
