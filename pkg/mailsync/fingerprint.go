package mailsync

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"io"
	"slices"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// fingerprint is what two copies of one message have in common without reading
// them whole. It finds candidates; only together with size, date and being unique
// on both sides, or with a digest, does it prove anything.
type fingerprint [16]byte

// fingerprintOf takes the Message-ID, or where there is none From, To, Date and
// Subject, in the form that every known server leaves alike: unfolded, white space
// as one space, NUL bytes left out, 8-bit bytes as X (Cyrus stores them so).
func fingerprintOf(header []byte) fingerprint {
	fields := headerFields(header)
	var b strings.Builder
	if ids := fields["message-id"]; len(ids) > 0 && ids[0] != "" {
		b.WriteString("id\n")
		b.WriteString(ids[0])
	} else {
		for _, name := range []string{"from", "to", "date", "subject"} {
			b.WriteString(name)
			for _, v := range fields[name] {
				b.WriteString("\n " + v)
			}
			b.WriteByte('\n')
		}
	}
	sum := sha256.Sum256([]byte(b.String()))
	return fingerprint(sum[:16])
}

// messageID returns the first Message-ID of a header, or "".
func messageID(header []byte) string {
	if ids := headerFields(header)["message-id"]; len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// headerFields returns the values of header's fields by lower-case name.
func headerFields(header []byte) map[string][]string {
	out := map[string][]string{}
	var name, value string
	flush := func() {
		if name != "" {
			out[name] = append(out[name], strings.Join(strings.Fields(value), " "))
		}
	}
	for _, line := range bytes.Split(header, []byte("\n")) {
		line = slices.DeleteFunc(bytes.TrimSuffix(line, []byte("\r")), func(c byte) bool { return c == 0 })
		text := strings.Map(func(r rune) rune {
			if r == '\r' {
				return ' '
			}
			return r
		}, string(eightBitToX(line)))
		if text != "" && (text[0] == ' ' || text[0] == '\t') {
			value += " " + text
			continue
		}
		flush()
		n, v, ok := strings.Cut(text, ":")
		if !ok {
			n, v = "", ""
		}
		name, value = strings.ToLower(strings.TrimSpace(n)), v
	}
	flush()
	return out
}

func eightBitToX(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		if c >= 0x80 {
			c = 'X'
		}
		out[i] = c
	}
	return out
}

// digest is the SHA-256 of a whole message.
type digest [sha256.Size]byte

// contents are a message's digest as it is, and in the form that is left when
// everything is taken away that servers are known to change by themselves; and its
// INTERNALDATE in Unix seconds.
type contents struct {
	raw, form digest
	date      int64
}

// digestOf reads a message to its end.
func digestOf(body io.Reader) (contents, error) {
	raw, form := sha256.New(), sha256.New()
	n := normaliser{to: form}
	if _, err := io.Copy(io.MultiWriter(raw, &n), body); err != nil {
		return contents{}, err
	}
	if err := n.end(); err != nil {
		return contents{}, err
	}
	return contents{raw: digest(raw.Sum(nil)), form: digest(form.Sum(nil))}, nil
}

// normaliser passes a message on in the form that all known servers agree on:
// CRLF, a lone LF and a lone CR end a line alike; NUL bytes and what Dovecot makes
// of them (0x80) are left out; 8-bit bytes of the header are X (Cyrus); line ends at
// the very end are left out, and so are CRs that end no line. The header field that
// mbsync adds to each copy is left out too. Messages of one form differ in nothing else.
type normaliser struct {
	to     io.Writer
	inBody bool
	any    bool // something of this line was seen
	ends   int  // line ends held back: they count only if something follows
	marked int  // bytes held back of a header line that begins like mbsyncMark
	skip   bool // the line is left out
	out    []byte
}

// mbsyncMark begins a line of isync 1.4's: by it a later run knows its own copies.
const mbsyncMark = "X-TUID: "

