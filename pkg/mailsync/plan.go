package mailsync

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// pair says that a source message is at the target already.
type pair struct{ src, dst mailbox.UID }

// group is messages of one fingerprint on both sides that only their contents can
// tell apart.
type group struct{ src, dst []mailbox.UID }

// matching is what fingerprints alone decide.
type matching struct {
	sure []pair  // adopted at once
	ask  []group // to be settled by digests of whole messages
}

// match finds the source messages that the tail already holds. A message is
// recognised at once if it has a Message-ID, its fingerprint is unique on both sides
// and size and date agree too; wherever a fingerprint is on both sides and that is not so, contents
// have to be compared: servers lie about sizes, tools lose dates, and templates
// share a Message-ID. Both are left sorted byPrint.
func match(source, tail []entry) matching {
	slices.SortFunc(source, byPrint)
	slices.SortFunc(tail, byPrint)
	var m matching
	for len(source) > 0 && len(tail) > 0 {
		if d := bytes.Compare(source[0].print[:], tail[0].print[:]); d < 0 {
			source = source[alike(source):]
			continue
		} else if d > 0 {
			tail = tail[alike(tail):]
			continue
		}
		src, dst := source[:alike(source)], tail[:alike(tail)]
		source, tail = source[len(src):], tail[len(dst):]
		if len(src) == 1 && len(dst) == 1 && src[0].named() && src[0].size == dst[0].size && src[0].date == dst[0].date {
			m.sure = append(m.sure, pair{src[0].uid, dst[0].uid})
		} else {
			m.ask = append(m.ask, group{uids(src), uids(dst)})
		}
	}
	slices.SortFunc(m.sure, bySource)
	slices.SortFunc(m.ask, func(a, b group) int { return cmp.Compare(a.src[0], b.src[0]) })
	return m
}

// alike is how many entries at the beginning have the fingerprint of the first.
func alike(sorted []entry) int {
	n := 1
	for n < len(sorted) && sorted[n].print == sorted[0].print {
		n++
	}
	return n
}

func uids(es []entry) []mailbox.UID {
	out := make([]mailbox.UID, len(es))
	for i, e := range es {
		out[i] = e.uid
	}
	slices.Sort(out)
	return out
}

// settle decides the groups once their contents are known: equal contents, those of
// one date first and then in the order of UIDs, so that true duplicates stay as many
// as they were; then, among what is left, equal normal forms. A message whose
// contents are not known (it is gone by now) matches nothing.
//
// Those in delivered are at the target already and choose first: what is there is
// theirs, and an equal message may be adopted only if there is one more.
func settle(ask []group, delivered mailbox.UIDSet, source, target map[mailbox.UID]contents) []pair {
	var out []pair
	for _, g := range ask {
		var first, then []mailbox.UID
		for _, u := range g.src {
			if delivered.Contains(u) {
				first = append(first, u)
			} else {
				then = append(then, u)
			}
		}
		pairs, rest := pairAll(first, g.dst, source, target)
		out = append(out, pairs...)
		pairs, _ = pairAll(then, rest, source, target)
		out = append(out, pairs...)
	}
	slices.SortFunc(out, bySource)
	return out
}

func bySource(a, b pair) int { return cmp.Compare(a.src, b.src) }

// pairAll pairs by one likeness after the other; rest is what is left of dst.
func pairAll(src, dst []mailbox.UID, source, target map[mailbox.UID]contents) (out []pair, rest []mailbox.UID) {
	for _, key := range []func(contents) contents{
		func(c contents) contents { return contents{raw: c.raw, date: c.date} },
		func(c contents) contents { return contents{raw: c.raw} },
		func(c contents) contents { return contents{form: c.form, date: c.date} },
		func(c contents) contents { return contents{form: c.form} },
	} {
		var pairs []pair
		pairs, src, dst = pairBy(key, src, dst, source, target)
		out = append(out, pairs...)
	}
	return out, dst
}

