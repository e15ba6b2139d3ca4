package fleet_test

import (
	"bytes"
	"io"
	"net"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/test/servers"
)

// meter is a line to a server that counts what passes, as the server's operator would.
type meter struct {
	conns, bytes, messages atomic.Int64 // connections, bytes of both ways, literals sent to the server
	open                   atomic.Int64 // of the connections, those that there are now
}

// literal announces each message of an APPEND.
var literal = regexp.MustCompile(`\{\d+\+?\}\r\n`)

// measure puts a meter before the server at *port.
func measure(t *testing.T, port *int) *meter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, m := addr(*port), &meter{}
	*port = l.Addr().(*net.TCPAddr).Port
	var lines sync.WaitGroup
	lines.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			lines.Go(func() { m.carry(c, server) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		lines.Wait()
	})
	return m
}

func (m *meter) carry(c net.Conn, server string) {
	defer func() { _ = c.Close() }()
	s, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	m.conns.Add(1)
	m.open.Add(1)
	defer m.open.Add(-1)
	// What lies in the system's buffers counts as passed: they are kept small.
	_ = c.(*net.TCPConn).SetWriteBuffer(buffered)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(c, io.TeeReader(s, counter(func(p []byte) { m.bytes.Add(int64(len(p))) })))
		_ = c.Close()
	}()
	var rest []byte
	_, _ = io.Copy(s, io.TeeReader(c, counter(func(p []byte) {
		m.bytes.Add(int64(len(p)))
		text := append(rest, p...)
		m.messages.Add(int64(len(literal.FindAll(text, -1))))
		rest = nil
		if i := bytes.LastIndexByte(text, '{'); i >= 0 && len(text)-i < 16 && !literal.Match(text[i:]) {
			rest = bytes.Clone(text[i:])
		}
	})))
	_ = s.Close()
	<-done
}

const buffered = 16 << 10

type counter func(p []byte)

func (c counter) Write(p []byte) (int, error) { c(p); return len(p), nil }

// TestRates: two workers hold a source to its bytes and a target to its messages a
// second, together and also while there is no Redis; what an operator changes holds for
// passes that run.
func TestRates(t *testing.T) {
	t.Parallel()
	const bytesPerSecond, messagesPerSecond = 400_000, 5
	m := newMail(t, 8)
	made := m.corpus("--messages", "60", "--folders", "2")
	source, target := measure(t, &m.oldPort), measure(t, &m.newPort)
	redis := servers.RestartableRedis(t)
	s := newServiceOn(t, m, redis.URL, time.Hour)
	for range 2 {
		s.start("worker")
	}
	s.create()
	s.cli("endpoint", "set", "old", "--bytes-per-second", "400000")
	s.cli("endpoint", "set", "new", "--messages-per-second", "5")
	begun := time.Now()
	s.cli("batch", "start", batchName)

	// A second's worth may go at once, and what was given is used within another.
	within := func() {
		t.Helper()
		read, written, conns := source.bytes.Load(), target.messages.Load(), source.conns.Load()
		elapsed := time.Since(begun).Seconds() // after the counts: never too little
		// What the source sent ahead into the buffers of both ends of each connection.
		ahead := float64(conns) * 10 * buffered
		if most := bytesPerSecond*(elapsed+2) + ahead; float64(read) > most {
			t.Fatalf("%d bytes at the source in %.2f s, at most %.0f", read, elapsed, most)
		}
		if most := messagesPerSecond * (elapsed + 2); float64(written) > most {
			t.Fatalf("%d messages at the target in %.2f s, at most %.0f", written, elapsed, most)
		}
	}
	watch := func(d time.Duration) {
		t.Helper()
		until := time.Now().Add(d)
		s.await("the time has passed", func() bool { within(); return time.Now().After(until) })
	}
	watch(5 * time.Second)
	t.Logf("in %.1f s: %d bytes at the source, %d messages of %d at the target", time.Since(begun).Seconds(), source.bytes.Load(), target.messages.Load(), made)
	if n := target.messages.Load(); n == made {
		t.Errorf("all %d messages were sent: the rates were not what held them back", n)
	}
	if err := redis.Kill(); err != nil {
		t.Fatal(err)
	}
	before := target.messages.Load()
	watch(5 * time.Second)
	t.Logf("and 5 s without redis: %d messages, %d bytes at the source in all", target.messages.Load()-before, source.bytes.Load())
	s.await("messages are sent without redis", func() bool { within(); return target.messages.Load() > before })
	must(t, redis.Start())
	s.cli("endpoint", "set", "old", "--bytes-per-second", "0")
	s.cli("endpoint", "set", "new", "--messages-per-second", "0")
	free := time.Now()
	s.awaitSynced()
	t.Logf("without limits: done in %.1f s", time.Since(free).Seconds())
	if n := s.batch().Messages.Copied; n != made {
		t.Errorf("%d messages copied, want %d", n, made)
	}
}
