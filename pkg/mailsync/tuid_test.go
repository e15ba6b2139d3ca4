package mailsync

import (
	"strings"
	"testing"
)

// mbsync's mark is left out of a header, and nothing else is.
func TestMbsyncMarkIsNoContent(t *testing.T) {
	form := func(text string) digest {
		c, err := digestOf(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return c.form
	}
	const plain = "From: a\r\nX-TUI: b\r\nSubject: c\r\n\r\nX-TUID: in the body\r\n"
	for name, x := range map[string]struct {
		text string
		same bool
	}{
		"at the end of the header": {"From: a\r\nX-TUI: b\r\nSubject: c\r\nX-TUID: 123456789012\r\n\r\nX-TUID: in the body\r\n", true},
		"at its beginning":         {"X-TUID: 123456789012\r\nFrom: a\r\nX-TUI: b\r\nSubject: c\r\n\r\nX-TUID: in the body\r\n", true},
		"with a bare line feed":    {"From: a\nX-TUI: b\nSubject: c\nX-TUID: 1\n\nX-TUID: in the body\n", true},
		"another field":            {"From: a\r\nX-TUI: b\r\nX-TUIDS: 1\r\nSubject: c\r\n\r\nX-TUID: in the body\r\n", false},
		"its like, cut short":      {"From: a\r\nX-T: b\r\nSubject: c\r\n\r\nX-TUID: in the body\r\n", false},
		"in the middle of a line":  {"From: aX-TUID: 1\r\nX-TUI: b\r\nSubject: c\r\n\r\nX-TUID: in the body\r\n", false},
		"the body's own":           {"From: a\r\nX-TUI: b\r\nSubject: c\r\n\r\n", false},
		"another body":             {"From: a\r\nX-TUI: b\r\nSubject: c\r\nX-TUID: 1\r\n\r\nX-TUID: in another body\r\n", false},
	} {
		if got := form(x.text) == form(plain); got != x.same {
			t.Errorf("%s: the same %v, want %v", name, got, x.same)
		}
	}
	if form("Subject: a\r\nX-TU") == form("Subject: a\r\nX-T") || form("X-TU") == form("") {
		t.Error("a header that ends within the mark's beginning is lost")
	}
}
