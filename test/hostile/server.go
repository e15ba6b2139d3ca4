package hostile

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// server is the client's connection as an attack sees it: writing fails once the
// client is gone.
type server struct {
	io.Writer
	tag string // of the command that is attacked
}

// attack is what a server does in the place of an answer.
type attack struct {
	// at is the command that is attacked, "" the greeting.
	at string
	do func(s server)
}

// again says one thing for ever.
func again(text string) func(server) {
	chunk := []byte(strings.Repeat(text, 1+64<<10/len(text)))
	return func(s server) {
		for {
			if _, err := s.Write(chunk); err != nil {
				return
			}
		}
	}
}

// first says head, and then one thing for ever.
func first(head, text string) func(server) {
	return func(s server) {
		_, _ = io.WriteString(s, head)
		again(text)(s)
	}
}

const openBody = "* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] "

// attacks are those of a server at each point of a pass.
var attacks = map[string]attack{
	"greeting without end":      {"", again("x")},
	"capabilities without end":  {"LOGIN", first("* CAPABILITY", " X")},
	"talk before the login":     {"LOGIN", again("* OK wait\r\n")},
	"answers to nothing":        {"LOGIN", again("x OK done\r\n")},
	"asks for ever":             {"LOGIN", again("+ go on\r\n")},
	"a quoted string":           {"LIST", first(`* LIST () "/" "`, "a")},
	"a line":                    {"LIST", first("* OK ", "a")},
	"nesting":                   {"LIST", first("* LIST (", "(")},
	"a name of 4 GB":            {"LIST", first("* LIST () \"/\" {4294967295}\r\n", "a")},
	"folders":                   {"LIST", folders},
	"long folders":              {"LIST", again("* LIST () \"/\" \"" + strings.Repeat("n", 60_000) + "\"\r\n")},
	"talk":                      {"LIST", again("* 4294967295 EXISTS\r\n* 1 EXPUNGE\r\n")},
	"unknown responses":         {"LIST", again("* XYZZY {1000}\r\n" + strings.Repeat("z", 1000) + "\r\n")},
	"nested namespaces":         {"NAMESPACE", first("* NAMESPACE ((\"\" \"/\")", "(\"a\" \"/\")")},
	"sets without end":          {"SELECT", again("* ESEARCH (TAG \"x\") UID ALL 1:4294967295\r\n* VANISHED (EARLIER) 1:4294967295\r\n")},
	"a COPYUID of everything":   {"SELECT", again("* OK [COPYUID 1 1:4294967295 1:4294967295] x\r\n")},
	"permanent flags":           {"SELECT", first("* OK [PERMANENTFLAGS (", "\\a ")},
	"messages nobody asked for": {"FETCH", again("* 9 FETCH (FLAGS (\\Seen))\r\n")},
	"one message for ever":      {"BODY", again(openBody + "{2}\r\nab)\r\n")},
	"flags without end":         {"FETCH", first("* 1 FETCH (UID 1 FLAGS (", "k ")},
	"many literals":             {"BODY", first("* 1 FETCH (UID 1", " BODY[1] {1}\r\nx")},
	"an envelope of 4 GB":       {"BODY", first("* 1 FETCH (UID 1 ENVELOPE ({4294967295}\r\n", "x")},
	"a nested body structure":   {"FETCH", first("* 1 FETCH (UID 1 BODYSTRUCTURE ", "(")},
	"a body of 16 EB":           {"BODY", first(openBody+"{18446744073709551615}\r\n", "x")},
	"a negative body":           {"BODY", first(openBody+"{-1}\r\n", "x")},
	"a body before its flags":   {"BODY", first("* 1 FETCH (UID 1 BODY[] {4294967296}\r\n", "x")},
	"APPENDUID of everything":   {"APPEND", func(s server) { _, _ = fmt.Fprintf(s, "%s OK [APPENDUID 1 1:4294967295] x\r\n", s.tag) }},
	"answers no APPEND":         {"APPEND", again("+ go\r\n* 1 EXISTS\r\n")},
	"literals to an APPEND":     {"APPEND", again("* X {1000000}\r\n" + strings.Repeat("x", 1_000_000) + "\r\n")},
}

func folders(s server) {
	w := bufio.NewWriterSize(s, 64<<10)
	for i := 0; ; i++ {
		if _, err := fmt.Fprintf(w, "* LIST (\\HasNoChildren) \"/\" %d\r\n* STATUS %d (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1)\r\n", i, i); err != nil {
			return
		}
	}
}

// serve plays a server to every client, until the test ends: an honest one of one
// folder with one message, but for the attack.
func serve(t *testing.T, a attack) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var playing sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	playing.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			playing.Go(func() {
				defer func() { _ = c.Close() }()
				play(c, a)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		playing.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}

// replies are an honest server's; %s is the tag.
var replies = map[string]string{
	"LOGIN":     "%s OK [CAPABILITY IMAP4rev1 NAMESPACE LITERAL+ UIDPLUS LIST-EXTENDED LIST-STATUS] in\r\n",
	"NAMESPACE": "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n%s OK done\r\n",
	"LIST":      "* LIST () \"/\" INBOX\r\n* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1)\r\n%s OK done\r\n",
	"SELECT":    "* 1 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 2] x\r\n* FLAGS (\\Seen)\r\n%s OK [READ-WRITE] open\r\n",
	"FETCH":     "* 1 FETCH (UID 1 FLAGS () BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\r\n\r\n)\r\n%s OK done\r\n",
	"BODY":      openBody + "{2}\r\nab)\r\n%s OK done\r\n",
	"APPEND":    "%s OK [APPENDUID 1 1] stored\r\n",
}

func play(c net.Conn, a attack) {
	s := server{Writer: c}
	if a.at == "" {
		a.do(s)
		return
	}
	_, _ = io.WriteString(c, "* OK ready\r\n")
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(strings.ReplaceAll(line, "UID FETCH", "FETCH"))
		if len(words) < 2 {
			continue
		}
		verb := strings.ReplaceAll(strings.ToUpper(words[1]), "EXAMINE", "SELECT")
		if strings.Contains(line, "BODY.PEEK[]") {
			verb = "BODY"
		}
		var size int64
		if at := strings.LastIndexByte(line, '{'); at > 0 && verb == "APPEND" {
			_, _ = fmt.Sscanf(line[at:], "{%d", &size)
			if !strings.Contains(line[at:], "+}") {
				_, _ = io.WriteString(c, "+ go\r\n")
			}
			_, _ = io.CopyN(io.Discard, in, size+2)
		}
		if verb == a.at {
			s.tag = words[0]
			a.do(s)
			_, _ = io.Copy(io.Discard, in)
			return
		}
		reply := replies[verb]
		if reply == "" {
			reply = "%s OK done\r\n"
		}
		_, _ = io.WriteString(c, strings.ReplaceAll(reply, "%s", words[0]))
	}
}
