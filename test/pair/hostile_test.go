package pair_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// commands is a message that is IMAP commands, in every way that a server might read
// them after it has lost its place.
const commands = "x1 CREATE pwned\r\nx2 DELETE Keep\r\n)\r\nx3 CREATE pwned2\r\n{5+}\r\nx4 DELETE Keep\r\n\r\nx5 CREATE pwned3\r\nx6 LOGOUT\r\n"

// hostile is a source that lists whatever may end a token, a line or a command.
func hostile() *mailboxtest.Memory {
	m := mailboxtest.NewMemory()
	m.Side = migration.Source
	day := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	dates := []time.Time{
		day,
		{},
		time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(100_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC),
		day.In(time.FixedZone("\" {9+}\r\nx7 CREATE pwned4", 30*60*60)), day.In(time.FixedZone("", -100*60*60)),
	}
	flags := []string{
		`\Foo`, `\Recent`, `\*`, "a b", "(", ")", ") {3+}\r\nabc", "\r\nx8 CREATE pwned5\r\n", "{5}", "{5+}", `"`, `\`, "[", "]", "]]", "%", "*",
		"\x00", "\xff\xfe", "ü", "NIL", strings.Repeat("k", 5000), "$Forwarded",
	}
	names := []string{
		"INBOX", "Keep", "a\r\nx9 CREATE pwned6", `quote " and \ more`, "{5+}", "(", "%*", "&", "&AOQ", "\x00\x01", "\xe4\xf6 8-bit", "NIL", "ü/日本語",
		"x) (\\Seen) {3+}", strings.Repeat("n", 200),
	}
	for _, name := range names {
		m.Deliver(name, []byte(commands), day)
	}
	for i, f := range flags {
		m.Deliver("INBOX", []byte(fmt.Sprintf("Subject: %d\r\n\r\n%s", i, commands)), day, f, mailbox.Seen)
	}
	for i, d := range dates {
		m.Deliver("INBOX", []byte(fmt.Sprintf("Subject: date %d\r\n\r\n%s", i, commands)), d)
	}
	return m
}

func accountOf(port int) imapmail.Account {
	return imapmail.Account{Host: "127.0.0.1", Port: port, Security: migration.Plain, Side: migration.Target, User: user, Password: migration.NewSecret(servers.Password)}
}

// TestMailIsNeverACommand gives all that to a real server.
func TestMailIsNeverACommand(t *testing.T) {
	for name, c := range map[string]servers.DovecotConfig{
		"literals that do not wait": {},
		"literals that do":          {Capability: "IMAP4rev1 NAMESPACE UIDPLUS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, server := hostile(), servers.Dovecot(t, c)
			open := imapmail.NewOpener(accountOf(server.Port), imapmail.Options{})
			out, err := mailsync.Run(t.Context(), mailsync.Job{Source: source.Open, Target: open, Records: mailsync.NewMemoryRecords()})
			if err != nil && migration.AsFault(err).Scope != migration.ScopeFolder {
				t.Fatal(err)
			}
			for _, it := range out.Items {
				t.Logf("%s in %q uid %d: %s", it.Code, it.Folder, it.UID, it.Reason)
			}
			s, err := open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			folders, err := s.List(t.Context())
			if err := errors.Join(err, s.Close()); err != nil {
				t.Fatal(err)
			}
			keep, messages := false, int64(0)
			for _, f := range folders {
				keep = keep || f.Name == "Keep"
				if strings.HasPrefix(f.Name, "pwned") {
					t.Errorf("mail has made the folder %q", f.Name)
				}
				if f.Status != nil {
					messages += int64(f.Status.Messages)
				} else if f.Selectable {
					t.Errorf("%q has no numbers", f.Name)
				}
			}
			if !keep {
				t.Error("mail has deleted a folder")
			}
			if messages != out.Tally.Copied || out.Tally.Copied < 40 {
				t.Errorf("%d messages at the target, %d copied", messages, out.Tally.Copied)
			}
		})
	}
}

