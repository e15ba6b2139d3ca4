package mailbox

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawSet(t *rapid.T, label string) (UIDSet, map[UID]bool) {
	uids := rapid.SliceOfN(rapid.Map(rapid.IntRange(1, 60), func(i int) UID { return UID(i) }), 0, 40).Draw(t, label)
	want := map[UID]bool{}
	for _, u := range uids {
		want[u] = true
	}
	return NewUIDSet(uids...), want
}

func check(t *rapid.T, what string, s UIDSet, want map[UID]bool) {
	t.Helper()
	if got, sorted := slices.Collect(s.All()), slices.Sorted(maps.Keys(want)); !slices.Equal(got, sorted) {
		t.Fatalf("%s: got %v, want %v", what, got, sorted)
	}
	if s.Len() != int64(len(want)) {
		t.Fatalf("%s: length %d of %v", what, s.Len(), s)
	}
	for i, r := range s {
		if r.First > r.Last || i > 0 && s[i-1].Last+1 >= r.First {
			t.Fatalf("%s: ranges overlap or touch: %v", what, s)
		}
	}
	for u := UID(1); u <= 61; u++ {
		if s.Contains(u) != want[u] {
			t.Fatalf("%s: %v contains %d: %v", what, s, u, s.Contains(u))
		}
	}
}

func TestUIDSetIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, inA := drawSet(t, "a")
		b, inB := drawSet(t, "b")
		union, minus, both := map[UID]bool{}, map[UID]bool{}, map[UID]bool{}
		for u := range inA {
			union[u] = true
			if inB[u] {
				both[u] = true
			} else {
				minus[u] = true
			}
		}
		for u := range inB {
			union[u] = true
		}
		check(t, "a", a, inA)
		check(t, "union", a.Union(b), union)
		check(t, "minus", a.Minus(b), minus)
		check(t, "intersection", a.Intersect(b), both)
		c := slices.Clone(a)
		for u := range inB {
			c.Append(u)
		}
		check(t, "append", c, union)
	})
}

func TestUIDSetAtTheEnd(t *testing.T) {
	s := Span(5, MaxUID)
	if got := s.Minus(UIDSet{{7, MaxUID}}); !slices.Equal(got, UIDSet{{5, 6}}) {
		t.Errorf("got %v", got)
	}
	n := 0
	for range Span(MaxUID-1, MaxUID).All() {
		n++
	}
	if n != 2 {
		t.Errorf("%d UIDs at the end, want 2", n)
	}
	if s := Span(1, 0); s != nil {
		t.Errorf("Span(1, 0) is %v", s)
	}
}

func TestFlags(t *testing.T) {
	f := NewFlags(`\SEEN`, "work", `\Recent`, "", "Work", `\answered`)
	if got := f.String(); got != `\Answered \Seen work` {
		t.Errorf("got %q", got)
	}
	if !f.Equal(NewFlags("WORK", `\Seen`, `\Answered`)) || f.Equal(NewFlags(`\Seen`)) {
		t.Error("Equal is wrong")
	}
	if got := f.Without(Flags{`\seen`}).String(); got != `\Answered work` {
		t.Errorf("Without: %q", got)
	}
	if !ParseFlags(f.String()).Equal(f) {
		t.Error("ParseFlags is not the inverse of String")
	}
}
