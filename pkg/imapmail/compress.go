package imapmail

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"io"
	"net"
	"sync"
)

// compress has both sides deflate what they send (RFC 4978), where the account asks for
// it and the server offers it. It pays where the line is slow: mail shrinks by a third
// or more, at the price of CPU, of a round trip, and of about a megabyte a connection.
// Nothing secret is sent after it: it comes behind the login.
func (b *opening) compress(context.Context) error {
	if !b.account.Compress || !b.words["COMPRESS=DEFLATE"] {
		return nil
	}
	s, err := b.command("COMPRESS DEFLATE")
	if err != nil {
		return b.lost("COMPRESS at " + b.address())
	}
	if s.kind == "OK" {
		b.conn.deflate()
	}
	return nil // refused: the connection is as good without
}

// deflate puts compression between the wire and the guard. What the server has sent
// behind its answer is compressed already.
func (c *conn) deflate() {
	begun, _ := c.in.br.Peek(c.in.br.Buffered())
	sent := bytes.NewReader(bytes.Clone(begun))
	out, err := flate.NewWriter(c.wire, flate.BestSpeed)
	if err != nil {
		panic(err) // there is such a level
	}
	c.goOver(&deflated{
		Conn: c.wire,
		in:   flate.NewReader(bufio.NewReaderSize(io.MultiReader(sent, c.wire), readBuffer)),
		out:  out,
	})
}

// deflated is a connection of which both directions are compressed, from here on. Its
// deadlines and its end are the wire's.
type deflated struct {
	net.Conn
	in io.Reader

	mu  sync.Mutex
	out *flate.Writer
}

func (d *deflated) Read(p []byte) (int, error) { return d.in.Read(p) }

// Write sends all of p: the server waits for it.
func (d *deflated) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.out.Write(p)
	if err != nil {
		return n, err
	}
	return n, d.out.Flush()
}
