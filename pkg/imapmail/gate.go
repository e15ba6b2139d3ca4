package imapmail

import (
	"bytes"
	"sync"
	"sync/atomic"
)

// gate stands between the server's answers and go-imap while commands are on their way
// that go-imap has not been told of: it holds back the answer to the first of them
// until go-imap gives that command too, which is then not sent a second time. So
// go-imap never sees more than one command at work, and cannot give the answer of one
// to another.
type gate struct {
	waiting atomic.Int32 // len(tags), for those who only pass

	mu    sync.Mutex
	tags  []string // of the commands sent ahead, oldest first
	armed bool     // the next thing that go-imap sends is the first of them
	name  string   // go-imap's tag for it, once told is closed
	told  chan struct{}
}

// sent notes a command that goes out now.
func (g *gate) sent(tag string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tags = append(g.tags, tag)
	if len(g.tags) == 1 {
		g.told = make(chan struct{})
	}
	g.waiting.Store(int32(len(g.tags)))
}

// arm says that go-imap is about to give the first command that was sent ahead.
func (g *gate) arm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = true
}

// tell takes what go-imap sends. It reports whether that is on its way already.
func (g *gate) tell(command []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.armed {
		return false
	}
	g.armed = false
	tag, _, _ := bytes.Cut(command, []byte{' '})
	g.name = string(tag)
	select {
	case <-g.told: // the connection ended over the one before: there is no answer to wait for
	default:
		close(g.told)
	}
	return true
}

// pass waits until the response that begins with line may be read, and returns it as
// go-imap knows it. It is the reading goroutine's; stop ends the wait.
func (g *gate) pass(line []byte, stop <-chan struct{}) []byte {
	if g.waiting.Load() == 0 {
		return line
	}
	g.mu.Lock()
	tag, told := g.tags[0], g.told
	g.mu.Unlock()
	select {
	case <-told:
	case <-stop:
		return line
	}
	rest, last := bytes.CutPrefix(line, []byte(tag+" "))
	if !last {
		return line
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	line = append([]byte(g.name+" "), rest...)
	g.tags, g.told = g.tags[1:], make(chan struct{})
	g.waiting.Store(int32(len(g.tags)))
	return line
}
