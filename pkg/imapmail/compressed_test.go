package imapmail_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/test/servers"
)

// counted is a connection whose bytes are counted.
type counted struct {
	net.Conn
	in, out *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.out.Add(int64(n))
	return n, err
}

// TestCompressedMailIsSmallOnTheWire: text that is written to a real Dovecot and read back
// takes a fraction of its bytes on the wire, and is what it was.
func TestCompressedMailIsSmallOnTheWire(t *testing.T) {
	s := servers.Dovecot(t, servers.DovecotConfig{Extra: compressing})
	a := account(s)
	s.AddUsers(t, a.User)
	a.Compress = true
	var in, out atomic.Int64
	open := imapmail.NewOpener(a, imapmail.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return counted{c, &in, &out}, err
	}})
	session, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	var body strings.Builder
	body.WriteString("From: a@example.org\r\nMessage-ID: <a@example.org>\r\n\r\n")
	for i := range 20_000 {
		fmt.Fprintf(&body, "line %d of a long letter\r\n", i)
	}
	appender, err := session.Append(t.Context(), "INBOX", mailbox.AppendMode{})
	if err != nil {
		t.Fatal(err)
	}
	m := mailbox.Message{Size: int64(body.Len()), Body: strings.NewReader(body.String())}
	if err := appender.Add(t.Context(), mailbox.NewMessage{Message: m}); err != nil {
		t.Fatal(err)
	}
	if err := appender.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if answer, err := appender.Receive(t.Context()); err != nil || answer.Refused != nil {
		t.Fatal(err, answer.Refused)
	}
	if err := appender.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := session.Select(t.Context(), "INBOX", true); err != nil {
		t.Fatal(err)
	}
	var got []byte
	err = session.Messages(t.Context(), mailbox.Span(1, 9), func(m mailbox.Message) (err error) {
		got, err = io.ReadAll(m.Body)
		return err
	})
	if err != nil || !bytes.Equal(got, []byte(body.String())) {
		t.Fatalf("read back %d bytes, %v; want %d", len(got), err, body.Len())
	}
	if most := int64(body.Len() / 2); in.Load() > most || out.Load() > most {
		t.Errorf("%d bytes came and %d went for a message of %d", in.Load(), out.Load(), body.Len())
	}
}
