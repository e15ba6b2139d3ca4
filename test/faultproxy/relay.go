package faultproxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// relay is one client's connection and the one that it stands for.
type relay struct {
	proxy          *Proxy
	client, server net.Conn
	clear          net.Conn // the client's without TLS
	in, out        *bufio.Reader

	say sync.Mutex // one writer to the client at a time

	mu     sync.Mutex
	strike *Fault // under way
	tag    string // of the command that is struck
	asked  bool   // the server has asked for the literal that was announced
	passed int    // bytes of the answer
	bodies int    // messages of the answer

	refusing *Fault // the message under way is refused; of responses alone
}

func newRelay(p *Proxy, client, clear, server net.Conn) *relay {
	r := &relay{proxy: p, client: client, clear: clear, server: server}
	r.in, r.out = bufio.NewReader(client), bufio.NewReader(server)
	if f := p.fault(Greeting, ""); f != nil {
		r.strike, r.tag = f, "*"
	}
	return r
}

func (r *relay) close() {
	_ = r.clear.Close()
	_ = r.server.Close()
}

// requests passes the client's commands on.
func (r *relay) requests() {
	defer r.close()
	for {
		line, err := r.in.ReadString('\n')
		if line != "" && r.client == r.clear {
			r.proxy.hear([]byte(line))
		}
		if err != nil {
			return
		}
		tag, verb := verbOf(line)
		if verb == "STARTTLS" && r.proxy.options.StartTLS != nil {
			r.upgrade(tag)
			continue
		}
		var f *Fault
		if !r.busy() {
			f = r.proxy.fault(verb, line)
		}
		if f != nil && !r.begin(f, tag) {
			if !r.refuse(f, tag, line) {
				return
			}
			continue
		}
		if !r.command(line) {
			return
		}
	}
}

// begin notes the harm to be done to the answer; false where the server is not to hear
// of the command.
func (r *relay) begin(f *Fault, tag string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch f.Kind {
	case Answer, Bye, HalfOpen, Garbage:
		return false
	}
	r.strike, r.tag, r.passed, r.bodies = f, tag, 0, 0
	return true
}

// busy reports whether harm is being done to an earlier command: one at a time.
func (r *relay) busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.strike != nil
}

// refuse does the harm in which the server has no part; false ends the connection.
func (r *relay) refuse(f *Fault, tag, line string) bool {
	switch f.Kind {
	case HalfOpen:
		_ = r.server.Close()
		_, _ = io.Copy(io.Discard, r.in) // what the client says goes nowhere
		return false
	case Bye:
		r.tell("* BYE " + f.Words + "\r\n")
		return false
	case Garbage:
		r.tell(f.Words)
		_, _ = io.Copy(io.Discard, r.in)
		return false
	}
	for size, goesOn, ok := literal(line); ok && goesOn; size, goesOn, ok = literal(line) {
		if _, err := io.CopyN(io.Discard, r.in, size); err != nil {
			return false
		}
		var err error
		if line, err = r.in.ReadString('\n'); err != nil {
			return false
		}
	}
	return r.tell(tag + " " + f.Words + "\r\n")
}

// command passes a command on with its literals; those for which the server is asked
// first are lines to us, and come by as such.
func (r *relay) command(line string) bool {
	for {
		if r.stalled() {
			<-r.proxy.end
			return false
		}
		r.mu.Lock()
		r.asked = false
		r.mu.Unlock()
		if _, err := io.WriteString(r.server, line); err != nil {
			return false
		}
		size, goesOn, ok := literal(line)
		if !ok {
			return true
		}
		if !goesOn {
			// The server says whether it wants it; if not, a command comes instead.
			if _, err := r.in.Peek(1); err != nil {
				return false
			}
			if !r.wanted() {
				return true
			}
		}
		if _, err := io.CopyN(r.server, r.in, size); err != nil {
			return false
		}
		var err error
		if line, err = r.in.ReadString('\n'); err != nil {
			return false
		}
	}
}

// wanted reports whether the client's next bytes are the literal that it announced:
// it sends them only once the server has asked for them.
func (r *relay) wanted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// upgrade answers STARTTLS and goes on over TLS.
func (r *relay) upgrade(tag string) {
	r.tell(tag + " OK begin\r\n" + r.proxy.options.Injected)
	c := tls.Server(r.clear, r.proxy.options.StartTLS)
	r.say.Lock()
	r.client = c
	r.say.Unlock()
	r.in.Reset(c)
}

func (r *relay) tell(s string) bool {
	r.say.Lock()
	defer r.say.Unlock()
	_, err := io.WriteString(r.client, s)
	return err == nil
}

func (r *relay) stalled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.strike != nil && r.strike.Kind == Stall && r.strike.Bytes == 0
}

