package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// problemsOf are an answer's problems, one a line.
func problemsOf(p map[string]any) string {
	var out []string
	problems, _ := p["problems"].([]any)
	for _, x := range problems {
		f := x.(map[string]any)
		out = append(out, fmt.Sprintf("%v %v: %v", f["line"], f["column"], f["reason"]))
	}
	return strings.Join(out, "\n")
}

func TestAScopeIsSetShownEditedAndCleared(t *testing.T) {
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	e.endpoints(admin, "default")
	const path = inDefault + "/endpoints/old/scope"
	if p := e.as(admin, "GET", path, nil, 404); !strings.Contains(p["detail"].(string), "every mailbox may move") {
		t.Errorf("no scope: %v", p)
	}
	e.as(admin, "PATCH", path, map[string]any{"add": []string{"ann"}}, 422)
	set := e.as(admin, "PUT", path, map[string]any{"mailboxes": []string{"Ann@Example.com", "", "root@example.com /shared/bob", "eve"}}, 200)
	if scope := set["scope"].(map[string]any); scope["mailboxes"] != 3.0 {
		t.Errorf("set: %v", set)
	}
	e.as(admin, "PATCH", path, map[string]any{"add": []string{"ANN@example.com", "carl"}, "remove": []string{"EVE"}}, 200)
	if got := fmt.Sprint(e.as(admin, "GET", path, nil, 200)["mailboxes"]); got != "[Ann@Example.com carl root@example.com /shared/bob]" {
		t.Errorf("edited: %s", got)
	}
	if p := e.as(admin, "PATCH", path, map[string]any{"remove": []string{"carl", "carlo"}}, 422); !strings.Contains(problemsOf(p), "2 <nil>: not in the scope") {
		t.Errorf("misspelt: %v", p)
	}
	e.as(admin, "PATCH", path, map[string]any{"remove": []string{"ann@example.com", "carl", "root@example.com /shared/bob"}}, 200)
	if scope := e.as(admin, "GET", inDefault+"/endpoints/old", nil, 200)["scope"].(map[string]any); scope["mailboxes"] != 0.0 {
		t.Errorf("with nobody left the scope is %v: everybody must not be the same", scope)
	}
	e.as(admin, "DELETE", path, nil, 204)
	if got := e.as(admin, "GET", inDefault+"/endpoints/old", nil, 200); got["scope"] != nil {
		t.Errorf("cleared: %v", got)
	}
	audit, _ := json.Marshal(e.as(admin, "GET", inDefault+"/audit", nil, 200))
	if n := strings.Count(string(audit), `"endpoint.scopeChanged"`); n != 4 || strings.Contains(string(audit), "carl") {
		t.Errorf("%d changes in the audit log, want 4 without names: %s", n, audit)
	}
}

func TestAllProblemsOfAScopeAreToldAtOnce(t *testing.T) {
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	e.endpoints(admin, "default")
	const path = inDefault + "/endpoints/old/scope"
	p := e.as(admin, "PUT", path, map[string]any{"mailboxes": []string{"ann", " bob", "", "carl,eve", "ANN", "two words", "@example.com", "bell\a"}}, 422)
	want := `2 <nil>: a space in the name: only a root folder, as in "root@example.com /shared/ann", has one before it
4 <nil>: a comma or semicolon: one mailbox a line, and nothing else
5 <nil>: the same mailbox as in line 1
6 <nil>: a space in the name: only a root folder, as in "root@example.com /shared/ann", has one before it
7 <nil>: not a mailbox: give its login, such as ann@example.com
8 <nil>: a control character, such as a tab or a line end, in the cell`
	if got := problemsOf(p); got != want || p["code"] != "InvalidArgument" {
		t.Errorf("got %v\n%s", p, got)
	}
	many := make([]string, migration.MaxInScope+1)
	for i := range many {
		many[i] = fmt.Sprintf("a.long.name.of.an.address.%05d@a-long-name-of-a-domain-below-another-name.of-a-company.example.com", i)
	}
	if got := problemsOf(e.as(admin, "PUT", path, map[string]any{"mailboxes": many}, 422)); got != "<nil> <nil>: 10001 mailboxes: a scope names at most 10000" {
		t.Errorf("one too many: %s", got)
	}
	if set := e.as(admin, "PUT", path, map[string]any{"mailboxes": many[1:]}, 200); set["scope"].(map[string]any)["mailboxes"] != 10000.0 {
		t.Errorf("as many as there may be: %v", set["scope"])
	}
}

// TestRowsOutsideAScopeAreRefused in every way in which a file comes in.
func TestRowsOutsideAScopeAreRefused(t *testing.T) {
	e := newEnv(t)
	operator, admin := e.token("default", migration.Operator), e.token("default", migration.Admin)
	e.endpoints(admin, "default")
	e.as(admin, "PUT", inDefault+"/endpoints/old/scope", map[string]any{"mailboxes": []string{"ANN", "bob", "root /users/eve"}}, 200)
	e.as(admin, "PUT", inDefault+"/endpoints/new/scope", map[string]any{"mailboxes": []string{"ann@example.com", "eve@example.com", "dan-new"}}, 200)
	const head = "EmailAddress,UserName,Password,TargetUserName,TargetPassword,UserRoot\n"
	file := head + "ann@example.com,ann,one,,1,\nbob@example.com,Bob,two,,2,\neve@example.com,root,three,,3,/users/eve\n" +
		"dan@example.com,,x,DAN-NEW,4,\nfay@example.com,fay,x,,5,\n"
	const outside = "this mailbox is not in the scope of endpoint %q (NotInScope)"
	old, young := fmt.Sprintf(outside, "old"), fmt.Sprintf(outside, "new")
	want := "3 EmailAddress: " + young + "\n5 UserName: empty: give the login name at the source\n5 EmailAddress: " + old + "\n6 UserName: " + old + "\n6 EmailAddress: " + young
	for _, dry := range []string{"", "?dryRun=true"} {
		p := e.upload(operator, inDefault+"/batches"+dry, spec, "pilot.csv", file).json(t)
		if got := problemsOf(p); got != want || p["code"] != "CsvInvalid" {
			t.Errorf("a new batch%s: %v\n%s", dry, p["code"], got)
		}
	}
	if a := e.upload(operator, inDefault+"/batches", spec, "pilot.csv", head+"ann@example.com,ann,one,,1,\n"); a.status != 201 {
		t.Fatalf("in scope: %d %s", a.status, a.body)
	}
	a := e.upload(operator, inDefault+"/batches/pilot/users", "", "more.csv", head+"eve@example.com,fay,two,,2,\n")
	if p := a.json(t); a.status != 422 || p["code"] != "NotInScope" || problemsOf(p) != "2 UserName: "+old || !strings.Contains(p["remedy"].(string), "scope list") {
		t.Errorf("users added: %d %v", a.status, p)
	}

	// Another organisation's endpoint of the same name has no list, and sees none.
	e.as(e.owner, "POST", "/v1/orgs", map[string]any{"name": "other"}, 201)
	stranger := e.token("other", migration.Admin)
	e.endpoints(stranger, "other")
	e.as(stranger, "GET", "/v1/orgs/other/endpoints/old/scope", nil, 404)
	for method, body := range map[string]any{"GET": nil, "PUT": map[string]any{"mailboxes": []string{"x"}}, "PATCH": map[string]any{"add": []string{"x"}}, "DELETE": nil} {
		if p := e.as(stranger, method, inDefault+"/endpoints/old/scope", body, 404); p["detail"] != "there is no such organisation" {
			t.Errorf("%s of another organisation's: %v", method, p)
		}
	}
}
