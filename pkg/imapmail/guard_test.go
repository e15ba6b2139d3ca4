package imapmail

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func nobody([]byte) bool { return false }

// through sends a server's bytes through the guard.
func through(r io.Reader) (string, error) {
	g := newGuard(r)
	var out strings.Builder
	p := make([]byte, 100)
	for {
		n, _, err := g.read(p, nobody)
		out.Write(p[:n])
		if err != nil {
			return out.String(), err
		}
	}
}

func TestCleanerMendsWhatServersSend(t *testing.T) {
	for name, x := range map[string]struct{ in, want string }{
		"an ordinary reply stays":     {"* 1 FETCH (UID 1 FLAGS (\\Seen $X) INTERNALDATE \" 1-Jan-2020 00:00:00 +0000\" BODY[] {3}\r\nab])\r\n", "* 1 FETCH (UID 1 FLAGS (\\Seen $X) INTERNALDATE \" 1-Jan-2020 00:00:00 +0000\" BODY[] {3}\r\nab])\r\n"},
		"a literal is not looked at":  {"* 1 FETCH (UID 1 BODY[] {23}\r\n* 2 FETCH (FLAGS (x]))\n INTERNALDATE NIL)\r\n", "* 1 FETCH (UID 1 BODY[] {23}\r\n* 2 FETCH (FLAGS (x]))\n)\r\n"},
		"no date":                     {"* 1 FETCH (UID 1 INTERNALDATE NIL FLAGS ())\r\n", "* 1 FETCH (UID 1 FLAGS ())\r\n"},
		"no date at the end":          {"* 1 FETCH (UID 1 INTERNALDATE NIL)\r\n", "* 1 FETCH (UID 1)\r\n"},
		"nothing but odd items":       {"* 1 FETCH (INTERNALDATE NIL X-ODD (a (b)))\r\n", "* 1 FETCH ()\r\n"},
		"an odd date":                 {"* 1 FETCH (INTERNALDATE \"the other day\" UID 1)\r\n", "* 1 FETCH (UID 1)\r\n"},
		"a date with a named zone":    {"* 1 FETCH (UID 1 INTERNALDATE \"01-Jan-2020 10:00:00 GMT\")\r\n", "* 1 FETCH (UID 1 INTERNALDATE \" 1-Jan-2020 10:00:00 +0000\")\r\n"},
		"flags with brackets (Gmail)": {"* 1 FETCH (FLAGS (\\Seen a]b \"q\" [x) UID 1)\r\n", "* 1 FETCH (FLAGS (\\Seen [x) UID 1)\r\n"},
		"8-bit flags":                 {"* FLAGS (\\Seen \xe4)\r\n", "* FLAGS (\\Seen)\r\n"},
		"flags NIL":                   {"* 1 FETCH (UID 1 FLAGS NIL)\r\n", "* 1 FETCH (UID 1 FLAGS ())\r\n"},
		"an unknown item":             {"* 1 FETCH (UID 1 X-GM-LABELS (\"a b\" \\Inbox) FLAGS ())\r\n", "* 1 FETCH (UID 1 FLAGS ())\r\n"},
		"literal8 (Cyrus)":            {"* 1 FETCH (UID 1 BODY[] ~{2}\r\n\x00\x01)\r\n", "* 1 FETCH (UID 1 BODY[] {2}\r\n\x00\x01)\r\n"},
		"items after the body":        {"* 1 FETCH (UID 1 BODY[] {2}\r\nab INTERNALDATE NIL FLAGS (a] b))\r\n", "* 1 FETCH (UID 1 BODY[] {2}\r\nab FLAGS (b))\r\n"},
		"text in a quoted body":       {"* 1 FETCH (UID 1 BODY[] \"INTERNALDATE NIL\")\r\n", "* 1 FETCH (UID 1 BODY[] \"INTERNALDATE NIL\")\r\n"},
		"an unknown line":             {"* XYZZY 1 {3}\r\nabc (x)\r\n* 3 EXISTS\r\n", "* 3 EXISTS\r\n"},
		"an expanding line":           {"* ESEARCH (TAG \"x\") UID ALL 1:400000000\r\n* 3 EXISTS\r\n", "* 3 EXISTS\r\n"},
		"capabilities":                {"* CAPABILITY IMAP4rev2\r\n* OK [CAPABILITY IMAP4rev2] hi\r\nT1 OK [CAPABILITY IMAP4rev2] done\r\n", "* OK hi\r\nT1 OK done\r\n"},
		"a stray continuation":        {"+ go on\r\nT1 OK done\r\n", "T1 OK done\r\n"},
		"codes in lower case":         {"T1 NO [nonexistent] gone\r\n* OK [uidvalidity 7] x\r\n", "T1 NO [NONEXISTENT] gone\r\n* OK [UIDVALIDITY 7] x\r\n"},
		"a code out of range":         {"* OK [UIDNEXT 99999999999] x\r\n* OK [MODIFIED 1:2] y\r\n", "* OK x\r\n* OK y\r\n"},
		"permanent flags":             {"* OK [PERMANENTFLAGS (\\Seen a]b \\*)] ok\r\n", "* OK [PERMANENTFLAGS (\\Seen \\*)] ok\r\n"},
		"an empty delimiter":          {"* LIST () \"\" INBOX\r\n* NAMESPACE ((\"\" \"\")) NIL NIL\r\n", "* LIST () NIL INBOX\r\n* NAMESPACE ((\"\" NIL)) NIL NIL\r\n"},
		"a raw 8-bit name":            {"* LIST () \"/\" \"Entw\xfcrfe\"\r\n* STATUS \"Entw\xc3\xbcrfe\" (MESSAGES 1)\r\n", "* LIST () \"/\" \"" + encodeName(seal("Entw\xfcrfe")) + "\"\r\n* STATUS \"" + encodeName(seal("Entw\xc3\xbcrfe")) + "\" (MESSAGES 1)\r\n"},
		"a broken name":               {"* LIST () \"/\" \"a&b\"\r\n", "* LIST () \"/\" \"" + encodeName(seal("a&b")) + "\"\r\n"},
		"a name as a literal":         {"* LIST () \"/\" {5}\r\na&b\"c\r\n", "* LIST () \"/\" \"" + encodeName(seal("a&b\"c")) + "\"\r\n"},
		"a farewell":                  {"* BYE [UNAVAILABLE] odd ] text\r\n", "* BYE farewell\r\n"},
		"braces in human text":        {"* OK see {10}\r\nT1 OK it's \"open {3}\r\n", "* OK see {10}\r\nT1 OK it's \"open {3}\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := through(strings.NewReader(x.in))
			if got != x.want || !errors.Is(err, io.EOF) {
				t.Errorf("in   %q\ngot  %q (%v)\nwant %q", x.in, got, err, x.want)
			}
		})
	}
}

