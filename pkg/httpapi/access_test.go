package httpapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestWhoMayDoWhat(t *testing.T) {
	e := newEnv(t)
	tokens := map[migration.Role]string{}
	for _, r := range []migration.Role{migration.Owner, migration.Admin, migration.Operator, migration.Viewer} {
		tokens[r] = e.token("default", r)
	}
	e.endpoints(e.owner, "default")
	e.batch(e.owner, "default")
	endpoint := `{"name":"x"}`
	tests := []struct {
		method, path, body string
		need               migration.Role
	}{
		{"GET", "/v1/orgs", "", migration.Viewer},
		{"POST", "/v1/orgs", `{"name":"-bad name-"}`, migration.Owner},
		{"GET", "/v1/orgs/default", "", migration.Viewer},
		{"DELETE", "/v1/orgs/default", "", migration.Owner},
		{"POST", "/v1/vault/rotate", "", migration.Owner},
		{"GET", "/v1/workers", "", migration.Owner},
		{"POST", "/v1/workers/none/drain", "", migration.Owner},
		{"GET", "/v1/orgs/default/fleet", "", migration.Viewer},
		{"GET", "/v1/orgs/default/batches/pilot/users/ann@example.com/why", "", migration.Viewer},
		{"GET", "/v1/orgs/default/audit", "", migration.Admin},
		{"GET", "/v1/orgs/default/tokens", "", migration.Admin},
		{"GET", "/v1/orgs/default/tokens/none", "", migration.Admin},
		{"DELETE", "/v1/orgs/default/tokens/none", "", migration.Admin},
		{"POST", "/v1/orgs/default/tokens", `{"role":"owner","expires":"1s"}`, migration.Owner},
		{"POST", "/v1/orgs/default/tokens", `{"role":"admin","expires":"1s"}`, migration.Admin},
		{"POST", "/v1/orgs/default/tokens", `{"role":"viewer","expires":"1s"}`, migration.Admin},
		{"GET", "/v1/orgs/default/usage", "", migration.Viewer},
		{"POST", "/v1/orgs/default/webhooks", `{"url":"http://example.com"}`, migration.Admin},
		{"GET", "/v1/orgs/default/webhooks", "", migration.Admin},
		{"GET", "/v1/orgs/default/webhooks/77", "", migration.Admin},
		{"GET", "/v1/orgs/default/webhooks/77/deliveries", "", migration.Admin},
		{"DELETE", "/v1/orgs/default/webhooks/77", "", migration.Admin},
		{"GET", "/v1/orgs/default/endpoints", "", migration.Viewer},
		{"GET", "/v1/orgs/default/endpoints/old", "", migration.Viewer},
		{"POST", "/v1/orgs/default/endpoints", endpoint, migration.Admin},
		{"PATCH", "/v1/orgs/default/endpoints/none", `{}`, migration.Admin},
		{"DELETE", "/v1/orgs/default/endpoints/none", "", migration.Admin},
		{"POST", "/v1/orgs/default/endpoints/none/test", "", migration.Operator},
		{"GET", "/v1/orgs/default/endpoints/old/scope", "", migration.Viewer},
		{"PUT", "/v1/orgs/default/endpoints/none/scope", `{"mailboxes":[]}`, migration.Admin},
		{"PATCH", "/v1/orgs/default/endpoints/none/scope", `{}`, migration.Admin},
		{"DELETE", "/v1/orgs/default/endpoints/none/scope", "", migration.Admin},
		{"POST", "/v1/orgs/default/endpoints/discover", `{"address":"ann@example.com"}`, migration.Operator},
		{"GET", "/v1/orgs/default/batches", "", migration.Viewer},
		{"POST", "/v1/orgs/default/batches", `{"csv":""}`, migration.Operator},
		{"GET", "/v1/orgs/default/batches/pilot", "", migration.Viewer},
		{"PATCH", "/v1/orgs/default/batches/none", `{}`, migration.Operator},
		{"DELETE", "/v1/orgs/default/batches/none", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/none/start", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/none/stop", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/none/sync", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/none/complete", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/none/verify", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/none/preflight", "", migration.Operator},
		{"GET", "/v1/orgs/default/batches/pilot/preflight", "", migration.Viewer},
		{"POST", "/v1/orgs/default/batches/none/reverse", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/none/users/ann@example.com/move", `{"to":"pilot"}`, migration.Operator},
		{"POST", "/v1/orgs/default/batches/none/users", `{"csv":""}`, migration.Operator},
		{"GET", "/v1/orgs/default/batches/pilot/users", "", migration.Viewer},
		{"GET", "/v1/orgs/default/batches/pilot/users/ann@example.com", "", migration.Viewer},
		{"DELETE", "/v1/orgs/default/batches/pilot/users/none", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/pilot/users/none/retry", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/pilot/users/none/stop", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/pilot/users/none/complete", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/pilot/users/none/reset", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/pilot/users/none/confirm-deletions", "", migration.Operator},
		{"POST", "/v1/orgs/default/batches/pilot/users/none/credentials", `{"password":"x"}`, migration.Operator},
		{"GET", "/v1/orgs/default/batches/pilot/items", "", migration.Viewer},
		{"GET", "/v1/orgs/default/batches/pilot/mails", "", migration.Viewer},
		{"GET", "/v1/orgs/default/batches/pilot/reports/statistics", "", migration.Viewer},
		{"GET", "/v1/orgs/default/batches/none/events", "", migration.Viewer},
	}
	told := rolesTold(t, e)
	for _, tt := range tests {
		operation, role := told.of(tt.method, tt.path)
		if role != tt.need && tt.body != `{"role":"owner","expires":"1s"}` { // a token of a role takes the role
			t.Errorf("%s: the OpenAPI document tells of role %s, it is %s", operation, role, tt.need)
		}
		told.seen[operation] = true
		for role, token := range tokens {
			r := request{method: tt.method, path: tt.path, token: token}
			if tt.body != "" {
				r.body = tt.body
			}
			a := e.do(r)
			if may := a.status != http.StatusForbidden; may != role.Includes(tt.need) {
				t.Errorf("%s as %s: status %d; the role %s is needed", tt.method+" "+tt.path, role, a.status, tt.need)
			}
			if a.status == http.StatusInternalServerError {
				t.Errorf("%s as %s: %s", tt.method+" "+tt.path, role, a.body)
			}
		}
		if a := e.do(request{method: tt.method, path: tt.path}); a.status != http.StatusUnauthorized || a.json(t)["code"] != "Unauthorized" {
			t.Errorf("%s %s without a token: %d %s", tt.method, tt.path, a.status, a.body)
		}
	}
	for operation := range told.roles {
		if !told.seen[operation] {
			t.Errorf("nobody tried %s", operation)
		}
	}
}

// told is what the OpenAPI document says of roles, by "GET /v1/orgs/{org}".
type told struct {
	roles map[string]migration.Role
	seen  map[string]bool
}

func rolesTold(t *testing.T, e *env) told {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct{ Security []map[string][]migration.Role }
	}
	if err := json.Unmarshal([]byte(e.do(request{method: "GET", path: "/openapi.json"}).body), &doc); err != nil {
		t.Fatal(err)
	}
	out := told{map[string]migration.Role{}, map[string]bool{}}
	for path, operations := range doc.Paths {
		for method, o := range operations {
			out.roles[strings.ToUpper(method)+" "+path] = o.Security[0]["token"][0]
		}
	}
	return out
}

// of finds the operation of a request: the one whose words, but for parameters, are its.
func (d told) of(method, path string) (string, migration.Role) {
	words := strings.Split(method+" "+path, "/")
	for operation, role := range d.roles {
		same := func(word, template string) bool { return word == template || strings.HasPrefix(template, "{") }
		if slices.EqualFunc(words, strings.Split(operation, "/"), same) {
			return operation, role
		}
	}
	return "", ""
}

func TestAnotherOrganisationIsAsOneThatDoesNotExist(t *testing.T) {
	e := newEnv(t)
	e.token("default", migration.Owner)
	for _, org := range []string{"acme", "umbrella"} {
		e.as(e.owner, "POST", "/v1/orgs", map[string]any{"name": org}, 201)
	}
	e.endpoints(e.owner, "umbrella")
	e.batch(e.owner, "umbrella")
	theirs := e.as(e.owner, "POST", "/v1/orgs/umbrella/tokens", map[string]any{"role": "admin"}, 201)["id"].(string)
	admin := e.token("acme", migration.Admin)
	endpoint := map[string]any{"name": "x", "host": "imap.example.com"}
	for _, r := range []request{
		{method: "GET", path: ""},
		{method: "DELETE", path: ""},
		{method: "GET", path: "/fleet"},
		{method: "GET", path: "/batches/pilot/users/ann@example.com/why"},
		{method: "GET", path: "/audit"},
		{method: "GET", path: "/tokens"},
		{method: "GET", path: "/tokens/" + theirs},
		{method: "DELETE", path: "/tokens/" + theirs},
		{method: "POST", path: "/tokens", body: map[string]any{"role": "viewer"}},
		{method: "GET", path: "/endpoints"},
		{method: "POST", path: "/endpoints", body: endpoint},
		{method: "GET", path: "/endpoints/old"},
		{method: "PATCH", path: "/endpoints/old", body: map[string]any{"port": 1}},
		{method: "DELETE", path: "/endpoints/old"},
		{method: "POST", path: "/endpoints/old/test"},
		{method: "POST", path: "/endpoints/discover", body: map[string]any{"address": "ann@example.com"}},
		{method: "GET", path: "/batches"},
		{method: "GET", path: "/batches/pilot"},
		{method: "POST", path: "/batches", body: map[string]any{"name": "b", "sourceEndpoint": "old", "targetEndpoint": "new", "csv": users}},
		{method: "PATCH", path: "/batches/pilot", body: map[string]any{"resyncInterval": "1h"}},
		{method: "DELETE", path: "/batches/pilot?force=true"},
		{method: "POST", path: "/batches/pilot/start"},
		{method: "POST", path: "/batches/pilot/reverse"},
		{method: "POST", path: "/batches/pilot/complete"},
		{method: "POST", path: "/batches/pilot/users", body: map[string]any{"csv": users}},
		{method: "GET", path: "/batches/pilot/users"},
		{method: "GET", path: "/batches/pilot/users/ann@example.com"},
		{method: "DELETE", path: "/batches/pilot/users/ann@example.com"},
		{method: "POST", path: "/batches/pilot/users/ann@example.com/retry"},
		{method: "POST", path: "/batches/pilot/users/ann@example.com/move", body: `{"to":"pilot"}`},
		{method: "POST", path: "/batches/pilot/users/ann@example.com/credentials", body: map[string]any{"password": "x"}},
		{method: "GET", path: "/batches/pilot/items"},
		{method: "GET", path: "/batches/pilot/mails"},
		{method: "GET", path: "/batches/pilot/reports/errors"},
		{method: "GET", path: "/batches/pilot/events"},
	} {
		r.token = admin
		path := r.path
		r.path = "/v1/orgs/umbrella" + path
		theirs := e.do(r)
		r.path = "/v1/orgs/nonesuch" + path
		missing := e.do(r)
		if theirs.status != 404 || theirs.status != missing.status || theirs.body != missing.body {
			t.Errorf("%s %s: theirs %d %s, missing %d %s", r.method, path, theirs.status, theirs.body, missing.status, missing.body)
		}
		for name := range missing.header {
			if name != "Date" && theirs.header.Get(name) != missing.header.Get(name) {
				t.Errorf("%s %s: header %s differs", r.method, path, name)
			}
		}
	}
	if list := e.as(admin, "GET", "/v1/orgs", nil, 200)["items"].([]any); len(list) != 1 {
		t.Errorf("organisations seen: %v", list)
	}
	if b := e.as(e.owner, "GET", "/v1/orgs/umbrella/batches/pilot", nil, 200); b["status"] != "Created" || count(b, "total") != 3 {
		t.Errorf("their batch was changed: %v", b)
	}
	// The one thing that shows: a mailbox of another organisation's live batch.
	e.endpoints(admin, "acme")
	a := e.upload(admin, "/v1/orgs/acme/batches", spec, "mine.csv", users)
	if p := a.json(t); a.status != 409 || p["code"] != "AlreadyBeingMoved" || strings.Contains(a.body, "umbrella") || strings.Contains(a.body, "pilot") {
		t.Errorf("their mailboxes: %d %s", a.status, a.body)
	}
}

func TestTokens(t *testing.T) {
	e := newEnv(t)
	e.as("", "GET", "/v1/orgs", nil, 401)
	e.as(bootstrap+"x", "GET", "/v1/orgs", nil, 401)
	e.as(bootstrap, "GET", "/v1/orgs", nil, 200)
	made := e.as(bootstrap, "POST", "/v1/orgs/default/tokens", map[string]any{"role": "owner", "expires": "1h"}, 201)
	owner := made["token"].(string)
	if made["expiresAt"] == nil || made["role"] != "owner" {
		t.Errorf("made: %v", made)
	}
	e.as(bootstrap, "GET", "/v1/orgs", nil, 401)
	viewer := e.as(owner, "POST", "/v1/orgs/default/tokens", map[string]any{"role": "viewer"}, 201)
	e.as(viewer["token"].(string), "GET", "/v1/orgs/default", nil, 200)
	list := e.do(request{method: "GET", path: inDefault + "/tokens", token: owner})
	if strings.Contains(list.body, owner) || strings.Contains(list.body, viewer["token"].(string)) || !strings.Contains(list.body, viewer["id"].(string)) {
		t.Errorf("list of tokens: %s", list.body)
	}
	e.as(owner, "DELETE", inDefault+"/tokens/"+viewer["id"].(string), nil, 204)
	e.as(viewer["token"].(string), "GET", "/v1/orgs/default", nil, 401)
	// Revoking the last does not bring the bootstrap token back.
	e.as(owner, "DELETE", inDefault+"/tokens/"+made["id"].(string), nil, 204)
	e.as(owner, "GET", "/v1/orgs", nil, 401)
	e.as(bootstrap, "GET", "/v1/orgs", nil, 401)
}

func TestAFirstTokenThatIsNoOwnersWarns(t *testing.T) {
	e := newEnv(t)
	if made := e.as(bootstrap, "POST", "/v1/orgs/default/tokens", map[string]any{"role": "operator"}, 201); made["warning"] == nil {
		t.Errorf("no warning: %v", made)
	}
}
