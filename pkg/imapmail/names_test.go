package imapmail

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestOddNamesAreReadable(t *testing.T) {
	for name, x := range map[string]struct{ listed, want []string }{
		"none is odd":                  {[]string{"INBOX", "&AOQ-", "a&-b"}, []string{"INBOX", "ä", "a&b"}},
		"UTF-8":                        {[]string{"Entwürfe/日本"}, []string{"Entwürfe/日本"}},
		"Latin-1":                      {[]string{"Entw\xfcrfe"}, []string{"Entwürfe"}},
		"a shift without end":          {[]string{"a&AOQ"}, []string{"a&AOQ"}},
		"half a pair":                  {[]string{"&2AA-"}, []string{"&2AA-"}},
		"a letter shifted for no need": {[]string{"&AGE-", "a"}, []string{"=26AGE-", "a"}},
		"alike in three spellings":     {[]string{"&AOQ-", "\xe4", "ä"}, []string{"ä", "=E4", "=C3=A4"}},
		"two odd ones alone":           {[]string{"\xe4", "ä"}, []string{"=E4", "=C3=A4"}},
		"children stay below":          {[]string{"&AOQ-", "\xe4", "\xe4/x", "ä/\xfc", "&AOQ-/x"}, []string{"ä", "=E4", "=E4/x", "=C3=A4/ü", "ä/x"}},
		"parts of several spellings":   {[]string{"\xe4/ü/&AOQ-"}, []string{"ä/ü/ä"}},
		"the hex itself is there":      {[]string{"&AOQ-", "\xe4", "=E4"}, []string{"ä", "=E4=", "=E4"}},
		"control characters":           {[]string{"a\x01", "&AAE-", "&AAA-"}, []string{"a=01", "\x01", "=26AAA-"}},
		"shown as INBOX":               {[]string{"INBOX", "&AGk-nbox"}, []string{"INBOX", "=26AGk-nbox"}},
		"a seal of its own":            {[]string{encodeName(seal("x"))}, []string{spellBytes(encodeName(seal("x")))}},
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
			slices.Reverse(names)
			if again := b.listed(names, "/"); !maps.Equal(again, shown) {
				t.Errorf("in another order %q", again)
			}
		})
	}
}

// What two servers' folders are called, whatever it is, stays two names, and each goes
// back as it came.
func FuzzOddNames(f *testing.F) {
	f.Add("\xe4/x", "&AOQ-/x", "/")
	f.Add("&AGE-", "a", ".")
	f.Add("INBOX", "&AEk-NBOX", "")
	f.Fuzz(func(t *testing.T, one, other, delimiter string) {
		var b nameBook
		names := []string{understood(one), understood(other)}
		shown := b.listed(slices.Clone(names), delimiter)
		for i, wire := range []string{one, other} {
			as := names[i]
			if odd(wire) {
				as = shown[as]
			}
			names[i] = as
			back := encodeName(b.sealed(as))
			if want, ok := quoteBytes(wire); ok && odd(wire) {
				if got := string(unsealAll([]byte(`"` + back + `"`))); got != want {
					t.Errorf("%q, shown as %q, goes back as %s", wire, as, got)
				}
			} else if !odd(wire) && back != wire {
				t.Errorf("%q goes back as %q", wire, back)
			}
		}
		if one != other && names[0] == names[1] {
			t.Errorf("%q and %q are both %q", one, other, names[0])
		}
	})
}

// A server's folders are opened, asked about and subscribed to by its own bytes, also
// over a connection that has listed nothing; what it never listed is spelled properly.
func TestOddNamesGoBackAsTheyCame(t *testing.T) {
	const raw = "\"Entw\xfcrfe \\\"1\\\"\""
	a := scripted(t, func(s *script) {
		s.welcome("LITERAL+")
		lsub := s.hear(`LSUB "" "*"`)
		tag := s.hear(`LIST "" "*"`)
		s.say("* LIST () \"/\" %s\r\n* LIST () \"/\" {1}\r\n\xe4\r\n* LIST () \"/\" &AOQ-\r\n%s OK done", raw, tag)
		s.say("* LSUB () \"/\" %s\r\n%s OK done", raw, lsub)
		for _, name := range []string{"\"\xe4\"", raw, "\"&AOQ-\""} {
			tag := s.hear("STATUS " + name + " (")
			s.say("* STATUS %s (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)\r\n%s OK done", name, tag)
		}
		s.say("%s NO no", s.hear("EXAMINE "+raw))
		s.say("%s NO no", s.hear("EXAMINE \"&AOkA6Q-\""))
		s.say("%s OK", s.hear("UNSUBSCRIBE "+raw))
	})
	s := opened(t, a)
	folders, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range folders {
		names = append(names, f.Name)
		if f.Status == nil || f.Status.UIDNext != 2 || f.Subscribed != (f.Name == `Entwürfe "1"`) {
			t.Errorf("%+v", f)
		}
	}
	if want := []string{"=E4", `Entwürfe "1"`, "ä"}; !slices.Equal(names, want) {
		t.Errorf("folders %q, want %q", names, want)
	}
	for _, name := range []string{`Entwürfe "1"`, "éé"} {
		if _, err := s.Select(t.Context(), name, true); !errors.As(err, new(*migration.Fault)) {
			t.Error(err)
		}
	}
	if errs := s.Subscribe(t.Context(), []string{`Entwürfe "1"`}, false); errs[0] != nil {
		t.Error(errs[0])
	}
	if q, ok := s.quoted(`Entwürfe "1"`); q != raw || !ok {
		t.Errorf("for an APPEND %s %v", q, ok)
	}
}