// endless is a server that never stops.
type endless struct {
	head string
	body byte
}

func (e *endless) Read(p []byte) (int, error) {
	if e.head != "" {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	for i := range p {
		p[i] = e.body
	}
	return len(p), nil
}

func TestGuardEndsWhatIsOutOfBounds(t *testing.T) {
	for name, r := range map[string]io.Reader{
		"a quoted string without end": &endless{`* LIST () "/" "`, 'a'},
		"a line without end":          &endless{"* OK ", 'x'},
		"nesting":                     strings.NewReader("* 1 FETCH " + strings.Repeat("(", 100) + "\r\n"),
		"a name of 100 MB":            strings.NewReader("* LIST () \"/\" {100000000}\r\n"),
		"an envelope of 4 GB":         strings.NewReader("* 1 FETCH (ENVELOPE ({4000000000}\r\n"),
		"a body of 4 TB":              strings.NewReader("* 1 FETCH (UID 1 BODY[] {4000000000000}\r\n"),
		"many short literals":         strings.NewReader("* 1 FETCH (" + strings.Repeat("BODY[1] {1}\r\nx ", 40_000) + ")\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := through(r); !errors.Is(err, errTooMuch) {
				t.Errorf("got %v, want %v", err, errTooMuch)
			}
		})
	}
}

// FuzzGuard: whatever a server sends, it is read to an end.
func FuzzGuard(f *testing.F) {
	f.Add("* 1 FETCH (UID 1 FLAGS (a]) BODY[] ~{3}\r\nabc INTERNALDATE NIL)\r\n* LIST () \"\" {3}\r\na&b\r\nT1 OK [X y] z\r\n")
	f.Add("* OK [PERMANENTFLAGS (\\*)] \r\n* NAMESPACE ((\"\" \"\")) NIL NIL\r\n+ \r\n* \r\n*\r\n\r\n")
	f.Fuzz(func(_ *testing.T, in string) { _, _ = through(strings.NewReader(in)) })
}

func FuzzNames(f *testing.F) {
	f.Add("Entwürfe & \"a\"\\ 日本語 😀")
	f.Fuzz(func(t *testing.T, name string) {
		for _, r := range encodeName(name) {
			if r < ' ' || r > '~' {
				t.Fatalf("%q: %q is not for the wire", name, encodeName(name))
			}
		}
		once := encodeName(readableName(name))
		if twice := encodeName(readableName(once)); once != twice {
			t.Errorf("%q: %q, then %q", name, once, twice)
		}
	})
}
