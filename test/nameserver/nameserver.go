// Package nameserver is a server of DNS for tests: it answers A, MX and SRV questions
// over UDP on loopback from records that the test gives it, and tells what was asked.
//
// It is no resolver: a name without records does not exist (NXDOMAIN). It never
// truncates, and knows neither TCP nor compression.
package nameserver

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The types of RFC 1035 section 3.2.2 and RFC 2782.
const (
	typeA   = 1
	typeMX  = 15
	typeSRV = 33
)

// Server answers questions.
type Server struct {
	conn    *net.UDPConn
	silent  bool
	mu      sync.Mutex
	records map[question][][]byte
	asked   []string
	ended   chan struct{}
}

type question struct {
	name string
	kind uint16
}

// Start listens on a free port until the test ends.
func Start(t testing.TB) *Server { return start(t, false) }

// Silent listens, and answers nothing.
func Silent(t testing.TB) *Server { return start(t, true) }

func start(t testing.TB, silent bool) *Server {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatalf("listen for questions: %v", err)
	}
	s := &Server{conn: conn, silent: silent, records: map[question][][]byte{}, ended: make(chan struct{})}
	go s.serve()
	t.Cleanup(func() {
		_ = conn.Close()
		<-s.ended
	})
	return s
}

// Addr is where it listens, as HOST:PORT.
func (s *Server) Addr() string { return s.conn.LocalAddr().String() }

// Asked are the names that were asked for, each with how often.
func (s *Server) Asked() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for _, name := range s.asked {
		out[name]++
	}
	return out
}

// A has a name lead to an address.
func (s *Server) A(name, address string) {
	a := netip.MustParseAddr(address).As4()
	s.add(name, typeA, a[:])
}

// MX gives a domain a mail exchanger.
func (s *Server) MX(domain string, preference uint16, host string) {
	s.add(domain, typeMX, append(binary.BigEndian.AppendUint16(nil, preference), wire(host)...))
}

// SRV gives a service, such as _imaps._tcp.example.org, a server; "." is none.
func (s *Server) SRV(service string, priority, weight uint16, port int, target string) {
	var b []byte
	for _, n := range []uint16{priority, weight, uint16(port)} {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	s.add(service, typeSRV, append(b, wire(target)...))
}

func (s *Server) add(name string, kind uint16, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := question{strings.ToLower(strings.TrimSuffix(name, ".")), kind}
	s.records[q] = append(s.records[q], data)
}

// wire spells a name as labels (RFC 1035 section 3.1).
func wire(name string) []byte {
	var b []byte
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label != "" {
			b = append(append(b, byte(len(label))), label...)
		}
	}
	return append(b, 0)
}

func (s *Server) serve() {
	defer close(s.ended)
	packet := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFromUDP(packet)
		if err != nil {
			return
		}
		if answer := s.answer(packet[:n]); answer != nil && !s.silent {
			_, _ = s.conn.WriteToUDP(answer, from)
		}
	}
}

const header = 12

// answer repeats the question with what there is; nil where it is none.
func (s *Server) answer(packet []byte) []byte {
	if len(packet) < header {
		return nil
	}
	var labels []string
	at := header
	for at < len(packet) && packet[at] != 0 {
		end := at + 1 + int(packet[at])
		if end > len(packet) {
			return nil
		}
		labels = append(labels, string(packet[at+1:end]))
		at = end
	}
	if at+5 > len(packet) {
		return nil
	}
	end := at + 5
	q := question{strings.ToLower(strings.Join(labels, ".")), binary.BigEndian.Uint16(packet[at+1:])}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q.name)
	exists := false
	for known := range s.records {
		exists = exists || known.name == q.name
	}
	records := s.records[q]
	out := slices.Clone(packet[:end])
	const response, recursion, noSuchName = 0x8400, 0x0180, 3
	flags := uint16(response | recursion)
	if !exists {
		flags |= noSuchName
	}
	binary.BigEndian.PutUint16(out[2:], flags)
	for i, n := range []int{1, len(records), 0, 0} {
		binary.BigEndian.PutUint16(out[4+2*i:], uint16(n))
	}
	for _, data := range records {
		out = append(out, 0xc0, header) // the question's name
		out = binary.BigEndian.AppendUint16(out, q.kind)
		out = binary.BigEndian.AppendUint16(out, 1)
		out = binary.BigEndian.AppendUint32(out, 60)
		out = binary.BigEndian.AppendUint16(out, uint16(len(data)))
		out = append(out, data...)
	}
	return out
}
