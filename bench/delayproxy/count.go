package main

import (
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// tally is what has passed to one upstream.
type tally struct {
	upstream    string
	connections atomic.Int64
	open, most  atomic.Int64 // connections at once, and the most of them
	turns       atomic.Int64
	up, down    atomic.Int64 // bytes from and to the client
}

// opened counts a connection, and the two turns of its handshake and greeting.
func (t *tally) opened() {
	t.connections.Add(1)
	t.turns.Add(2)
	now := t.open.Add(1)
	for m := t.most.Load(); now > m && !t.most.CompareAndSwap(m, now); m = t.most.Load() {
	}
}

func (t *tally) closed() { t.open.Add(-1) }

// sent counts what the client has sent. It is a new turn where the client had heard
// something since: what is pipelined is one, however many commands it holds.
func (t *tally) sent(heard *atomic.Bool, n int) {
	t.up.Add(int64(n))
	if heard.Swap(false) {
		t.turns.Add(1)
	}
}

// received counts what the client is about to receive.
func (t *tally) received(heard *atomic.Bool, n int) {
	t.down.Add(int64(n))
	heard.Store(true)
}

// printAtEnd prints a line for each upstream when the proxy is told to end.
func printAtEnd(tallies []*tally) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	<-told
	for _, t := range tallies {
		fmt.Printf("%s connections=%d most=%d turns=%d up=%d down=%d\n", t.upstream,
			t.connections.Load(), t.most.Load(), t.turns.Load(), t.up.Load(), t.down.Load())
	}
	os.Exit(0)
}
