package httpapi_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestEndpoints(t *testing.T) {
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	made := e.as(admin, "POST", inDefault+"/endpoints", map[string]any{
		"name": "old", "host": "imap.example.com", "loginTemplate": "{user}*{admin}", "adminUser": "root", "adminPassword": "s3cret",
		"testMailbox": "ann@example.com", "maxConcurrentMigrations": 4,
	}, 201)
	if made["port"] != 993.0 || made["security"] != "tls" || made["maxConcurrentIncrementalSyncs"] != 4.0 || made["adminPasswordSet"] != true {
		t.Errorf("defaults: %v", made)
	}
	if _, told := made["adminPassword"]; told {
		t.Error("the administrator's password is told")
	}
	if n := len(e.mail.seen); n != 2 || e.mail.seen[0].User != "ann@example.com*root" || !strings.HasPrefix(e.mail.seen[1].User, "mailhaul-") ||
		!strings.HasSuffix(e.mail.seen[1].User, "@example.com*root") || e.mail.seen[1].Password.Reveal() != "s3cret" {
		t.Errorf("%d logins were tried: %+v", n, e.mail.seen)
	}
	e.as(admin, "POST", inDefault+"/endpoints", map[string]any{"name": "old", "host": "x.example.com"}, 409)
	for _, limit := range []struct{ migrations, resyncs float64 }{{1, 1}, {6, 6}, {30, 10}, {4, 4}} {
		got := e.as(admin, "PATCH", inDefault+"/endpoints/old", map[string]any{"maxConcurrentMigrations": limit.migrations}, 200)
		if got["maxConcurrentIncrementalSyncs"] != limit.resyncs {
			t.Errorf("a limit of %v left %v resyncs, want %v", limit.migrations, got["maxConcurrentIncrementalSyncs"], limit.resyncs)
		}
	}
	for _, limit := range []string{"maxConcurrentMigrations", "maxConcurrentIncrementalSyncs"} {
		e.as(admin, "PATCH", inDefault+"/endpoints/old", map[string]any{limit: 0}, 422) // nobody means the default by it
	}
	got := e.as(admin, "PATCH", inDefault+"/endpoints/old", map[string]any{"port": 1993, "maxConcurrentIncrementalSyncs": 2}, 200)
	if got["port"] != 1993.0 || got["maxConcurrentIncrementalSyncs"] != 2.0 || got["host"] != "imap.example.com" || got["adminPasswordSet"] != true {
		t.Errorf("changed: %v", got)
	}
	if got = e.as(admin, "PATCH", inDefault+"/endpoints/old", map[string]any{"connectionsPerMailbox": 4}, 200); made["connectionsPerMailbox"] != 1.0 || got["connectionsPerMailbox"] != 4.0 {
		t.Errorf("connections: made with %v, changed to %v", made["connectionsPerMailbox"], got["connectionsPerMailbox"])
	}
	for _, asked := range []string{"shared others shared", ""} {
		got := e.as(admin, "PATCH", inDefault+"/endpoints/old", map[string]any{"namespaces": strings.Fields(asked)}, 200)["namespaces"]
		if want := map[bool]string{true: "[]", false: "[others shared]"}[asked == ""]; fmt.Sprint(got) != want {
			t.Errorf("namespaces %q are kept as %v, want %s", asked, got, want)
		}
	}
	res := e.as(admin, "POST", inDefault+"/endpoints/old/test", map[string]any{"user": "bob@example.com"}, 200)
	if stages := res["stages"].([]any); res["ok"] != true || stages[len(stages)-1].(map[string]any)["name"] != "administrator" {
		t.Errorf("test: %v", res)
	}
	if preset := e.as(admin, "POST", inDefault+"/endpoints", map[string]any{"name": "exmail", "preset": "exmail"}, 201); preset["host"] != "imap.exmail.qq.com" {
		t.Errorf("by preset: %v", preset)
	}
	for name, body := range map[string]map[string]any{
		"no host":            {"name": "a"},
		"a URL":              {"name": "a", "host": "imaps://x"},
		"bad name":           {"name": "a b", "host": "x"},
		"dots":               {"name": "..", "host": "x"},
		"bad port":           {"name": "a", "host": "x", "port": 70000},
		"bad security":       {"name": "a", "host": "x", "security": "ssl"},
		"too many resyncs":   {"name": "a", "host": "x", "maxConcurrentMigrations": 5, "maxConcurrentIncrementalSyncs": 6},
		"template, no admin": {"name": "a", "host": "x", "loginTemplate": "{user}*{admin}"},
		"one for everybody":  {"name": "a", "host": "x", "loginTemplate": "{admin}", "adminUser": "root"},
		"admin, no password": {"name": "a", "host": "x", "loginTemplate": "{user}*{admin}", "adminUser": "root"},
		"a number as host":   {"name": "a", "host": "0x7f000001"},
		"a short address":    {"name": "a", "host": "127.1"},
		"digits not ASCII":   {"name": "a", "host": "１２７.０.０.１"},
		"port in host":       {"name": "a", "host": "x:143"},
		"password, no admin": {"name": "a", "host": "x", "adminPassword": "x"},
		"no pin":             {"name": "a", "host": "x", "tlsPin": "x"},
		"pin and any":        {"name": "a", "host": "x", "tlsPin": strings.Repeat("a", 64), "tlsInsecure": true},
		"pin without TLS":    {"name": "a", "host": "x", "tlsPin": strings.Repeat("a", 64), "security": "none"},
		"any without TLS":    {"name": "a", "host": "x", "tlsInsecure": true, "security": "none"},
		"unknown preset":     {"name": "a", "host": "x", "preset": "nonesuch"},
		"hours":              {"name": "a", "host": "x", "hours": "at night"},
		"daily bytes":        {"name": "a", "host": "x", "dailyBytes": -1},
		"many connections":   {"name": "a", "host": "x", "connectionsPerMailbox": 17},
		"more than it lets":  {"name": "a", "preset": "gmail", "auth": "password", "connectionsPerMailbox": 16},
		"no namespace":       {"name": "a", "host": "x", "namespaces": []string{"public"}},
		"unknown field":      {"name": "a", "host": "x", "colour": "red"},
	} {
		if p := e.as(admin, "POST", inDefault+"/endpoints", body, 422); p["code"] != "InvalidArgument" {
			t.Errorf("%s: %v", name, p)
		}
	}
}

