package pair_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
)

// farAway is how long an answer of a server that is far away is on its way: so long that
// this machine, however busy, has sent by then all that it need not wait with.
const farAway = 300 * time.Millisecond

// far is a connection whose other end is far away. It counts the commands sent, and the
// round trips: how often something is sent that waited for an answer.
type far struct {
	net.Conn
	arrived chan arrival
	left    []byte

	mu     sync.Mutex
	sent   bytes.Buffer
	trips  int
	waited bool // something was read since the last thing was sent
}

type arrival struct {
	at   time.Time
	data []byte
	err  error
}

func newFar(c net.Conn) *far {
	f := &far{Conn: c, arrived: make(chan arrival, 1<<14), waited: true}
	go func() {
		for {
			buf := make([]byte, 64<<10)
			n, err := c.Read(buf)
			f.arrived <- arrival{time.Now().Add(farAway), buf[:n], err}
			if err != nil {
				return
			}
		}
	}()
	return f
}

func (f *far) Read(p []byte) (int, error) {
	if len(f.left) == 0 {
		a, ok := <-f.arrived
		if !ok {
			return 0, io.EOF
		}
		<-time.After(time.Until(a.at)) // that is the distance
		if a.err != nil {
			close(f.arrived)
			return 0, a.err
		}
		f.left = a.data
	}
	n := copy(p, f.left)
	f.left = f.left[n:]
	f.mu.Lock()
	f.waited = true
	f.mu.Unlock()
	return n, nil
}

func (f *far) Write(p []byte) (int, error) {
	f.mu.Lock()
	if f.waited {
		f.trips++
	}
	f.waited = false
	f.sent.Write(p)
	f.mu.Unlock()
	return f.Conn.Write(p)
}

func (f *far) SetReadDeadline(time.Time) error { return nil }

var commandLine = regexp.MustCompile(`(?m)^[A-Z][0-9]+ ([A-Z]+ ?[A-Z]*)`)

// cost is what one side of a pass sent.
type cost struct {
	trips, commands int
	names           string
}

// costs runs one pass between servers that are far away.
func (w *world) costs(records mailsync.Records) (out mailsync.Outcome, source, target cost) {
	w.t.Helper()
	var sides [2]*far
	open := func(side, port int) mailbox.Opener {
		return imapmail.NewOpener(accountOf(port), imapmail.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			sides[side] = newFar(c)
			return sides[side], nil
		}})
	}
	out, err := mailsync.Run(w.t.Context(), mailsync.Job{Source: open(0, w.source.Port), Target: open(1, w.target.Port), Records: records})
	if err != nil {
		w.t.Fatal(err)
	}
	for i, c := range []*cost{&source, &target} {
		f := sides[i]
		f.mu.Lock()
		found := commandLine.FindAllSubmatch(f.sent.Bytes(), -1)
		c.trips, c.commands = f.trips, len(found)
		var names []string
		for _, m := range found {
			names = append(names, string(m[1]))
		}
		c.names = strings.Join(names, ", ")
		f.mu.Unlock()
	}
	return out, source, target
}

// TestRoundTrips counts what passes cost over a long way: a number that depends neither
// on how many messages there are nor, but for the commands, on how many folders.
func TestRoundTrips(t *testing.T) {
	const folders = 6
	var first [2][2]cost // of a no-op and an incremental pass, of source and target of the small mailbox
	for i, messages := range []int{50, 3000} {
		w := newWorld(t)
		var names []string
		for n := range folders {
			names = append(names, fmt.Sprintf("F%d", n))
			bodies := make([]string, messages/folders)
			for k := range bodies {
				bodies[k] = fmt.Sprintf("Message-ID: <%d.%d@x>\r\n\r\nx\r\n", n, k)
			}
			put(t, w.source.Port, names[n], bodies...)
		}
		records := mailsync.NewMemoryRecords()
		if _, err := mailsync.Run(t.Context(), mailsync.Job{
			Source: imapmail.NewOpener(accountOf(w.source.Port), imapmail.Options{}),
			Target: imapmail.NewOpener(accountOf(w.target.Port), imapmail.Options{}), Records: records,
		}); err != nil {
			t.Fatal(err)
		}

		// The login; the listing; the farewell.
		w.costAtMost("no-op", records, [2]int{3, 3}, &first[0], i, func(mailsync.Outcome) bool { return true })
		// At the source one more, for all folders; at the target three: a look at the folders,
		// the connection's first literal, which waits, and the rest. It was two or three a
		// folder before.
		w.costAtMost("incremental", records, [2]int{4, 6}, &first[1], i, func(out mailsync.Outcome) bool {
			return out.Tally.Copied == folders && out.Tally.FlagsUpdated == folders
		}, names...)
	}
}

// costAtMost runs a pass after each of the named folders has changed, and bounds its
// round trips at source and target; the commands of the large mailbox (i > 0) must be
// those of the small one. A machine that was busy sends later than it could, and goes
// round more often: one pass of five must do.
func (w *world) costAtMost(what string, records mailsync.Records, trips [2]int, small *[2]cost, i int, did func(mailsync.Outcome) bool, folders ...string) {
	w.t.Helper()
	var told []string
	for try := range 5 {
		w.change(try, folders)
		out, source, target := w.costs(records)
		if !did(out) || len(folders) == 0 && out.Tally.Copied+out.Tally.FlagsUpdated != 0 {
			w.t.Fatalf("%s: %+v", what, out.Tally)
		}
		if i == 0 && (try == 0 || source.trips+target.trips < small[0].trips+small[1].trips) {
			*small = [2]cost{source, target}
		}
		told = append(told, fmt.Sprintf("%s: source: %s; target: %s", what, source, target))
		if source.trips <= trips[0] && target.trips <= trips[1] && source.names == small[0].names && target.names == small[1].names {
			w.t.Log(told[try])
			return
		}
	}
	w.t.Errorf("want at most %v round trips, and the commands of the small mailbox: source: %s; target: %s\ngot\n%s",
		trips, small[0], small[1], strings.Join(told, "\n"))
}

func (c cost) String() string {
	return fmt.Sprintf("%d round trips, %d commands (%s)", c.trips, c.commands, c.names)
}

// change gives each folder a flag and a new message, others each time.
func (w *world) change(round int, names []string) {
	w.t.Helper()
	s, err := imapmail.NewOpener(accountOf(w.source.Port), imapmail.Options{})(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, name := range names {
		if _, err := s.Select(w.t.Context(), name, false); err != nil {
			w.t.Fatal(err)
		}
		if err := s.Store(w.t.Context(), []mailbox.FlagChange{{Set: mailbox.NewUIDSet(mailbox.UID(3 + round)), Add: mailbox.NewFlags(mailbox.Flagged)}}); err != nil {
			w.t.Fatal(err)
		}
		text := fmt.Sprintf("Message-ID: <new.%d@%s>\r\n\r\nnew\r\n", round, name)
		a, err := s.Append(w.t.Context(), name, mailbox.AppendMode{})
		if err == nil {
			err = a.Add(w.t.Context(), mailbox.NewMessage{Message: mailbox.Message{Body: strings.NewReader(text), Size: int64(len(text))}})
		}
		if err == nil {
			err = a.Flush(w.t.Context())
		}
		if err == nil {
			_, err = a.Receive(w.t.Context())
		}
		if err != nil {
			w.t.Fatal(err)
		}
		_ = a.Close()
	}
}
