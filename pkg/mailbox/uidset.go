package mailbox

import (
	"iter"
	"math"
	"slices"
)

// MaxUID is the largest UID there can be.
const MaxUID UID = math.MaxUint32

// Range is the UIDs First..Last, both included.
type Range struct{ First, Last UID }

// Len returns how many UIDs r spans.
func (r Range) Len() int64 { return int64(r.Last) - int64(r.First) + 1 }

// UIDSet is a set of UIDs as sorted ranges that neither overlap nor touch. Its
// size in memory is that of its ranges: it is never expanded.
type UIDSet []Range

// NewUIDSet returns the set of uids, in any order, doubled ones once.
func NewUIDSet(uids ...UID) UIDSet {
	sorted := slices.Clone(uids)
	slices.Sort(sorted)
	var s UIDSet
	for _, u := range sorted {
		s.Append(u)
	}
	return s
}

// Span returns the set first..last; empty if last is before first.
func Span(first, last UID) UIDSet {
	if first == 0 {
		first = 1
	}
	if last < first {
		return nil
	}
	return UIDSet{{first, last}}
}

// Append adds u in place. It takes constant time where u is beyond the last
// range, and the length of the set otherwise.
func (s *UIDSet) Append(u UID) { s.AppendRange(Range{u, u}) }

// AppendRange adds r in place, as Append does.
func (s *UIDSet) AppendRange(r Range) {
	n := len(*s)
	switch {
	case n == 0 || int64(r.First) > int64((*s)[n-1].Last)+1:
		*s = append(*s, r)
	case r.First >= (*s)[n-1].First:
		(*s)[n-1].Last = max((*s)[n-1].Last, r.Last)
	default:
		*s = s.Union(UIDSet{r})
	}
}

// Contains reports whether u is in s.
func (s UIDSet) Contains(u UID) bool {
	i, _ := slices.BinarySearchFunc(s, u, func(r Range, u UID) int {
		if r.Last < u {
			return -1
		}
		if r.First > u {
			return 1
		}
		return 0
	})
	return i < len(s) && s[i].First <= u && u <= s[i].Last
}

// Len returns how many UIDs are in s.
func (s UIDSet) Len() int64 {
	var n int64
	for _, r := range s {
		n += r.Len()
	}
	return n
}

// All yields the UIDs of s in order. Never call it on a set that a server sent:
// its ranges may span all there can be.
func (s UIDSet) All() iter.Seq[UID] {
	return func(yield func(UID) bool) {
		for _, r := range s {
			for u := r.First; ; u++ {
				if !yield(u) {
					return
				}
				if u == r.Last {
					break
				}
			}
		}
	}
}

// Union returns the UIDs in s or t.
func (s UIDSet) Union(t UIDSet) UIDSet {
	all := make(UIDSet, 0, len(s)+len(t))
	for len(s) > 0 || len(t) > 0 {
		if len(t) == 0 || len(s) > 0 && s[0].First <= t[0].First {
			all, s = appendSorted(all, s[0]), s[1:]
		} else {
			all, t = appendSorted(all, t[0]), t[1:]
		}
	}
	return all
}

func appendSorted(s UIDSet, r Range) UIDSet {
	if n := len(s); n > 0 && int64(r.First) <= int64(s[n-1].Last)+1 {
		s[n-1].Last = max(s[n-1].Last, r.Last)
		return s
	}
	return append(s, r)
}

// Minus returns the UIDs in s that are not in t.
func (s UIDSet) Minus(t UIDSet) UIDSet {
	var out UIDSet
	for _, r := range s {
		for len(t) > 0 && t[0].Last < r.First {
			t = t[1:]
		}
		first := int64(r.First)
		for _, x := range t {
			if x.First > r.Last {
				break
			}
			if int64(x.First) > first {
				out = append(out, Range{UID(first), x.First - 1})
			}
			first = int64(x.Last) + 1
		}
		if first <= int64(r.Last) {
			out = append(out, Range{UID(first), r.Last})
		}
	}
	return out
}

// Intersect returns the UIDs in both s and t.
func (s UIDSet) Intersect(t UIDSet) UIDSet { return s.Minus(s.Minus(t)) }
