package mailsync

import (
	"cmp"
	"slices"
	"sync"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// board is where the lanes of a pass tell each other what there is to do. A nil board is
// that of a pass with one lane.
type board struct {
	mu      sync.Mutex
	changed chan struct{} // closed, and another one made, whenever something has
	busy    int           // lanes that have folders of their own, or help
	shared  []*sharing
	back    []*work // for the first lane
	last    []*work // for it too, when nobody has anything else
}

// shareOut gives each lane its folders: the largest first, always to the lane that has
// least to do. In each they keep their order. A lane more is taken only for as much as
// a window more, so that a small pass has one pair of connections.
func (p *pass) shareOut(queue []*work) {
	p.lanes[0].queue = queue
	if len(p.lanes) == 1 {
		return
	}
	size, total := map[*work]float64{}, 0.0
	for _, f := range queue {
		size[f] = p.windowsOf(f)
		total += size[f]
	}
	lanes := p.lanes[:max(1, min(len(p.lanes), int(total)))]
	if len(lanes) == 1 || total <= worthSharing {
		return
	}
	last := func(f *work) bool { return f.role == mailbox.RoleRest }
	order := slices.DeleteFunc(slices.Clone(queue), last)
	slices.SortStableFunc(order, func(a, b *work) int { return cmp.Compare(size[b], size[a]) })
	load, laneOf := make([]float64, len(lanes)), map[*work]int{}
	for _, f := range order {
		least := slices.Index(load, slices.Min(load))
		load[least] += size[f]
		laneOf[f] = least
	}
	p.lanes[0].queue = nil
	p.board = &board{changed: make(chan struct{}), busy: len(lanes)}
	for _, f := range queue {
		if last(f) {
			p.board.last = append(p.board.last, f)
			continue
		}
		l := lanes[laneOf[f]]
		l.queue = append(l.queue, f)
	}
	for _, l := range p.lanes[len(lanes):] {
		l.idle = true // and stays so
	}
}

// worthSharing is how many windows of work have to be there for a second lane, or for a
// folder to be copied by several.
const worthSharing = 2

// aFolder is the work that a folder is beside its messages, in windows.
const aFolder = 0.02

// windowsOf is about how much is to be copied of a folder, in windows.
func (p *pass) windowsOf(f *work) float64 {
	if f.src == nil {
		return aFolder // its numbers are not known
	}
	return aFolder + p.windows(f.toRead(), f)
}

// windows is how many windows n messages of f take, by the average size.
func (p *pass) windows(n int64, f *work) float64 {
	w := float64(n) / float64(p.job.Window)
	if f.src != nil && f.src.Size > 0 && f.src.Messages > 0 {
		w = max(w, float64(f.src.Size)/float64(f.src.Messages)*float64(n)/windowBytes)
	}
	return w
}

// tell wakes all lanes that wait.
func (b *board) tell() {
	if b != nil {
		b.change(func() {})
	}
}

func (b *board) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	b.tellLocked()
}

func (b *board) tellLocked() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// watch returns what is closed when something has changed after this call.
func (b *board) watch() <-chan struct{} {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// share lets other lanes help with a folder.
func (b *board) share(s *sharing) {
	b.change(func() { b.shared = append(b.shared, s) })
}

// offered returns the folder with most left of those that the lane l can help with; nil:
// there is none.
func (b *board) offered(l *lane) *sharing {
	if b == nil || l.hasYielded() || l.retires() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shared = slices.DeleteFunc(b.shared, (*sharing).isClosed)
	var best *sharing
	most := int64(0)
	for _, s := range b.shared {
		if n := s.leftFor(l); n > most {
			best, most = s, n
		}
	}
	if best != nil {
		b.wake(l)
	}
	return best
}

// wake notes that an idle lane has something to do. b.mu is held.
func (b *board) wake(l *lane) {
	if l.idle {
		l.idle = false
		b.busy++
	}
}

// giveBack leaves folders to the first lane.
func (b *board) giveBack(queue []*work) {
	if len(queue) > 0 {
		b.change(func() { b.back = append(b.back, queue...) })
	}
}

// returned gives the first lane what others left to it.
func (b *board) returned(l *lane) []*work {
	if b == nil || l.n > 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	back := b.back
	if b.back = nil; len(back) > 0 {
		b.wake(l)
	}
	return back
}

// isOver is asked by a lane that has nothing to do: whether there will be nothing.
func (b *board) isOver(l *lane) bool {
	if b == nil || l.retires() {
		return true
	}
	b.rest(l)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy > 0 || len(b.back) > 0 {
		return false
	}
	b.back, b.last = b.last, nil
	if len(b.back) > 0 {
		b.tellLocked()
	}
	return len(b.back) == 0
}

// rest notes that a lane has nothing to do.
func (b *board) rest(l *lane) {
	b.mu.Lock()
	was := l.idle
	if !was {
		l.idle = true
		b.busy--
	}
	b.mu.Unlock()
	if !was {
		b.tell()
	}
}

// leave notes that a lane has ended.
func (b *board) leave(l *lane) {
	if b != nil {
		b.rest(l)
	}
}
