package imapmail

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
)

// What a server may send. go-imap itself has no bounds: a quoted string without end
// grew it past 4 GB, nested parentheses take quadratic time.
const (
	maxText          = 256 << 10 // bytes of one response outside its literals
	maxDepth         = 64        // nested parentheses
	maxBodyLiteral   = 1 << 32   // bytes of a message: streamed
	maxHeaderLiteral = 16 << 20  // bytes of a message's header fields: streamed
	maxOtherLiteral  = 64 << 10  // bytes of any other literal: held in memory
	maxClaimed       = 1 << 20   // bytes of a response to a borrower, literals included
	readBuffer       = 64 << 10
)

var errTooMuch = errors.New("the server's reply is out of all bounds")

// guard reads responses and passes them on, cleaned and within bounds. It looks at
// their text a line at a time; literals pass by count, unread.
type guard struct {
	br *bufio.Reader
	// quiet drops FETCH responses: nobody waits for those that answer a STORE.
	quiet atomic.Bool
	// bodies counts the reads under way of whole messages: FETCH responses may hold them.
	bodies atomic.Int32
	// progress is told of bytes of an awaited reply.
	progress func(int)
	// admit is asked before a response is looked at; it may wait, and change the tag.
	admit func(line []byte) []byte
	said  said

	text    []byte // cleaned, not yet passed on
	literal int64  // bytes of a literal still to come
	within  bool   // inside a response, after a literal
	drop    bool   // the response is for nobody
	fetch   bool   // the response is a FETCH
	length  int    // of the response's text so far
	depth   int
	scratch []byte // a line longer than the reader's buffer
}

func newGuard(r io.Reader) *guard {
	return &guard{br: bufio.NewReaderSize(r, readBuffer), progress: func(int) {}, admit: func(line []byte) []byte { return line }}
}

// read fills p with text or literal of a response, or returns a whole response that
// claim wanted. It may return neither.
func (g *guard) read(p []byte, claim func([]byte) bool) (int, []byte, error) {
	switch {
	case len(g.text) > 0:
		n := copy(p, g.text)
		g.text = g.text[n:]
		return n, nil, nil
	case g.literal > 0 && g.drop:
		n, err := g.br.Discard(int(min(g.literal, readBuffer)))
		g.literal -= int64(n)
		return 0, nil, err
	case g.literal > 0:
		n, err := g.br.Read(p[:min(int64(len(p)), g.literal)])
		g.literal -= int64(n)
		g.progress(n)
		return n, nil, err
	}
	line, err := g.line()
	if err != nil {
		return 0, nil, err
	}
	if g.within {
		return 0, nil, g.pass(line)
	}
	line = g.admit(line)
	if err := g.said.note(line, g.progress); err != nil {
		return 0, nil, err
	}
	g.length, g.depth, g.fetch = 0, 0, isFetch(line)
	if claim(line) {
		response, err := g.whole(line)
		return 0, response, err
	}
	if named(line) {
		response, err := g.whole(line)
		g.text = clean(response, true, false)
		return 0, nil, err
	}
	g.drop = unwanted(line) || g.fetch && g.quiet.Load()
	return 0, nil, g.pass(line)
}

// pad fills p with zeros in the place of a literal that will not come.
func (g *guard) pad(p []byte) int {
	if g.drop || len(g.text) > 0 {
		return 0
	}
	n := int(min(int64(len(p)), g.literal))
	clear(p[:n])
	g.literal -= int64(n)
	return n
}

// pass cleans one line of a response into text.
func (g *guard) pass(line []byte) error {
	first := !g.within
	size, marked, err := g.inspect(line)
	if err != nil {
		return err
	}
	g.literal, g.within = size, marked
	if g.drop {
		return nil
	}
	g.text = clean(line, first, g.fetch)
	return nil
}

// line returns the next line with its LF; it is valid until the next call.
func (g *guard) line() ([]byte, error) {
	line, err := g.br.ReadSlice('\n')
	if err == nil {
		return line, nil
	}
	g.scratch = append(g.scratch[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(g.scratch) > maxText {
			return nil, fmt.Errorf("%w: a line of over %d bytes", errTooMuch, maxText)
		}
		line, err = g.br.ReadSlice('\n')
		g.scratch = append(g.scratch, line...)
	}
	return g.scratch, err
}

// inspect holds a line to the bounds and returns the size of the literal that it
// announces at its end, if it does.
func (g *guard) inspect(line []byte) (size int64, marked bool, err error) {
	if g.length += len(line); g.length > maxText {
		return 0, false, fmt.Errorf("%w: over %d bytes outside literals", errTooMuch, maxText)
	}
	if isStatusLine(line) && !g.within {
		return 0, false, nil // human text: braces and quotes mean nothing
	}
	quoted := false
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '(':
			if g.depth++; g.depth > maxDepth {
				return 0, false, fmt.Errorf("%w: parentheses nested over %d deep", errTooMuch, maxDepth)
			}
		case b == ')':
			g.depth--
		}
	}
	if quoted {
		return 0, false, nil // go-imap will refuse a line break inside quotes
	}
	at, size, marked := literalMark(line)
	if !marked {
		return 0, false, nil
	}
	limit := int64(maxOtherLiteral)
	if before := bytes.TrimSuffix(line[:at], []byte{'~'}); g.fetch && (bytes.HasSuffix(before, []byte("] ")) || bytes.HasSuffix(before, []byte("> "))) {
		limit = maxHeaderLiteral
		if g.bodies.Load() > 0 {
			limit = maxBodyLiteral
		}
	}
	if size > limit {
		return 0, false, fmt.Errorf("%w: a literal of %d bytes", errTooMuch, size)
	}
	return size, true, nil
}

// whole reads a response to its end, literals included, into memory of its own.
func (g *guard) whole(line []byte) ([]byte, error) {
	defer func() { g.within = false }()
	response := bytes.Clone(line)
	for {
		size, marked, err := g.inspect(line)
		if err != nil || !marked {
			return response, err
		}
		if size > maxClaimed || len(response) > maxClaimed {
			return nil, fmt.Errorf("%w: a response of over %d bytes", errTooMuch, maxClaimed)
		}
		g.within = true
		start := len(response)
		response = append(response, make([]byte, size)...)
		for start < len(response) {
			n, err := g.br.Read(response[start:])
			if start += n; err != nil {
				return nil, err
			}
			g.progress(n)
		}
		if line, err = g.line(); err != nil {
			return nil, err
		}
		response = append(response, line...)
	}
}

// response reads the next whole response: before go-imap is there to read.
func (g *guard) response() ([]byte, error) {
	line, err := g.line()
	if err != nil {
		return nil, err
	}
	if err := g.said.note(line, g.progress); err != nil {
		return nil, err
	}
	g.length, g.depth, g.fetch = 0, 0, false
	return g.whole(line)
}

// literalMark finds "{n}" at the end of a line: where it begins, and n.
func literalMark(line []byte) (at int, size int64, ok bool) {
	end := trimEOL(line)
	if len(end) < 3 || end[len(end)-1] != '}' {
		return 0, 0, false
	}
	at = bytes.LastIndexByte(end, '{')
	if at < 0 {
		return 0, 0, false
	}
	digits := bytes.TrimSuffix(end[at+1:len(end)-1], []byte{'+'})
	size, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || size < 0 {
		return 0, 0, false
	}
	return at, size, true
}

func trimEOL(line []byte) []byte { return bytes.TrimRight(line, "\r\n") }
