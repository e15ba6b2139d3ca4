package mailsync

import (
	"slices"
	"sort"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// run says that n source messages from src on were delivered as n target messages
// from dst on, and which flags were carried. dst 0: delivered, but the target did
// not tell where ("unplaced").
type run struct {
	src, dst mailbox.UID
	n        uint32
	flags    uint32 // index into uidMap.flagSets; 0 is none
}

func (r run) end() mailbox.UID { return r.src + mailbox.UID(r.n) - 1 }

// at returns where source message u of the run was delivered.
func (r run) at(u mailbox.UID) mailbox.UID {
	if r.dst == 0 {
		return 0
	}
	return r.dst + (u - r.src)
}

// cut returns the part of r from first to last.
func (r run) cut(first, last mailbox.UID) run {
	return run{first, r.at(first), uint32(last-first) + 1, r.flags}
}

// joins reports whether next continues r.
func (r run) joins(next run) bool {
	if r.flags != next.flags || next.src != r.src+mailbox.UID(r.n) {
		return false
	}
	if r.dst == 0 || next.dst == 0 {
		return r.dst == next.dst
	}
	return next.dst == r.dst+mailbox.UID(r.n)
}

// uidMap is which source messages of a folder were delivered, where to, and with
// which flags (the base of the three-way merge), as sorted runs: a few bytes for
// thousands of messages that were copied in order.
type uidMap struct {
	runs     []run
	flagSets flagSets
}

func newUIDMap() *uidMap {
	m := &uidMap{}
	m.flagSets.add(nil)
	return m
}

// search returns the index of the first run that ends at u or later.
func (m *uidMap) search(u mailbox.UID) int {
	return sort.Search(len(m.runs), func(i int) bool { return m.runs[i].end() >= u })
}

// get returns where source message u was delivered (0: unplaced) and the flags that
// were carried; ok is false where it was not delivered.
func (m *uidMap) get(u mailbox.UID) (dst mailbox.UID, flags mailbox.Flags, ok bool) {
	i := m.search(u)
	if i == len(m.runs) || m.runs[i].src > u {
		return 0, nil, false
	}
	return m.runs[i].at(u), m.flagSets.sets[m.runs[i].flags], true
}

// put notes a run, over whatever the map said of its source messages before.
func (m *uidMap) put(r run) {
	if r.n == 0 {
		return
	}
	if k := len(m.runs); k == 0 || m.runs[k-1].end() < r.src {
		if k > 0 && m.runs[k-1].joins(r) {
			m.runs[k-1].n += r.n
		} else {
			m.runs = append(m.runs, r)
		}
		return
	}
	i := m.search(r.src)
	j := i
	parts := make([]run, 0, 3)
	if i < len(m.runs) && m.runs[i].src < r.src {
		parts = append(parts, m.runs[i].cut(m.runs[i].src, r.src-1))
	}
	parts = append(parts, r)
	for j < len(m.runs) && m.runs[j].src <= r.end() {
		if m.runs[j].end() > r.end() {
			parts = append(parts, m.runs[j].cut(r.end()+1, m.runs[j].end()))
		}
		j++
	}
	if i > 0 {
		i--
		parts = append([]run{m.runs[i]}, parts...)
	}
	if j < len(m.runs) {
		parts = append(parts, m.runs[j])
		j++
	}
	joined := parts[:1]
	for _, p := range parts[1:] {
		if last := &joined[len(joined)-1]; last.joins(p) {
			last.n += p.n
		} else {
			joined = append(joined, p)
		}
	}
	m.runs = append(m.runs[:i], append(joined, m.runs[j:]...)...)
}

// deliver notes one delivered message.
func (m *uidMap) deliver(src, dst mailbox.UID, flags mailbox.Flags) run {
	r := run{src, dst, 1, m.flagSets.add(flags)}
	m.put(r)
	return r
}

// sources returns the source UIDs of the map.
func (m *uidMap) sources() mailbox.UIDSet {
	var s mailbox.UIDSet
	for _, r := range m.runs {
		s.AppendRange(mailbox.Range{First: r.src, Last: r.end()})
	}
	return s
}

// unplaced returns the source UIDs that were delivered it is not known where.
func (m *uidMap) unplaced() mailbox.UIDSet {
	var s mailbox.UIDSet
	for _, r := range m.runs {
		if r.dst == 0 {
			s.AppendRange(mailbox.Range{First: r.src, Last: r.end()})
		}
	}
	return s
}

// targets returns the target UIDs of the map from first on.
func (m *uidMap) targets(first mailbox.UID) mailbox.UIDSet {
	var ranges []mailbox.Range
	for _, r := range m.runs {
		if last := r.at(r.end()); r.dst != 0 && last >= first {
			ranges = append(ranges, mailbox.Range{First: max(r.dst, first), Last: last})
		}
	}
	sort.Slice(ranges, func(i, j int) bool { return ranges[i].First < ranges[j].First })
	var s mailbox.UIDSet
	for _, r := range ranges {
		s.AppendRange(r)
	}
	return s
}

// targetsBut returns the target UIDs of all source messages but those.
func (m *uidMap) targetsBut(those mailbox.UIDSet) mailbox.UIDSet {
	rest := newUIDMap()
	rest.runs = slices.Clone(m.runs)
	rest.remove(those)
	return rest.targets(1)
}

// forgetTargets makes every delivered message unplaced: the target folder is
// another one now.
func (m *uidMap) forgetTargets() {
	old := m.runs
	m.runs = nil
	for _, r := range old {
		r.dst = 0
		m.put(r)
	}
}

// remove forgets source messages.
func (m *uidMap) remove(sources mailbox.UIDSet) {
	runs := m.runs
	m.runs = nil
	for _, r := range runs {
		for _, part := range mailbox.Span(r.src, r.end()).Minus(sources) {
			m.put(r.cut(part.First, part.Last))
		}
	}
}

// len returns how many messages were delivered.
func (m *uidMap) len() int64 {
	var n int64
	for _, r := range m.runs {
		n += int64(r.n)
	}
	return n
}

// ends returns the first and the last message of the map that are among source and
// whose copies are among target; zeros where there is none.
func (m *uidMap) ends(source, target mailbox.UIDSet) (first, last pair) {
	for u := range source.All() {
		dst, _, ok := m.get(u)
		if !ok || dst == 0 || !target.Contains(dst) {
			continue
		}
		if last = (pair{u, dst}); first.src == 0 {
			first = last
		}
	}
	return first, last
}

// lastTargets returns where the last n messages of source were delivered.
func (m *uidMap) lastTargets(source mailbox.UIDSet, n int64) mailbox.UIDSet {
	var out []mailbox.UID
	skip := source.Len() - n
	for u := range source.All() {
		if skip--; skip >= 0 {
			continue
		}
		if dst, _, ok := m.get(u); ok && dst != 0 {
			out = append(out, dst)
		}
	}
	return mailbox.NewUIDSet(out...)
}
