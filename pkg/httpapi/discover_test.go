package httpapi_test

import (
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/discover"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func candidate(asked, host string, more ...func(*discover.Server)) discover.Step {
	s := discover.Server{Host: host, Port: 993, Security: migration.TLS, UserName: "ann@example.org"}
	for _, m := range more {
		m(&s)
	}
	return discover.Step{Asked: asked, Said: host, Server: &s}
}

func unproven(s *discover.Server) { s.Unproven = true }

const ask = inDefault + "/endpoints/discover"

func TestTheFirstServerThatPassesItsTestIsFound(t *testing.T) {
	e := newEnv(t)
	operator := e.token("default", migration.Operator)
	e.steps = []discover.Step{
		{Asked: "MX example.org", Said: "no provider that is known: mx.example.org"},
		candidate("SRV _imaps._tcp.example.org", "0x7f000001"),
		candidate("SRV _imaps._tcp.example.org", "imap.down.test"),
		candidate("https://example.org", "imap.down.test"),
		candidate("guess", "imap.example.org", func(s *discover.Server) { s.Port = 143; s.Security = migration.StartTLS }),
		candidate("guess", "never.example.org"),
	}
	e.mail.downAt = "imap.down.test"
	got := e.as(operator, "POST", ask, map[string]any{"address": "ann@example.org"}, 200)
	if got["found"] != true || got["host"] != "imap.example.org" || got["port"] != 143.0 || got["security"] != "starttls" || got["from"] != "guess" ||
		got["command"] != "mailhaul endpoint create NAME --host imap.example.org --security starttls" || got["auth"] != "password" {
		t.Errorf("found: %v", got)
	}
	var tests []string
	for _, s := range got["steps"].([]any) {
		tests = append(tests, s.(map[string]any)["test"].(string))
	}
	want := []string{"", "is no host name", "TCP failed: connect: refused", "tested above", "passed"}
	if len(tests) != len(want) {
		t.Fatalf("tests: %q", tests)
	}
	for i := range want {
		if !strings.Contains(tests[i], want[i]) || (want[i] == "") != (tests[i] == "") {
			t.Errorf("test %d: %q, want %q", i, tests[i], want[i])
		}
	}
	if n := len(e.mail.seen); n != 2 || e.mail.seen[1].User != "" {
		t.Errorf("%d servers were tested: %+v", n, e.mail.seen)
	}
	e.as(e.token("default", migration.Viewer), "POST", ask, map[string]any{"address": "ann@example.org"}, 403)
	for _, body := range []map[string]any{{"address": "ann"}, {"address": "ann@example.org", "resolver": "dns.example.org"}, {"address": "ann@example.org", "password": "a\nb"}} {
		e.as(operator, "POST", ask, body, 422)
	}
	e.steps = e.steps[:3]
	got = e.as(operator, "POST", ask, map[string]any{"address": "ann@example.org"}, 200)
	if got["found"] != false || got["command"] != "" || len(got["stages"].([]any)) != 0 {
		t.Errorf("where there is nothing: %v", got)
	}
}

// TestAPasswordGoesToOneServerThatIsProven: a server that DNS alone names is tested
// without it, and after one answer to a login nobody else is asked.
func TestAPasswordGoesToOneServerThatIsProven(t *testing.T) {
	e := newEnv(t)
	operator := e.token("default", migration.Operator)
	login := map[string]any{"address": "ann@example.org", "password": "s3cret"}
	e.steps = []discover.Step{candidate("SRV", "imap.else.test", unproven)}
	got := e.as(operator, "POST", ask, login, 200)
	if got["unproven"] != true || !strings.Contains(got["note"].(string), "the password was not sent") || !e.mail.seen[0].Password.Empty() || e.mail.seen[0].User != "" {
		t.Errorf("unproven: %v, the server saw %+v", got, e.mail.seen)
	}
	e.mail.seen = nil
	e.steps = []discover.Step{
		candidate("autoconfig", "imap.example.org", func(s *discover.Server) { s.UserName = "mailhaul-made-up" }), // who is refused
		candidate("guess", "mail.example.org"),
	}
	got = e.as(operator, "POST", ask, login, 200)
	stages := got["stages"].([]any)
	if last := stages[len(stages)-1].(map[string]any); got["host"] != "imap.example.org" || last["name"] != "login" || last["code"] != "AuthFailed" || got["note"] != "" {
		t.Errorf("refused: %v", got)
	}
	if n := len(e.mail.seen); n != 1 || e.mail.seen[0].Password.Reveal() != "s3cret" {
		t.Errorf("%d logins were tried: %+v", n, e.mail.seen)
	}
	login["user"] = "ann"
	if got = e.as(operator, "POST", ask, login, 200); e.mail.seen[1].User != "ann" || got["found"] != true {
		t.Errorf("with a name: %v, %+v", got, e.mail.seen)
	}
}

func TestTheCommandForWhatWasFound(t *testing.T) {
	e := newEnv(t)
	operator := e.token("default", migration.Operator)
	for want, server := range map[string]discover.Server{
		"--host imap.example.org":                                        {Host: "imap.example.org", Port: 993, Security: migration.TLS},
		"--host imap.example.org --port 1993":                            {Host: "imap.example.org", Port: 1993, Security: migration.TLS},
		"--host imap.example.org --security starttls --port 1143":        {Host: "imap.example.org", Port: 1143, Security: migration.StartTLS},
		"--preset gmail --auth password":                                 {Preset: "gmail", Host: "imap.gmail.com", Port: 993, Security: migration.TLS},
		"--preset netease --host imap.126.com":                           {Preset: "netease", Host: "imap.126.com", Port: 993, Security: migration.TLS},
		"--preset exmail":                                                {Preset: "exmail", Host: "imap.exmail.qq.com", Port: 993, Security: migration.TLS},
		"--preset microsoft365":                                          {Preset: "microsoft365", Host: "outlook.office365.com", Port: 993, Security: migration.TLS},
		"--preset zoho --host imap.zoho.eu --security starttls":          {Preset: "zoho", Host: "imap.zoho.eu", Port: 143, Security: migration.StartTLS},
		"--preset zoho --host imap.zoho.eu --security starttls --port 9": {Preset: "zoho", Host: "imap.zoho.eu", Port: 9, Security: migration.StartTLS},
	} {
		e.steps = []discover.Step{{Asked: "x", Server: &server}}
		if got := e.as(operator, "POST", ask, map[string]any{"address": "ann@example.org"}, 200)["command"]; got != "mailhaul endpoint create NAME "+want {
			t.Errorf("%+v: %v, want %s", server, got, want)
		}
	}
}
