package mailbox

import (
	"io"
	"slices"
	"strings"
	"time"
)

// UID is a message's unique identifier inside a folder of one UIDVALIDITY
// (RFC 9051 section 2.3.1.1). 0 is never a UID: it means "not known".
type UID uint32

// UIDValidity names one life of a folder: UIDs of different UIDVALIDITY have
// nothing to do with each other. 0 means "not known".
type UIDValidity uint32

// ModSeq is a modification sequence (RFC 7162). 0 means "the server has none".
type ModSeq uint64

// Flags are a message's flags and keywords without \Recent, in canonical form:
// sorted without regard to case, no two equal but for case, system flags spelled
// as RFC 9051 spells them. Make them with NewFlags.
type Flags []string

// The system flags that a message may carry from one server to another.
const (
	Answered = `\Answered`
	Deleted  = `\Deleted`
	Draft    = `\Draft`
	Flagged  = `\Flagged`
	Seen     = `\Seen`
)

var systemFlags = []string{Answered, Deleted, Draft, Flagged, Seen}

// NewFlags returns names in canonical form; \Recent and empty names are dropped.
func NewFlags(names ...string) Flags {
	out := make(Flags, 0, len(names))
	for _, n := range names {
		if n == "" || strings.EqualFold(n, `\Recent`) {
			continue
		}
		for _, s := range systemFlags {
			if strings.EqualFold(n, s) {
				n = s
			}
		}
		out = append(out, n)
	}
	slices.SortFunc(out, compareFold)
	return slices.CompactFunc(out, strings.EqualFold)
}

func compareFold(a, b string) int {
	return strings.Compare(strings.ToLower(a), strings.ToLower(b))
}

// Has reports whether name is among f, without regard to case.
func (f Flags) Has(name string) bool {
	return slices.ContainsFunc(f, func(s string) bool { return strings.EqualFold(s, name) })
}

// Equal reports whether f and g hold the same flags, without regard to case.
func (f Flags) Equal(g Flags) bool {
	return slices.EqualFunc(f, g, strings.EqualFold)
}

// Without returns the flags of f that g lacks.
func (f Flags) Without(g Flags) Flags {
	var out Flags
	for _, s := range f {
		if !g.Has(s) {
			out = append(out, s)
		}
	}
	return out
}

// String returns the flags separated by spaces: a key for maps and records.
func (f Flags) String() string { return strings.Join(f, " ") }

// ParseFlags is the inverse of String.
func ParseFlags(s string) Flags { return NewFlags(strings.Fields(s)...) }

// Meta is what can be known of a message without reading its body.
type Meta struct {
	UID   UID
	Flags Flags
	// Date is INTERNALDATE in the zone that the server gave; zero where the server
	// gave none or one that cannot be read.
	Date time.Time
	// Size is RFC822.SIZE in bytes: what the server announces, which need not be
	// what it delivers.
	Size int64
	// Header holds the fields Message-ID, From, To, Date and Subject as the server
	// gave them (RFC 9051 BODY.PEEK[HEADER.FIELDS]), each as often as it occurs.
	Header []byte
}

// Message is a whole message on its way through. Body is valid only during the
// call that was given the Message, gives exactly Size bytes unless reading fails,
// and an error of it is the source's.
type Message struct {
	UID   UID
	Flags Flags
	Date  time.Time // as in Meta
	Size  int64     // bytes of Body: the literal's length
	Body  io.Reader
}