func (n *normaliser) Write(p []byte) (int, error) {
	n.out = n.out[:0]
	for _, c := range p {
		n.byte(c)
	}
	_, err := n.to.Write(n.out)
	return len(p), err
}

// end passes on what is still held back of a line.
func (n *normaliser) end() error {
	n.out = n.out[:0]
	n.release()
	_, err := n.to.Write(n.out)
	return err
}

// release gives a line back that only began like mbsyncMark.
func (n *normaliser) release() {
	held := mbsyncMark[:n.marked]
	n.marked = 0
	for i := range len(held) {
		n.add(held[i])
	}
}

func (n *normaliser) byte(c byte) {
	switch {
	case n.skip:
		n.skip = c != '\n'
		return
	case !n.inBody && !n.any && c == mbsyncMark[n.marked]:
		if n.marked++; n.marked == len(mbsyncMark) {
			n.marked, n.skip = 0, true
		}
		return
	case n.marked > 0 && c != '\r':
		n.release()
	}
	switch {
	case c == '\r':
		// A CR alone is dropped by some servers and kept by others; before LF it is
		// part of the line end.
		return
	case c == '\n':
		if !n.any {
			n.inBody = true
		}
		n.any = false
		n.ends++
		return
	case c == 0, c == 0x80 && n.inBody:
		return
	}
	n.add(c)
}

// add passes on a byte of a line.
func (n *normaliser) add(c byte) {
	for ; n.ends > 0; n.ends-- {
		n.out = append(n.out, '\n')
	}
	n.any = true
	if c >= 0x80 && !n.inBody {
		c = 'X'
	}
	n.out = append(n.out, c)
}

// entry is what the plan knows of one message. There may be as many as a folder holds,
// on both sides.
type entry struct {
	print fingerprint
	size  int64
	date  int64 // INTERNALDATE in Unix seconds; 0 without
	uid   mailbox.UID
	flags uint32 // index into flagSets, namedBit apart
}

// namedBit says that the fingerprint is of a Message-ID: scanners and forms send many
// alike without one.
const namedBit = 1 << 31

func (e entry) named() bool { return e.flags&namedBit != 0 }

// flagSets are the sets of flags that messages carry, each once: few, however many the
// messages are.
type flagSets struct {
	sets  []mailbox.Flags
	index map[string]uint32
}

func (s *flagSets) add(f mailbox.Flags) uint32 {
	key := f.String()
	i, ok := s.index[key]
	if !ok {
		if s.index == nil {
			s.index = map[string]uint32{}
		}
		i = uint32(len(s.sets))
		s.index[key] = i
		s.sets = append(s.sets, f)
	}
	return i
}

func (s *flagSets) entryOf(m mailbox.Meta) entry {
	e := entry{uid: m.UID, print: fingerprintOf(m.Header), size: m.Size, flags: s.add(m.Flags)}
	if messageID(m.Header) != "" {
		e.flags |= namedBit
	}
	if !m.Date.IsZero() {
		e.date = m.Date.Unix()
	}
	return e
}

// byPrint orders entries by fingerprint, those of one by UID.
func byPrint(a, b entry) int {
	return cmp.Or(bytes.Compare(a.print[:], b.print[:]), cmp.Compare(a.uid, b.uid))
}

func byUID(a, b entry) int { return cmp.Compare(a.uid, b.uid) }

// hasPrint reports whether there is an entry of a fingerprint among those sorted byPrint.
func hasPrint(sorted []entry, print fingerprint) bool {
	_, ok := slices.BinarySearchFunc(sorted, print, func(e entry, p fingerprint) int { return bytes.Compare(e.print[:], p[:]) })
	return ok
}

// entryOfUID returns the entry of a UID among those sorted byUID.
func entryOfUID(sorted []entry, u mailbox.UID) entry {
	i, ok := slices.BinarySearchFunc(sorted, u, func(e entry, u mailbox.UID) int { return cmp.Compare(e.uid, u) })
	if !ok {
		return entry{}
	}
	return sorted[i]
}
