package faultproxy

import (
	"bytes"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"testing"
)

// Proxy listens on a loopback port and passes connections on to a server.
type Proxy struct {
	Port int

	listener net.Listener
	server   string
	options  Options
	end      chan struct{} // closed when the test ends

	mu          sync.Mutex
	faults      []*counted
	open        []net.Conn
	passing     sync.WaitGroup
	connections int
	struck      int
	heard       []byte // in the clear, from clients
}

// Options of a Proxy.
type Options struct {
	// TLS is the client's side's, from the first byte; nil: plain.
	TLS *tls.Config
	// StartTLS is the client's side's once it has asked for it; nil: the command goes to
	// the server.
	StartTLS *tls.Config
	// Injected is said in the clear right behind the answer to STARTTLS.
	Injected string
	Faults   []Fault
}

// counted is a fault with how often its command came.
type counted struct {
	Fault
	came int
}

// New starts a proxy in front of a server at address, until the test ends.
func New(t testing.TB, address string, o Options) *Proxy {
	t.Helper()
	p, err := Start("127.0.0.1:0", address, o)
	if err != nil {
		t.Fatalf("start a proxy: %v", err)
	}
	t.Cleanup(p.Close)
	return p
}

// Start starts a proxy that listens on one address in front of a server at another.
func Start(listen, address string, o Options) (*Proxy, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		Port: l.Addr().(*net.TCPAddr).Port, listener: l, server: address, options: o, end: make(chan struct{}),
	}
	p.Strike(o.Faults...)
	p.passing.Go(p.accept)
	return p, nil
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	close(p.end)
	_ = p.listener.Close()
	p.closeAll()
	p.passing.Wait()
}

// Strike replaces the faults; none: it passes everything on.
func (p *Proxy) Strike(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
	for _, f := range faults {
		p.faults = append(p.faults, &counted{Fault: f})
	}
}

// Connections is how many clients have come.
func (p *Proxy) Connections() int { p.mu.Lock(); defer p.mu.Unlock(); return p.connections }

// Struck is how often harm was done.
func (p *Proxy) Struck() int { p.mu.Lock(); defer p.mu.Unlock(); return p.struck }

// Heard is what clients have said in the clear: nothing where their side is TLS.
func (p *Proxy) Heard() string { p.mu.Lock(); defer p.mu.Unlock(); return string(p.heard) }

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.keep(client, server) {
			return
		}
		clear := client
		if p.options.TLS != nil {
			client = tls.Server(client, p.options.TLS)
		}
		r := newRelay(p, client, clear, server)
		p.passing.Go(r.requests)
		p.passing.Go(r.responses)
	}
}

// keep notes connections to be closed at the end; false where that has come.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.end:
		for _, c := range conns {
			_ = c.Close()
		}
		return false
	default:
	}
	p.connections++
	p.open = append(p.open, conns...)
	return true
}

func (p *Proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		_ = c.Close()
	}
}

// fault returns the harm to be done to a command, nil for none.
func (p *Proxy) fault(verb, line string) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.faults {
		if !f.strikes(verb, line) {
			continue
		}
		f.came++
		if nth := f.came - f.Skip; nth > 0 && (f.Times == 0 || nth <= f.Times) {
			p.struck++
			return &f.Fault
		}
	}
	return nil
}

// refusal returns the answer in the place of a message, nil where it passes.
func (p *Proxy) refusal(message []byte) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.faults {
		if f.Kind == Refuse && bytes.Contains(message, []byte(f.Holds)) {
			p.struck++
			return &f.Fault
		}
	}
	return nil
}

// refuses reports whether messages have to be looked at.
func (p *Proxy) refuses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.faults, func(f *counted) bool { return f.Kind == Refuse })
}

func (p *Proxy) hear(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, b...)
}
