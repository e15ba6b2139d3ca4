package imapmail

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestOddNamesAreReadable(t *testing.T) {
	for name, x := range map[string]struct{ listed, want []string }{
		"none is odd":                {[]string{"INBOX", "&AOQ-", "a&-b"}, []string{"INBOX", "ä", "a&b"}},
		"UTF-8":                      {[]string{"Entwürfe/日本"}, []string{"Entwürfe/日本"}},
		"Latin-1":                    {[]string{"Entw\xfcrfe"}, []string{"Entwürfe"}},
		"a shift without end":        {[]string{"a&AOQ"}, []string{"a&AOQ"}},
		"half a pair":                {[]string{"&2AA-"}, []string{"&2AA-"}},
		"a letter shifted for no need": {[]string{"&AGE-", "a"}, []string{"=26AGE-", "a"}},
		"alike in three spellings":   {[]string{"&AOQ-", "\xe4", "ä"}, []string{"ä", "=E4", "=C3=A4"}},
		"two odd ones alone":         {[]string{"\xe4", "ä"}, []string{"=E4", "=C3=A4"}},
		"children stay below":        {[]string{"&AOQ-", "\xe4", "\xe4/x", "ä/\xfc", "&AOQ-/x"}, []string{"ä", "=E4", "=E4/x", "=C3=A4/ü", "ä/x"}},
		"parts of several spellings": {[]string{"\xe4/ü/&AOQ-"}, []string{"ä/ü/ä"}},
		"the hex itself is there":    {[]string{"&AOQ-", "\xe4", "=E4"}, []string{"ä", "=E4=", "=E4"}},
		"control characters":         {[]string{"a\x01", "&AAA-"}, []string{"a=01", "=26AAA-"}},
		"shown as INBOX":             {[]string{"INBOX", "&AGk-nbox"}, []string{"INBOX", "=26AGk-nbox"}},
		"a seal of its own":          {[]string{encodeName(seal("x"))}, []string{seal("x")}},
	} {
		t.Run(name, func(t *testing.T) {
			var b nameBook
			var names []string
			for _, wire := range x.listed {
				names = append(names, understood(wire))
			}
			shown := b.listed(names, "/")
			for i, n := range names {
				as := n
				if odd(x.listed[i]) {
					as = shown[n]
				}
				if as != x.want[i] {
					t.Errorf("%q is shown as %q, want %q", x.listed[i], as, x.want[i])
				}
				want, _ := quoteBytes(x.listed[i])
				if got := string(unsealAll([]byte(`"` + encodeName(b.sealed(as)) + `"`))); got != want {
					t.Errorf("%q goes back as %s", x.listed[i], got)
				}
			}
			if again := b.listed(slices.Backward2(names), "/"); len(again) != len(shown) {
				t.Errorf("in another order %q", again)
			}
		})
	}
}
