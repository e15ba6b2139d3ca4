package mailsync

import (
	"context"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// foldersUnanswered is how many folders may be sent and not wholly answered. A crash
// leaves each of them to settle.
const foldersUnanswered = 32

// writer carries out what the reader hands it, folder by folder, on the target's
// connection. It sends one folder right behind the other; a second goroutine ends them
// in the same order, each when all its answers are there.
type writer struct {
	p     *lane
	steps chan step
	// back takes one value a folder that was begun: the folder if it has to be taken
	// up again, nil if the writer is done with it.
	back  chan *work
	ended chan struct{}
	ahead *share

	ending chan *folderWrite
	// unanswered counts the folders in ending; Add is called with the target in use.
	unanswered sync.WaitGroup

	// order is the folders as they will come, as far as is known, that can be opened.
	order  []*work
	peeked map[*work]peek
	used   int // of those peeked at last
}

// peek is what a target folder was like a moment ago.
type peek struct {
	mailbox.Selected
	by mailbox.Session
	at time.Time
}

const (
	// peekTime is how long that counts. It is about the time that a round trip and the
	// answers before it take; whatever changes meanwhile the server's answer shows.
	peekTime = 2 * time.Second
	// mostPeeked is how many folders are opened to look at them in one round trip.
	mostPeeked = 50
)

func newWriter(p *lane, queue []*work) *writer {
	var order []*work
	for _, f := range queue {
		if f.dst != nil && f.refused == nil && !f.isEmpty() {
			order = append(order, f)
		}
	}
	return &writer{
		p:      p,
		steps:  make(chan step, 256),
		back:   make(chan *work, 256),
		ended:  make(chan struct{}),
		ahead:  &share{of: p.job.Budget, most: readAhead},
		ending: make(chan *folderWrite, foldersUnanswered),
		order:  order,
		peeked: map[*work]peek{},
		used:   mostPeeked,
	}
}

// send hands one step over.
func (w *writer) send(ctx context.Context, s step) error {
	select {
	case w.steps <- s:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-w.ended:
		return errAborted
	}
}

// run ends when the reader closes steps, or with the first error that ends the pass.
func (w *writer) run(ctx context.Context) error {
	defer close(w.ended)
	finished := make(chan error, 1)
	go func() { finished <- w.finish(ctx) }()
	w.lookAhead(ctx)
	for !w.p.hasFailed() {
		var first step
		var ok bool
		select {
		case first, ok = <-w.steps:
		case <-w.p.failing:
		}
		if !ok {
			break
		}
		x := w.folder(ctx, first)
		w.ending <- x
		if x.cut {
			break
		}
	}
	close(w.ending)
	return <-finished
}

// dropRest gives back what messages hold that nobody will write: other passes share the
// budget. Nothing is sent to the writer any more.
func (w *writer) dropRest() {
	for s := range w.steps {
		if s.done != nil {
			s.done()
		}
	}
}

// folder sends one folder, from its first step to its last.
func (w *writer) folder(ctx context.Context, first step) *folderWrite {
	w.p.target.use.Lock()
	defer w.p.target.use.Unlock()
	w.unanswered.Add(1)
	x := w.begin(ctx, first)
	for {
		var s step
		var ok bool
		select {
		case s, ok = <-w.steps:
		case <-ctx.Done():
		}
		if !ok || s.end {
			x.last, x.cut = s, !ok
			x.endSending(ctx)
			return x
		}
		if x.stopped() {
			x.abort(errAborted) // between messages: half a message cannot be taken back
		} else if s.msg != nil {
			x.note(x.write(ctx, s.msg))
		}
		s.done()
	}
}

// begin opens a folder, and does in it what has to be done before messages are written.
func (w *writer) begin(ctx context.Context, first step) *folderWrite {
	x := &folderWrite{w: w, p: w.p, f: first.folder, prep: first.begin, hand: first.hand, abort: first.abort}
	if x.hand != nil {
		x.joint = x.hand.lead.joint
		x.hand.opened <- x.openAsHelper(ctx)
		return x
	}
	x.joint = &joint{rec: x.f.rec}
	x.begin()
	if !x.stopped() {
		err := x.open(ctx)
		if err == nil {
			err = x.carryFlags(ctx)
		}
		if err == nil {
			err = x.offer(ctx)
		}
		x.note(err)
	}
	return x
}

// finish ends the folders in the order they were sent. After an error that ends the
// pass what was sent still has its answers noted.
func (w *writer) finish(ctx context.Context) error {
	var first error
	for x := range w.ending {
		again, err := x.end(ctx)
		w.unanswered.Done()
		if err == nil && first == nil {
			select {
			case w.back <- again:
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		if err != nil && first == nil {
			first = err
			w.p.fail(err)
		}
	}
	return first
}

// peek returns what the folder f is like at the target; ok is false where it has to be
// opened to know. It opens those that come next as well.
func (w *writer) peek(ctx context.Context, f *work, target mailbox.Session) (mailbox.Selected, bool) {
	if _, ok := w.known(f, target); !ok {
		w.peekFrom(ctx, f, target)
	}
	sel, ok := w.known(f, target)
	if ok {
		w.used++
		delete(w.peeked, f)
	}
	return sel, ok
}

func (w *writer) known(f *work, target mailbox.Session) (mailbox.Selected, bool) {
	k, ok := w.peeked[f]
	return k.Selected, ok && k.by == target && time.Since(k.at) < peekTime
}

// lookAhead peeks at the first folders while the source's first answers are on their
// way. An error shows when a folder is opened.
func (w *writer) lookAhead(ctx context.Context) {
	w.p.target.use.Lock()
	defer w.p.target.use.Unlock()
	if target := w.p.target.current(); target != nil && len(w.order) > 0 {
		w.peekFrom(ctx, w.order[0], target)
	}
}

// peekFrom looks at f and those after it: as many as were of use the last time, and
// some more. A single one need not be looked at before it is opened.
func (w *writer) peekFrom(ctx context.Context, f *work, target mailbox.Session) {
	if !target.Caps().ListStatus {
		return // an old server: one command at a time
	}
	var next []*work
	var names []string
	reached := false
	for _, x := range w.order {
		reached = reached || x == f
		if reached && len(next) < min(mostPeeked, 2*w.used) {
			next, names = append(next, x), append(names, x.target)
		}
	}
	clear(w.peeked)
	w.used = 0
	if len(next) < 2 {
		return
	}
	at := time.Now()
	found, errs := target.Peek(ctx, names)
	for i, x := range next {
		if errs[i] == nil && found[i].UIDValidity != 0 {
			w.peeked[x] = peek{found[i], target, at}
		}
	}
}