// What is trusted in an authority's place is kept in one form, reaches the test, and is
// shown; an empty pin takes it back.
func TestEndpointsPinIsTestedAndShown(t *testing.T) {
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	pin := strings.Repeat("A", 43) + "="
	hex := strings.Repeat("0", 64)
	made := e.as(admin, "POST", inDefault+"/endpoints", map[string]any{"name": "old", "host": "imap.example.com", "tlsPin": pin}, 201)
	if made["tlsPin"] != hex || made["tlsInsecure"] != false || e.mail.seen[0].TLSPin != hex {
		t.Errorf("made %v, tested with %+v", made, e.mail.seen)
	}
	e.as(admin, "PATCH", inDefault+"/endpoints/old", map[string]any{"tlsInsecure": true}, 422)
	got := e.as(admin, "PATCH", inDefault+"/endpoints/old", map[string]any{"tlsPin": "", "tlsInsecure": true}, 200)
	if got["tlsPin"] != "" || got["tlsInsecure"] != true {
		t.Errorf("changed: %v", got)
	}
	e.as(admin, "POST", inDefault+"/endpoints/old/test", map[string]any{"user": "bob", "password": "x"}, 200)
	if last := e.mail.seen[len(e.mail.seen)-1]; !last.TLSInsecure {
		t.Errorf("tested with %+v", last)
	}
}

func TestEndpointsLimitsAreSetShownAndTakenBack(t *testing.T) {
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	limits := map[string]any{"hours": "Mon-Fri 20:00-06:00 Europe/Berlin", "dailyBytes": 2e9, "dailyBytesPerMailbox": -1.0, "bytesPerSecond": 1e6, "messagesPerSecond": 5.0}
	body := map[string]any{"name": "old", "host": "imap.example.com"}
	maps.Copy(body, limits)
	made := e.as(admin, "POST", inDefault+"/endpoints", body, 201)
	none := map[string]any{"hours": "", "dailyBytes": 0.0, "dailyBytesPerMailbox": 0.0, "bytesPerSecond": 0.0, "messagesPerSecond": 0.0}
	changed := e.as(admin, "PATCH", inDefault+"/endpoints/old", none, 200)
	for name := range limits {
		if made[name] != limits[name] || changed[name] != none[name] {
			t.Errorf("%s made as %v, changed to %v", name, made[name], changed[name])
		}
	}
	p := e.as(admin, "PATCH", inDefault+"/endpoints/old", map[string]any{"hours": "Mo-Fr 18:00-06:00"}, 422)
	if !strings.Contains(p["detail"].(string), "Mon-Fri") {
		t.Errorf("the answer does not say what to write: %v", p)
	}
	e.as(admin, "PATCH", inDefault+"/endpoints/old", map[string]any{"dailyBytesPerMailbox": -2}, 422)
}

func TestAnEndpointThatFailsItsTestIsNotMade(t *testing.T) {
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	body := map[string]any{"name": "old", "host": "imap.example.com"}
	e.mail.down = migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, "", "connection refused", nil)
	p := e.as(admin, "POST", inDefault+"/endpoints", body, 422)
	if p["code"] != "ConnectionFailed" || !strings.Contains(p["detail"].(string), "TCP") || len(p["stages"].([]any)) != 2 {
		t.Errorf("got %v", p)
	}
	e.as(admin, "GET", inDefault+"/endpoints/old", nil, 404)
	e.as(admin, "POST", inDefault+"/endpoints?skipTest=true", body, 201)
}

func TestAServerThatOpensOneMailboxForEveryNameIsRefused(t *testing.T) {
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	e.mail.open = true
	p := e.as(admin, "POST", inDefault+"/endpoints", map[string]any{
		"name": "courier", "host": "imap.example.com", "loginTemplate": "sasl-plain", "adminUser": "root", "adminPassword": "x",
	}, 422)
	if p["code"] != "AuthorizationMissing" || !strings.Contains(p["detail"].(string), "made-up user") {
		t.Errorf("got %v", p)
	}
}
