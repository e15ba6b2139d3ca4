package pair_test

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/test/servers"
)

// judge has two mailboxes compared.
func judge(source, target int) (told string, code int) {
	cmd := exec.Command("python3", "../../bench/verify.py", "--src", addr(source), "--dst", addr(target), "--user", user, "--show", "100")
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// TestTheJudgeSeesEachFault: of three messages in a folder one is lost, there twice,
// altered, or of other flags or another date. All the other tests believe bench/verify.py
// that it would tell.
func TestTheJudgeSeesEachFault(t *testing.T) {
	t.Parallel()
	source, target := servers.Dovecot(t, servers.DovecotConfig{}), servers.Dovecot(t, servers.DovecotConfig{})
	letter := func(subject, text string, date int64, flags ...string) mailbox.Message {
		body := "Subject: " + subject + "\r\n\r\n" + text + "\r\n"
		return mailbox.Message{Body: strings.NewReader(body), Size: int64(len(body)), Date: time.Unix(1_600_000_000+date, 0), Flags: flags}
	}
	one := func() mailbox.Message { return letter("one", "text", 1) }
	two := func() mailbox.Message { return letter("two", "text", 2, mailbox.Seen) }
	three := func() mailbox.Message { return letter("three", "text", 3, "$Later") }
	var want []string
	for folder, x := range map[string]struct {
		holds []mailbox.Message
		tells []string
	}{
		"Same":     {[]mailbox.Message{three(), two(), one()}, nil},
		"Lost":     {[]mailbox.Message{one(), three()}, []string{"missing b'Lost' uid 2"}},
		"Doubled":  {[]mailbox.Message{one(), two(), two(), three()}, []string{"duplicate b'Doubled' uid 2"}},
		"Foreign":  {[]mailbox.Message{one(), two(), letter("four", "text", 4), three()}, []string{"extra b'Foreign' uid 3"}},
		"Replaced": {[]mailbox.Message{one(), one(), three()}, []string{"missing b'Replaced' uid 2", "duplicate b'Replaced' uid 1"}},
		"Byte":     {[]mailbox.Message{one(), letter("two", "texu", 2, mailbox.Seen), three()}, []string{"missing b'Byte' uid 2", "extra b'Byte' uid 2"}},
		"Header":   {[]mailbox.Message{one(), letter("two\r\nX-Added: yes", "text", 2, mailbox.Seen), three()}, []string{"altered b'Header' uid 2->2"}},
		"Flag":     {[]mailbox.Message{one(), letter("two", "text", 2), three()}, []string{`wrong_flags b'Flag' uid 2->2 (b'\\seen',) -> ()`}},
		"Keyword":  {[]mailbox.Message{one(), two(), letter("three", "text", 3)}, []string{"wrong_flags b'Keyword' uid 3->3 (b'$later',) -> ()"}},
		"Date":     {[]mailbox.Message{one(), letter("two", "text", 3, mailbox.Seen), three()}, []string{"wrong_date b'Date' uid 2->2 off by 1 s"}},
	} {
		putMessages(t, source.Port, folder, one(), two(), three())
		putMessages(t, target.Port, folder, x.holds...)
		want = append(want, x.tells...)
	}
	does(t, source.Port, "CREATE Empty", "SUBSCRIBE Same")
	does(t, target.Port, "CREATE Beside")
	want = append(want, "folders_missing: [b'Empty']", "folders_extra: [b'Beside']", "subs_missing: [b'Same']",
		"DIFFERENT source=30 target=31 missing=3 extra=2 duplicate=2 altered=1 wrong_date=1 wrong_zone=0 wrong_flags=2 "+
			"folders_missing=1 folders_extra=1 subs_missing=1 subs_extra=0 flags:{'lost:\\\\seen': 1, 'lost:$later': 1}")
	told, code := judge(source.Port, target.Port)
	got := strings.Split(strings.TrimSpace(told), "\n")
	for i := range got {
		got[i] = strings.TrimSpace(got[i])
	}
	slices.Sort(got)
	slices.Sort(want)
	// Folders come in the order of their names, and so do the flags that they lost.
	if code != 1 || !slices.Equal(got, want) {
		t.Errorf("exit code %d, want 1; it tells\n%s\nwant\n%s", code, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestTheJudgeBelievesNobody: what two servers tell alike is no proof where either keeps
// something back.
func TestTheJudgeBelievesNobody(t *testing.T) {
	t.Parallel()
	const message = "* 1 FETCH (UID 1 FLAGS (\\Seen) INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {2}\r\nab)\r\n"
	for name, x := range map[string]struct {
		verb, says string
		code       int
	}{
		"honest":                       {"", "", 0},
		"an empty message":             {"UID", strings.Replace(message, "{2}\r\nab", `""`, 1), 0},
		"of a message nothing is told": {"UID", "", 2},
		"of a message its flags alone": {"UID", "* 1 FETCH (UID 1 FLAGS ())\r\n", 2},
		"a message without flags":      {"UID", strings.Replace(message, "FLAGS (\\Seen) ", "", 1), 2},
		"a message without a date":     {"UID", strings.Replace(message, `INTERNALDATE "01-Jan-2020 00:00:00 +0000" `, "", 1), 2},
		"a message that is no literal": {"UID", strings.Replace(message, "{2}\r\nab", `"ab"`, 1), 2},
		"no folder":                    {"LIST", "", 2},
		"no message":                   {"EXAMINE", "* 0 EXISTS\r\n", 2},
		"a folder that cannot be read": {"EXAMINE", "%s NO not today\r\n", 2},
		"a refusal after all the mail": {"UID", message + "%s NO not all of it\r\n", 2},
	} {
		replies := map[string]string{"LIST": "* LIST () \"/\" INBOX\r\n", "EXAMINE": "* 1 EXISTS\r\n", "UID": message}
		if x.verb != "" {
			replies[x.verb] = x.says
		}
		port := replying(t, replies)
		if told, code := judge(port, port); code != x.code {
			t.Errorf("%s: exit code %d, want %d: %s", name, code, x.code, told)
		}
	}
}

// replying is a server that answers verbs so, and all else with OK; %s is the tag.
func replying(t *testing.T, replies map[string]string) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go reply(c, replies)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func reply(c net.Conn, replies map[string]string) {
	defer func() { _ = c.Close() }()
	_, _ = fmt.Fprint(c, "* OK ready\r\n")
	for in := bufio.NewScanner(c); in.Scan(); {
		words := strings.Fields(in.Text())
		if len(words) < 2 {
			return
		}
		says := replies[words[1]]
		if !strings.Contains(says, "%s") {
			says += "%s OK done\r\n"
		}
		_, _ = fmt.Fprint(c, strings.ReplaceAll(says, "%s", words[0]))
	}
}
