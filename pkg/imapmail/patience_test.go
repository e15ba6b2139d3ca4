package imapmail

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

const fetched = "* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {"

// drip says text a piece at a time, one each pause, until the client is gone.
func drip(c net.Conn, text string, piece int, pause time.Duration) {
	for ; text != ""; text = text[min(piece, len(text)):] {
		time.Sleep(pause) // of the bubble's time
		if _, err := io.WriteString(c, text[:min(piece, len(text))]); err != nil {
			return
		}
	}
}

// A server that keeps a reply waiting is left after a minute, whatever it does
// meanwhile; one that is slow and gets on is not.
func TestOnlyAServerThatGetsOnIsWaitedFor(t *testing.T) {
	for name, x := range map[string]struct {
		first string // said at once
		says  string
		piece int
		pause time.Duration
		whole bool
	}{
		"nothing":             {"", "", 1, time.Second, false},
		"a byte a second":     {fetched + "9000}\r\n", strings.Repeat("x", 9000) + ")\r\nT2 OK done\r\n", 1, time.Second, false},
		"slow, and gets on":   {fetched + "9000}\r\n", strings.Repeat("x", 9000) + ")\r\nT2 OK done\r\n", 30, time.Second, true},
		"talk":                {"", strings.Repeat("* OK Still here\r\n", 1000), 17, 10 * time.Second, false},
		"talk of new mail":    {"", strings.Repeat("* 7 EXISTS\r\n", 1000), 12, time.Second, false},
		"an unknown response": {"", strings.Repeat("* XYZZY {3}\r\nabc\r\n", 1000), 17, 30 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := piped(t, func(c net.Conn) {
					_, _ = io.WriteString(c, "* OK ready\r\n")
					answers(c, " OK [CAPABILITY IMAP4rev1] in", " OK listed")
					_, _ = c.Read(make([]byte, 4096))
					_, _ = io.WriteString(c, x.first)
					drip(c, x.says, x.piece, x.pause)
				})
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				err = s.Messages(t.Context(), mailbox.Span(1, 1), func(m mailbox.Message) error {
					_, err := io.Copy(io.Discard, m.Body)
					return err
				})
				var f *migration.Fault
				switch took := time.Since(began); {
				case x.whole && err != nil:
					t.Errorf("%v after %s", err, took)
				case !x.whole && (!errors.As(err, &f) || f.Code != migration.ConnectionFailed || took > 2*progressTimeout):
					t.Errorf("%v after %s, want ConnectionFailed within %s", err, took, 2*progressTimeout)
				}
				_ = s.Close()
				time.Sleep(time.Minute) // of the bubble's time: the server finds the client gone
			})
		})
	}
}

func TestTalkWithoutAnAnswerHasAnEnd(t *testing.T) {
	for name, line := range map[string]string{
		"untagged":     "* OK " + strings.Repeat("x", 1000) + "\r\n",
		"folders":      "* LIST () \"/\" f\r\n",
		"long names":   "* LIST () \"/\" " + strings.Repeat("f", 10_000) + "\r\n",
		"messages":     "* 1 FETCH (FLAGS ())\r\n",
		"continuation": "+ go\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := through(io.LimitReader(&repeated{line: line}, maxRowText+1<<20))
			if !errors.Is(err, errTooMuch) {
				t.Errorf("got %v, want %v", err, errTooMuch)
			}
		})
	}
}

// repeated says one line for ever.
type repeated struct {
	line string
	at   int
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) {
		k := copy(p[n:], r.line[r.at:])
		n, r.at = n+k, (r.at+k)%len(r.line)
	}
	return n, nil
}