// responses passes the server's responses on.
func (r *relay) responses() {
	quiet := false // the server was lost and the client is not told
	defer func() {
		if !quiet {
			r.close()
		}
	}()
	if c, secured := r.client.(*tls.Conn); secured && c.Handshake() != nil {
		return
	}
	for {
		line, err := r.out.ReadString('\n')
		if err != nil {
			quiet = r.halfOpen()
			return
		}
		if line[0] == '+' {
			r.mu.Lock()
			r.asked = true
			r.mu.Unlock()
		}
		size, _, ok := literal(line)
		ok = ok && (strings.HasPrefix(line, "* ") || strings.HasPrefix(line, " "))
		if r.refusing != nil || ok && r.proxy.refuses() {
			if !r.refuseMessage(line, size, ok) {
				return
			}
			continue
		}
		if !r.pass(line) || ok && !r.passBody(size) {
			return
		}
	}
}

// refuseMessage passes a message on, unless it is one that is refused: then all is dropped
// to the end of the answer, in whose place the refusal comes.
func (r *relay) refuseMessage(line string, size int64, hasBody bool) bool {
	var body []byte
	if hasBody {
		body = make([]byte, size)
		if _, err := io.ReadFull(r.out, body); err != nil {
			return false
		}
	}
	if r.refusing == nil {
		if r.refusing = r.proxy.refusal(body); r.refusing == nil {
			return r.tell(line + string(body))
		}
		return true
	}
	if hasBody || strings.ContainsAny(line[:1], "* )") {
		return true
	}
	words := r.refusing.Words
	r.refusing = nil
	tag, _, _ := strings.Cut(line, " ")
	return r.tell(tag + " " + words + "\r\n")
}

func (r *relay) halfOpen() bool {
	r.proxy.mu.Lock()
	defer r.proxy.mu.Unlock()
	for _, f := range r.proxy.faults {
		if f.Kind == HalfOpen {
			return true
		}
	}
	return false
}

// harm returns what is done to the answer under way, and whether the line ends it.
func (r *relay) harm(line string) (f *Fault, last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f = r.strike; f == nil {
		return nil, false
	}
	last = r.tag == "*" || strings.HasPrefix(line, r.tag+" ")
	return f, last
}

// pass passes one line on, harmed if it has to be; false ends the connection.
func (r *relay) pass(line string) bool {
	f, last := r.harm(line)
	if f == nil {
		return r.tell(line)
	}
	switch f.Kind {
	case Cut, Stall:
		if r.passed+len(line) < f.Bytes {
			r.passed += len(line)
			return r.tell(line)
		}
		r.tell(line[:max(0, f.Bytes-r.passed)])
		if f.Kind == Stall {
			<-r.proxy.end
		}
		return false
	case Drip:
		return r.drip(line, f.Pause)
	case Bye:
		r.tell("* BYE " + f.Words + "\r\n")
		return false
	case Garbage:
		r.tell(f.Words)
		<-r.proxy.end
		return false
	case HalfOpen:
		<-r.proxy.end
		return false
	case Answer:
		return r.tell(r.tag + " " + f.Words + "\r\n")
	case Reword:
		if !last {
			return r.tell(line)
		}
		r.mu.Lock()
		r.strike = nil
		r.mu.Unlock()
		return r.tell(r.tag + " " + f.Words + "\r\n")
	case LostReply:
		return !last
	case CutAfter:
		if r.tell(line); last && f.Messages > 0 {
			r.mu.Lock()
			r.strike = nil // fewer messages came
			r.mu.Unlock()
			return true
		}
		return !last
	}
	return r.tell(line)
}

func (r *relay) drip(text string, pause time.Duration) bool {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := range len(text) {
		select {
		case <-r.proxy.end:
			return false
		case <-tick.C:
		}
		if !r.tell(text[i : i+1]) {
			return false
		}
	}
	return true
}

// passBody passes a literal on.
func (r *relay) passBody(size int64) bool {
	f, _ := r.harm("")
	if f == nil || f.Kind == CutAfter {
		r.say.Lock()
		_, err := io.CopyN(r.client, r.out, size)
		r.say.Unlock()
		r.bodies++
		return err == nil && (f == nil || f.Messages == 0 || r.bodies < f.Messages || !r.restOfResponse())
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r.out, body); err != nil {
		return false
	}
	if f.Kind == Tear {
		if strings.Contains(string(body), f.Words) {
			r.tell(string(body[:len(body)/2]))
			return false
		}
		return r.tell(string(body))
	}
	return r.pass(string(body))
}

// restOfResponse passes on what follows the last message that may pass: it has come
// whole then.
func (r *relay) restOfResponse() bool {
	if line, err := r.out.ReadString('\n'); err == nil {
		r.tell(line)
	}
	return true
}
