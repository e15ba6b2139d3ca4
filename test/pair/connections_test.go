package pair_test

import (
	"context"
	"io"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/servers"
)

// counter passes connections on to a server, and counts them.
func counter(t *testing.T, server int) (port int, accepted *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	accepted = new(atomic.Int64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			go pass(c, addr(server))
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, accepted
}

func pass(c net.Conn, to string) {
	defer c.Close()
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	go func() {
		defer s.Close()
		_, _ = io.Copy(s, c)
	}()
	_, _ = io.Copy(c, s)
}

// fillOne puts the harness's corpus into one folder of the source.
func (w *world) fillOne(messages int) {
	w.t.Helper()
	w.python("corpus.py", "--port", strconv.Itoa(w.source.Port), "--users", "1", "--messages", strconv.Itoa(messages), "--folders", "1")
}

// A pass opens as many connections to each side as it may, if there is work for them, and
// one where there is nothing new.
func TestConnections(t *testing.T) {
	for name, fill := range map[string]func(*world){"folders": func(w *world) { w.fill(1000) }, "one folder": func(w *world) { w.fillOne(1000) }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			fill(w)
			var source, target *atomic.Int64
			w.sourcePort, source = counter(t, w.source.Port)
			w.targetPort, target = counter(t, w.target.Port)
			r := w.run("sync", "--connections", "4")
			if r.Copied < 1000 || r.Skipped != 0 {
				t.Errorf("first pass: %+v", r)
			}
			w.same()
			s, d := source.Swap(0), target.Swap(0)
			if s > 4 || d > 4 || name == "folders" && (s != 4 || d != 4) {
				t.Errorf("%d connections to the source, %d to the target", s, d)
			}
			if r := w.run("sync", "--connections", "4"); r.Unchanged != r.Seen {
				t.Errorf("second pass: %+v", r)
			}
			if s, d := source.Load(), target.Load(); s != 1 || d != 1 {
				t.Errorf("nothing new: %d connections to the source, %d to the target", s, d)
			}
		})
	}
}

// TestConnectionsKilled kills the process while four connections write one large folder,
// each time when some of them have had windows recorded, over a network that still
// delivers what it has sent.
func TestConnectionsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillOne(1600)
	w.delayed()
	killed := 0
	for _, times := range []int{3, 5} {
		if w.killAfter(times) {
			killed++
		}
	}
	out := w.run("sync", "--connections", "4")
	t.Logf("killed %d times; the last pass: %+v", killed, out)
	if killed == 0 {
		t.Error("no process was killed")
	}
	w.same()
	if r := w.run("sync", "--connections", "4"); r.Copied+r.Adopted != 0 || r.Unchanged != 1600 {
		t.Errorf("one more pass: %+v", r)
	}
}

// killAfter runs a pass over four connections and kills it when its state file has grown
// so many times; false: it ended before.
func (w *world) killAfter(times int) bool {
	w.t.Helper()
	ctx, kill := context.WithCancel(w.t.Context()) // its end is SIGKILL
	defer kill()
	cmd := w.command(ctx, "sync", "--connections", "4")
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for size := w.stateSize(); ; {
		select {
		case err := <-ended:
			if err != nil {
				w.t.Fatal(err)
			}
			return false
		case <-look.C:
		}
		if now := w.stateSize(); now != size {
			size = now
			if times--; times == 0 {
				kill()
				return <-ended != nil
			}
		}
	}
}

// stateSize is the state file's size; 0 where there is none yet.
func (w *world) stateSize() int64 {
	info, err := os.Stat(w.state)
	if err != nil {
		return 0
	}
	return info.Size()
}

// A target that asks for a round trip a message is where several connections help: all
// of them write.
func TestConnectionsToATargetThatIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.target = servers.Dovecot(t, servers.DovecotConfig{Capability: "IMAP4rev1 UIDPLUS NAMESPACE LIST-STATUS LIST-EXTENDED CONDSTORE ESEARCH SPECIAL-USE"})
	w.targetPort = w.target.Port
	w.fillOne(700)
	if r := w.run("sync", "--connections", "4"); r.Copied != 700 {
		t.Errorf("first pass: %+v", r)
	}
	w.same()
	t.Logf("the state file has %d bytes", w.stateSize())
}