// contrary is a server that refuses every APPEND, in a way of its own, and then reads
// on as a server does: what comes next is a command.
type contrary struct {
	word string // NO or BAD
	// early refuses before the literal is read; what was sent of it is commands then.
	// On BAD that is what Dovecot does.
	early bool
	mu    sync.Mutex
	heard []string // commands, without tags
	// misled counts the connections on which a message's line was read as a command.
	misled int
}

func (c *contrary) serve(t *testing.T) imapmail.Account {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = conn.Close() }()
				c.talk(bufio.NewReader(conn), conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return accountOf(l.Addr().(*net.TCPAddr).Port)
}

func (c *contrary) talk(r *bufio.Reader, w io.Writer) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\r\n", args...) }
	say("* OK ready")
	misled := false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		tag, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		verb, _, _ := strings.Cut(rest, " ")
		c.mu.Lock()
		c.heard = append(c.heard, rest)
		if !misled && (strings.Contains(rest, "pwned") || verb == "DELETE") {
			misled = true
			c.misled++
		}
		c.mu.Unlock()
		switch strings.ToUpper(verb) {
		case "LOGIN":
			say("%s OK [CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND UIDPLUS NAMESPACE] in", tag)
		case "NAMESPACE":
			say("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n%s OK", tag)
		case "LIST":
			say("* LIST () \"/\" INBOX\r\n* LIST () \"/\" Keep\r\n%s OK", tag)
		case "STATUS":
			say("* STATUS %s (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)\r\n%s OK", strings.Fields(rest)[1], tag)
		case "SELECT", "EXAMINE":
			say("* FLAGS (\\Seen)\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] ok\r\n* 0 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 1]\r\n%s OK [READ-WRITE] open", tag)
		case "APPEND":
			if !c.append(rest, r, say) {
				return
			}
			say("%s %s no thank you", tag, c.word)
		case "LOGOUT":
			say("* BYE\r\n%s OK", tag)
			return
		default:
			say("%s OK done", tag)
		}
	}
}

// append reads the literals of an APPEND, unless it refuses at once.
func (c *contrary) append(line string, r *bufio.Reader, say func(string, ...any)) bool {
	for {
		i := strings.LastIndexByte(line, '{')
		if i < 0 || !strings.HasSuffix(line, "}") || c.early {
			return true
		}
		size, waits := strings.CutSuffix(line[i+1:len(line)-1], "+")
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil {
			return true
		}
		if !waits {
			say("+ go on")
		}
		if _, err := io.CopyN(io.Discard, r, n); err != nil {
			return false
		}
		if line, err = r.ReadString('\n'); err != nil {
			return false
		}
		line = strings.TrimRight(line, "\r\n")
	}
}

// TestRefusedMailIsNeverACommand: whatever the answer to APPEND, no line of a message
// is sent where the server would read a command once it has said BAD, and every message
// is accounted for.
func TestRefusedMailIsNeverACommand(t *testing.T) {
	for _, c := range []*contrary{{word: "NO"}, {word: "BAD"}, {word: "BAD", early: true}} {
		t.Run(fmt.Sprintf("%s early %v", c.word, c.early), func(t *testing.T) {
			t.Parallel() // a folder settles after each BAD
			account := c.serve(t)
			source := mailboxtest.NewMemory()
			source.Side = migration.Source
			for range 3 {
				source.Deliver("INBOX", []byte(commands), time.Unix(1_600_000_000, 0), mailbox.Seen, "Key{5+}")
			}
			open := imapmail.NewOpener(account, imapmail.Options{})
			out, err := mailsync.Run(t.Context(), mailsync.Job{Source: source.Open, Target: open, Records: mailsync.NewMemoryRecords(), Settle: settle})
			t.Logf("%+v, items %+v, %v", out.Tally, out.Items, err)
			if out.Tally.Copied+out.Tally.Adopted != 0 || out.Tally.Seen != out.Tally.Skipped+out.Tally.Failed {
				t.Errorf("tally %+v", out.Tally)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			appends := 0
			for _, h := range c.heard {
				if strings.HasPrefix(h, "APPEND") {
					appends++
				}
			}
			if c.misled > 0 || appends < 3 {
				t.Errorf("on %d connections the mail was read as commands; %d APPENDs:\n%s", c.misled, appends, strings.Join(c.heard, "\n"))
			}
		})
	}
}
