package imapmail

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// told is a server that says all it has to say, whatever it hears, and hangs up.
type told struct {
	net.Conn
	mu    sync.Mutex
	heard bytes.Buffer
}

// tell connects to a server that says lines; heard has what it was told.
func tell(says string) (dial func(context.Context, string, string) (net.Conn, error), heard func() string, wait func()) {
	client, server := net.Pipe()
	x := &told{Conn: server}
	var both sync.WaitGroup
	both.Add(2)
	go func() {
		defer both.Done()
		_, _ = io.WriteString(server, says)
		_ = server.Close()
	}()
	go func() {
		defer both.Done()
		p := make([]byte, 4096)
		for {
			n, err := server.Read(p)
			x.mu.Lock()
			x.heard.Write(p[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return func(context.Context, string, string) (net.Conn, error) { return client, nil },
		func() string { x.mu.Lock(); defer x.mu.Unlock(); return x.heard.String() }, both.Wait
}

// FuzzConversation lets a server say anything at all after its greeting, through
// go-imap, to one call after another: nothing may panic, and everything has to end.
func FuzzConversation(f *testing.F) {
	f.Add("* LIST (\\HasNoChildren) \"/\" INBOX\r\n* STATUS INBOX (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 1)\r\nT2 OK done\r\n* 3 EXISTS\r\nT3 OK [READ-WRITE] open\r\n"+
		"* 1 FETCH (UID 1 FLAGS (\\Seen) INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" RFC822.SIZE 2 BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\r\nab)\r\nT4 OK done\r\n"+
		"* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] ~{2}\r\nab)\r\nT5 OK done\r\n", uint8(0))
	f.Add("* LSUB () \".\" {3}\r\na&b\r\nM1 OK\r\nT2 OK\r\n* LIST (\\Noselect) NIL \"a\\\"b\"\r\nT3 OK\r\n", uint8(1))
	f.Add("* NAMESPACE ((\"\" \"/\")(\"#news.\" \".\")) ((\"~\" \"/\")) NIL\r\nT1 OK done\r\n* BYE [UNAVAILABLE] going\r\n", uint8(2))
	f.Add("* 4294967295 EXISTS\r\n* OK [UIDNEXT 4294967295] x\r\n* ESEARCH (TAG \"T2\") UID ALL 1:4294967295\r\n* VANISHED (EARLIER) 1:4294967295\r\nT2 OK [COPYUID 1 1:4294967295 1:4294967295] x\r\n", uint8(0))
	f.Add("* LSUB () \".\" {3}\r\na&b\r\nM1 OK\r\nT2 OK\r\n* LIST (\\Noselect) NIL \"a\\\"b\"\r\nT3 OH\r\n", uint8(1))
	f.Add("T2 OK\r\n* OK [UIDVALIDITY 3] x\r\nM1 OK a\r\n* OK [UIDVALIDITY 4] x\r\nM2 OK b\r\n* 1 FETCH (UID 1 FLAGS ())\r\nM3 OK c\r\nT3 OK d\r\n", uint8(24))
	f.Add("M1 OK [APPENDUID 7 1:4294967295] stored\r\n+ go\r\n", uint8(3))
	f.Fuzz(func(t *testing.T, says string, kind uint8) {
		capability := []string{"NAMESPACE UIDPLUS LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE", "", "NAMESPACE QUOTA ID", "NAMESPACE LITERAL+ MULTIAPPEND UIDPLUS"}[kind%4]
		dial, _, wait := tell("* OK ready\r\nO1 OK [CAPABILITY IMAP4rev1 " + capability + "] in\r\n" + says)
		defer wait()
		s, err := open(t.Context(), Account{Security: migration.Plain, User: "a", Password: migration.NewSecret("b"), Root: strings.Repeat("r", int(kind>>7))},
			Options{Dial: dial}, 5*time.Second)
		if err != nil {
			return
		}
		defer func() { _ = s.Close() }()
		ctx := t.Context()
		if kind%4 == 3 {
			appendSome(ctx, s)
		}
		folders, _ := s.List(ctx)
		for _, x := range folders {
			_ = strings.Join(x.Path, "/")
		}
		if kind&16 != 0 {
			_, _ = s.Peek(ctx, []string{"INBOX", "a"})
			s.Foresee([]mailbox.Foreseen{
				{Folder: "INBOX", Reads: []mailbox.Read{{Set: mailbox.Span(1, 3)}, {Set: mailbox.Span(1, 9), Whole: true}}},
				{Folder: "a", Reads: []mailbox.Read{{Set: mailbox.Span(1, 9), Whole: true}}},
			})
		}
		_, _ = s.Select(ctx, "INBOX", kind&8 == 0)
		_ = s.Metas(ctx, mailbox.Span(1, mailbox.MaxUID), func(m mailbox.Meta) error { _ = m.Header; return nil })
		_ = s.Messages(ctx, mailbox.Span(1, 9), func(m mailbox.Message) error {
			_, err := io.Copy(io.Discard, m.Body)
			return err
		})
		_ = s.Store(ctx, []mailbox.FlagChange{{Set: mailbox.Span(1, 2), Add: mailbox.Flags{mailbox.Seen}}})
		_ = s.Create(ctx, []mailbox.NewFolder{{Name: "a", Role: mailbox.RoleSent}})
	})
}

func appendSome(ctx context.Context, s *session) {
	a, err := s.Append(ctx, "INBOX", mailbox.AppendMode{})
	if err != nil {
		return
	}
	defer func() { _ = a.Close() }()
	for range 2 {
		m := mailbox.NewMessage{Message: mailbox.Message{Size: 2, Body: strings.NewReader("ab")}}
		if a.Add(ctx, m) != nil {
			return
		}
	}
	if a.Flush(ctx) == nil {
		_, _ = a.Receive(ctx)
	}
}

// FuzzStartTLS lets a server say anything at all before TLS: the password never goes
// out in the clear, in any spelling.
func FuzzStartTLS(f *testing.F) {
	f.Add("* OK ready\r\nO1 OK go\r\n")
	f.Add("* PREAUTH in already\r\n")
	f.Add("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\nO1 NO not today\r\nO2 OK [CAPABILITY IMAP4rev1] in\r\n")
	f.Add("* OK ready\r\nO1 OK go\r\nO2 OK injected\r\n* CAPABILITY IMAP4rev1\r\n\x16\x03\x03\x00\x04\x0e\x00\x00\x00")
	const password = "correct horse battery"
	f.Fuzz(func(t *testing.T, says string) {
		dial, heard, wait := tell(says)
		s, err := open(t.Context(), Account{Host: "imap.example", Security: migration.StartTLS, User: "anna", Password: migration.NewSecret(password)},
			Options{Dial: dial}, 5*time.Second)
		if err == nil {
			_ = s.Close()
			t.Fatal("opened without a certificate")
		}
		wait()
		sasl := base64.StdEncoding.EncodeToString([]byte("\x00anna\x00" + password))
		if h := heard(); strings.Contains(h, password) || strings.Contains(h, sasl) || strings.Contains(h, "LOGIN") {
			t.Fatalf("in the clear: %q", h)
		}
	})
}

// FuzzStatus: whatever a status response says, its words become a fault with a reason
// fit for a terminal, and an APPENDUID never more UIDs than there were messages.
func FuzzStatus(f *testing.F) {
	f.Add("x NO [OVERQUOTA] full\r\n", 3)
	f.Add("x OK [APPENDUID 5 1:3] done\r\n", 3)
	f.Add("x OK [APPENDUID 5 1:4294967295,7] done\r\n", 200)
	f.Add("* OK [PERMANENTFLAGS (a]b \\*)] x Suggested Backoff Time: 999999999 milliseconds\r\n", 1)
	f.Fuzz(func(t *testing.T, line string, n int) {
		s, ok := parseStatus([]byte(line))
		if !ok {
			return
		}
		n = max(0, min(n, 1000))
		if _, uids := appendUID(s, n); uids != nil && len(uids) != n {
			t.Fatalf("%d uids for %d messages", len(uids), n)
		}
		for op := opLogin; op <= opSubscribe; op <<= 1 {
			fault := refusal(op, s, migration.Source, "try")
			if !fault.Code.Known() || fault.Scope == "" || fault.RetryAfter < 0 || migration.Clean(fault.Reason) != fault.Reason {
				t.Fatalf("%q: %+v", line, fault)
			}
		}
		once := cleanStatus(s)
		if again, ok := parseStatus([]byte(once)); !ok || again.kind != s.kind && s.kind != "PREAUTH" {
			t.Fatalf("%q is cleaned to %q", line, once)
		}
	})
}

// safeArguments is all that may stand between an APPEND's folder and its literal.
var safeArguments = regexp.MustCompile(`^ \(([!#$&'+,./0-9:;<=>?@A-Z^_\x60a-z|-]+|\\(Seen|Answered|Flagged|Deleted|Draft))?( ([!#$&'+,./0-9:;<=>?@A-Z^_\x60a-z|-]+|\\(Seen|Answered|Flagged|Deleted|Draft)))*\) ("\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}" )?$`)

// FuzzAppendLine: no flag, keyword or date that a hostile source can list reaches the
// line before a literal except as a token that cannot be misread.
func FuzzAppendLine(f *testing.F) {
	f.Add("\\Seen\n$Label1\n\\Recent\n\\Foo", int64(1_600_000_000), int32(3600))
	f.Add("a]\n{9}\r\nx LOGOUT\n~x\n\"q\"\n(", int64(-1), int32(-90_000))
	f.Add(strings.Repeat("k", 64)+"\n*\n%\n\\*\n", int64(253402300800), int32(1))
	f.Fuzz(func(t *testing.T, flags string, unix int64, zone int32) {
		m := mailbox.NewMessage{Message: mailbox.Message{
			Flags: mailbox.NewFlags(strings.Split(flags, "\n")...), Date: time.Unix(unix, 0).In(time.FixedZone("", int(zone))),
		}}
		if got := arguments(m); !safeArguments.MatchString(got) {
			t.Fatalf("%q at %v gives %q", m.Flags, m.Date, got)
		}
		for _, flag := range sendable(mailbox.Flags(strings.Split(flags, "\n"))) {
			if !safeArguments.MatchString(" (" + flag + ") ") {
				t.Fatalf("flag %q", flag)
			}
		}
	})
}
