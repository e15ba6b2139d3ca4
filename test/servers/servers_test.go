package servers_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/test/servers"
)

// session sends lines to a server and returns the last line of each answer.
func session(t *testing.T, c net.Conn, lines ...string) []string {
	t.Helper()
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatalf("read greeting: %v", err)
	}
	var out []string
	for i, line := range lines {
		tag := fmt.Sprintf("a%d ", i)
		if _, err := fmt.Fprintf(c, "%s%s\r\n", tag, line); err != nil {
			t.Fatalf("send %q: %v", line, err)
		}
		for {
			answer, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("answer to %q: %v", line, err)
			}
			if rest, ok := strings.CutPrefix(answer, tag); ok {
				out = append(out, rest)
				break
			}
		}
	}
	return out
}

func TestDovecotAnswersInEveryForm(t *testing.T) {
	s := servers.Dovecot(t, servers.DovecotConfig{Format: "mdbox", Separator: ".", Capability: "IMAP4rev1 IDLE"})
	plain, err := net.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		t.Fatal(err)
	}
	got := session(t, plain, "LOGIN anna wrong", "LOGIN anna*admin master", "CREATE a.b", "SELECT a.b", "LOGOUT")
	for i, want := range []string{"NO", "OK [CAPABILITY IMAP4rev1 IDLE]", "OK", "OK", "OK"} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("answer %d: %q, want %q", i, got[i], want)
		}
	}
	sealed, err := tls.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.TLSPort)), &tls.Config{RootCAs: s.CA})
	if err != nil {
		t.Fatal(err)
	}
	if got := session(t, sealed, "LOGIN bert@example.org secret", "SELECT INBOX"); !strings.HasPrefix(got[1], "OK") {
		t.Errorf("over TLS: %q", got)
	}
}

// TestUnpackedServersAnswer: Cyrus and Courier let a user in, over TLS too, who keeps
// folders in the server's own spelling.
func TestUnpackedServersAnswer(t *testing.T) {
	for name, start := range map[string]func() (*servers.IMAP, string){
		"cyrus": func() (*servers.IMAP, string) { return servers.Cyrus(t, servers.CyrusConfig{}), "INBOX.a.b" },
		"cyrus with slashes": func() (*servers.IMAP, string) {
			return servers.Cyrus(t, servers.CyrusConfig{UnixHierarchy: true}), "a/b"
		},
		"courier": func() (*servers.IMAP, string) { return servers.Courier(t, servers.CourierConfig{}), "INBOX.a.b" },
	} {
		s, folder := start()
		s.AddUsers(t, "anna", "bert")
		plain, err := net.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
		if err != nil {
			t.Fatal(err)
		}
		got := session(t, plain, "LOGIN anna wrong", "LOGIN bert secret", "CREATE "+folder, "SELECT "+folder, "LOGOUT")
		for i, want := range []string{"NO", "OK", "OK", "OK", "OK"} {
			if !strings.HasPrefix(got[i], want) {
				t.Errorf("%s: answer %d: %q, want %q", name, i, got[i], want)
			}
		}
		sealed, err := tls.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.TLSPort)), &tls.Config{RootCAs: s.CA})
		if err != nil {
			t.Fatal(err)
		}
		if got := session(t, sealed, "LOGIN anna secret", "SELECT INBOX"); !strings.HasPrefix(got[1], "OK") {
			t.Errorf("%s over TLS: %q", name, got)
		}
	}
}

func TestRedisAnswers(t *testing.T) {
	url := servers.Redis(t)
	c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "redis://"), "/0"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := fmt.Fprint(c, "CONFIG GET appendonly\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	var answer strings.Builder
	for range 5 {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		answer.WriteString(line)
	}
	if !strings.Contains(answer.String(), "no\r\n") {
		t.Errorf("appendonly: %q", answer.String())
	}
}
