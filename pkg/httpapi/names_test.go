package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// operations are all that the OpenAPI document has, as "GET /v1/orgs/{org}".
func (e *env) operations() (out []string) {
	e.t.Helper()
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(e.do(request{method: "GET", path: "/openapi.json"}).body), &doc); err != nil {
		e.t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			out = append(out, strings.ToUpper(method)+" "+path)
		}
	}
	if slices.Sort(out); len(out) < 30 {
		e.t.Fatalf("the document has only %d operations", len(out))
	}
	return out
}

// bodies are what to send where something is asked for: something that would be done,
// and something that is refused wherever it is read.
func bodies(operation string) []any {
	method, path, _ := strings.Cut(operation, " ")
	if method != http.MethodPost && method != http.MethodPut && method != http.MethodPatch {
		return []any{nil}
	}
	last := path[strings.LastIndexByte(path, '/')+1:]
	good := map[string]any{
		"orgs": map[string]any{"name": "another"}, "tokens": map[string]any{"role": "viewer"},
		"endpoints":   map[string]any{"name": "x", "host": "imap.example.com"},
		"batches":     map[string]any{"name": "b", "sourceEndpoint": "old", "targetEndpoint": "new", "csv": users},
		"users":       map[string]any{"csv": users},
		"credentials": map[string]any{"password": "x"}, "test": map[string]any{"user": "ann", "password": "x"},
		"webhooks": map[string]any{"url": "https://hooks.example.com"}, "move": map[string]any{"to": "mine"}, "discover": map[string]any{"address": "ann@example.com"},
	}[last]
	switch {
	case method == http.MethodPut:
		good = map[string]any{"mailboxes": []string{"ann"}}
	case good == nil && method == http.MethodPatch:
		good = map[string]any{}
	}
	return []any{good, `{"name":7}`, `{`}
}

// fill puts values in the place of a path's parameters.
func fill(path string, values map[string]string) string {
	for name, value := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	return path
}

// alike fails the test unless two requests are answered the same, but for the names
// in them. It returns the status.
func (e *env) alike(theirs, missing request, names map[string]string) int {
	e.t.Helper()
	a, b := e.do(theirs), e.do(missing)
	body, there := a.body, a.header.Clone()
	for name, other := range names {
		body = strings.ReplaceAll(body, name, other)
	}
	there.Del("Date")
	b.header.Del("Date")
	if len(names) > 0 { // names may be of other lengths
		there.Del("Content-Length")
		b.header.Del("Content-Length")
	}
	same := a.status == b.status && body == b.body && len(there) == len(b.header)
	for name := range b.header {
		same = same && slices.Equal(there.Values(name), b.header.Values(name))
	}
	if !same || a.status < 400 {
		e.t.Errorf("%s %s: %d %s %v\n%s %s: %d %s %v", theirs.method, theirs.path, a.status, a.body, a.header, missing.method, missing.path, b.status, b.body, b.header)
	}
	return a.status
}

