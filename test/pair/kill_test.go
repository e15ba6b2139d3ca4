package pair_test

import (
	"context"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/servers"
)

// delayed puts a wide-area network of 50 ms in front of both servers, with little room
// for bytes in flight: a copy lasts longer than the moments at which it is killed.
func (w *world) delayed() {
	w.t.Helper()
	w.sourcePort, w.targetPort = servers.FreePort(w.t), servers.FreePort(w.t)
	servers.Program(w.t, w.sourcePort, exec.Command(filepath.Join(bin, "delayproxy"), "-delay", "25ms", "-window", "65536",
		addr(w.sourcePort)+"="+addr(w.source.Port), addr(w.targetPort)+"="+addr(w.target.Port)))
}

// TestKill kills the process at moments drawn by chance, over a network that still
// delivers what it has sent, and lets it finish at last: nothing may be lost or
// doubled.
func TestKill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(600)
	w.delayed()
	r := rand.New(rand.NewPCG(1, 0)) // the same moments each time, as far as the machine is
	killed := 0
	for range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(200+r.IntN(1500))*time.Millisecond)
		if err := w.command(ctx, "sync").Run(); err != nil && ctx.Err() != nil {
			killed++ // the context's end is SIGKILL
		}
		cancel()
	}
	out := w.run("sync")
	t.Logf("killed %d times; the last pass: %+v", killed, out)
	if killed == 0 {
		t.Error("no process was killed")
	}
	w.same()
	if r := w.run("sync"); r.Copied+r.Adopted != 0 || r.Unchanged != 603 {
		t.Errorf("one more pass: %+v", r)
	}
}