func pairBy(key func(contents) contents, src, dst []mailbox.UID, source, target map[mailbox.UID]contents) (pairs []pair, restSrc, restDst []mailbox.UID) {
	waiting := map[contents][]mailbox.UID{}
	for _, d := range dst {
		if c, ok := target[d]; ok {
			waiting[key(c)] = append(waiting[key(c)], d)
		}
	}
	taken := map[mailbox.UID]bool{}
	for _, s := range src {
		c, ok := source[s]
		if q := waiting[key(c)]; ok && len(q) > 0 {
			pairs = append(pairs, pair{s, q[0]})
			taken[q[0]] = true
			waiting[key(c)] = q[1:]
		} else {
			restSrc = append(restSrc, s)
		}
	}
	for _, d := range dst {
		if !taken[d] {
			restDst = append(restDst, d)
		}
	}
	return pairs, restSrc, restDst
}

// twin is what two copies of one message at one server have in common.
type twin struct {
	print      fingerprint
	size, date int64
}

func (e entry) twin() twin { return twin{e.print, e.size, e.date} }

// twins counts the messages of tail that are a further copy of another one there:
// what a writer that was believed dead brought after all. Only candidates are
// returned, as groups of target UIDs of one fingerprint, size and date, each with
// at least two members of which one at least is in loose; contents have to prove
// them.
func twins(all []entry, loose mailbox.UIDSet) [][]mailbox.UID {
	groups := map[twin][]entry{}
	for _, e := range all {
		groups[e.twin()] = append(groups[e.twin()], e)
	}
	var out [][]mailbox.UID
	for _, g := range groups {
		if len(g) > 1 && slices.ContainsFunc(g, func(e entry) bool { return loose.Contains(e.uid) }) {
			out = append(out, uids(g))
		}
	}
	slices.SortFunc(out, func(a, b []mailbox.UID) int { return cmp.Compare(a[0], b[0]) })
	return out
}

// surplusOf counts, in groups of candidate twins, how many loose copies there are
// beyond what the map and the source account for: copies with contents that occur
// already.
func surplusOf(groups [][]mailbox.UID, loose mailbox.UIDSet, target map[mailbox.UID]contents) int64 {
	var n int64
	for _, g := range groups {
		known := map[digest]bool{}
		for _, u := range g {
			if c, ok := target[u]; ok && !loose.Contains(u) {
				known[c.raw] = true
			}
		}
		for _, u := range g {
			c, ok := target[u]
			if !ok || !loose.Contains(u) {
				continue
			}
			if known[c.raw] {
				n++
			}
			known[c.raw] = true
		}
	}
	return n
}

// flagChange is what has to be done to one target message, and what the base is
// afterwards.
type flagChange struct {
	src, dst    mailbox.UID
	add, remove mailbox.Flags
	now         mailbox.Flags // the source's
}

// threeWay returns the change for a message whose flags at the source were base
// when last carried and are now others; what differs at the target is the user's.
// ok is false where nothing has changed.
func threeWay(src, dst mailbox.UID, base, now mailbox.Flags) (flagChange, bool) {
	if base.Equal(now) {
		return flagChange{}, false
	}
	return flagChange{src: src, dst: dst, add: now.Without(base), remove: base.Without(now), now: now}, true
}

// storeOps groups changes by what is to be done, so that a thousand messages marked
// as read are one command. keeps limits what is added to what the target stores.
func storeOps(changes []flagChange, keeps func(mailbox.Flags) mailbox.Flags) []mailbox.FlagChange {
	byOp := map[string]*mailbox.FlagChange{}
	var order []*mailbox.FlagChange
	members := map[*mailbox.FlagChange][]mailbox.UID{}
	for _, c := range changes {
		if c.dst == 0 {
			continue
		}
		add := keeps(c.add)
		if len(add)+len(c.remove) == 0 {
			continue
		}
		k := add.String() + "\x00" + c.remove.String()
		op := byOp[k]
		if op == nil {
			op = &mailbox.FlagChange{Add: add, Remove: c.remove}
			byOp[k] = op
			order = append(order, op)
		}
		members[op] = append(members[op], c.dst)
	}
	out := make([]mailbox.FlagChange, len(order))
	for i, op := range order {
		op.Set = mailbox.NewUIDSet(members[op]...)
		out[i] = *op
	}
	return out
}