// TestTheNamesOfOthersAreAsMissingOnes walks all that the API can be asked: whatever
// is another organisation's is answered as what does not exist.
func TestTheNamesOfOthersAreAsMissingOnes(t *testing.T) {
	e := newEnv(t)
	e.token("default", migration.Owner)
	for _, org := range []string{"acme", "umbrella"} {
		e.as(e.owner, "POST", "/v1/orgs", map[string]any{"name": org}, 201)
		e.endpoints(e.owner, org)
	}
	e.batch(e.owner, "umbrella")
	mine := "EmailAddress,UserName,Password,TargetPassword\nzoe@example.net,zoe,x,y\n"
	if a := e.upload(e.owner, "/v1/orgs/acme/batches", spec, "mine.csv", mine); a.status != 201 {
		t.Fatalf("batch of acme: %d %s", a.status, a.body)
	}
	e.as(e.owner, "POST", "/v1/orgs/umbrella/endpoints", map[string]any{"name": "theirs", "host": "imap.example.com"}, 201)
	token := e.as(e.owner, "POST", "/v1/orgs/umbrella/tokens", map[string]any{"role": "viewer"}, 201)["id"].(string)
	hook := fmt.Sprint(e.as(e.owner, "POST", "/v1/orgs/umbrella/webhooks", map[string]any{"url": "https://hooks.example.com"}, 201)["id"])
	before := e.do(request{method: "GET", path: "/v1/orgs/umbrella/audit", token: e.owner}).body

	tried := 0
	for _, role := range []migration.Role{migration.Admin, migration.Operator, migration.Viewer} {
		asking := e.token("acme", role)
		for _, operation := range e.operations() {
			method, path, _ := strings.Cut(operation, " ")
			if !strings.Contains(path, "{org}") {
				continue
			}
			for i, body := range bodies(operation) {
				ask := func(values map[string]string) request {
					return request{method: method, path: fill(path, values), token: asking, body: body}
				}
				within := map[string]string{"name": "pilot", "email": "ann@example.com", "id": token, "report": "errors"}
				gone := map[string]string{"name": "nonesuch", "email": "nobody@example.com", "id": strings.Repeat("a", len(token)), "report": "errors"}
				switch {
				case strings.Contains(path, "/endpoints/"):
					within["name"] = "theirs"
				case strings.Contains(path, "/webhooks/"):
					within["id"], gone["id"] = hook, "7777"
				}
				named := func(org string) request {
					r := ask(within)
					r.path = strings.ReplaceAll(r.path, "{org}", org)
					return r
				}
				if status := e.alike(named("umbrella"), named("nonesuch"), nil); i == 0 && status != 404 && status != 403 {
					t.Errorf("%s as %s: %d before anybody looked whose it is", operation, role, status)
				}
				tried++
				// In one's own organisation, by the names that another has.
				if !strings.Contains(path, "{name}") && !strings.Contains(path, "{id}") {
					continue
				}
				own := func(values map[string]string) request {
					r := ask(values)
					r.path = strings.ReplaceAll(r.path, "{org}", "acme")
					return r
				}
				e.alike(own(within), own(gone), map[string]string{within["name"]: gone["name"], within["email"]: gone["email"], "webhook " + hook: "webhook 7777", token: gone["id"]})
				if strings.Contains(path, "{email}") { // their user in one's own batch
					within["name"], gone["name"] = "mine", "mine"
					e.alike(own(within), own(gone), map[string]string{within["email"]: gone["email"]})
				}
			}
		}
		// Their endpoints, named in a batch of one's own.
		create := func(name string) request {
			return request{method: "POST", path: "/v1/orgs/acme/batches", token: asking, body: map[string]any{
				"name": "b", "sourceEndpoint": name, "targetEndpoint": "new", "csv": mine,
			}}
		}
		e.alike(create("theirs"), create("nonesuch"), map[string]string{"theirs": "nonesuch"})
	}
	if after := e.do(request{method: "GET", path: "/v1/orgs/umbrella/audit", token: e.owner}).body; after != before {
		t.Errorf("something was done to them:\n%s\n%s", before, after)
	}
	t.Logf("%d requests of names that are not one's own", tried)
}

// TestATokenEndsWhenItExpires: for every operation alike, as if it had never been.
func TestATokenEndsWhenItExpires(t *testing.T) {
	e := newEnv(t)
	e.token("default", migration.Owner)
	made := e.as(e.owner, "POST", inDefault+"/tokens", map[string]any{"role": "admin", "expires": "1h"}, 201)
	token := made["token"].(string)
	e.ahead.Store(int64(time.Hour - time.Minute))
	e.as(token, "GET", "/v1/orgs/default", nil, 200)
	e.ahead.Store(int64(time.Hour))
	values := map[string]string{"org": "default", "name": "pilot", "email": "ann@example.com", "id": made["id"].(string), "report": "errors"}
	for _, operation := range e.operations() {
		method, path, _ := strings.Cut(operation, " ")
		with := request{method: method, path: fill(path, values), token: token, body: bodies(operation)[0]}
		without := with
		without.token = "nobody's"
		e.alike(with, without, nil)
	}
}
