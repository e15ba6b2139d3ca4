package migration

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzClean: what strangers say is fit for a log, a report and a terminal.
func FuzzClean(f *testing.F) {
	f.Add("NO [ALERT] \x1b[31mred\x07\u202e gone \xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if len(got) > 500 || !utf8.ValidString(got) || Clean(got) != got {
			t.Fatalf("%q becomes %q, then %q", s, got, Clean(got))
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Fatalf("%q becomes %q", s, got)
			}
		}
	})
}
