package imapmail

import (
	"maps"
	"slices"
	"testing"
)

// What a server says after its answer is no part of it: neither a second answer, nor
// more names (the first are being read by then), nor the connection's end.
func TestSubscriptionsEndOnce(t *testing.T) {
	l := &lsub{tag: "M1", names: map[string]bool{}, done: make(chan struct{})}
	for _, line := range []string{`* LSUB () "." "a"`, "M1 OK done", `* LSUB () "." "b"`, "M1 OK again"} {
		if !l.claims([]byte(line)) {
			t.Errorf("%s is not claimed", line)
		}
		if err := l.take([]byte(line + "\r\n")); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	l.gone(errUnreadable)
	<-l.done
	if got := slices.Collect(maps.Keys(l.names)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("names %q, want a", got)
	}
}
