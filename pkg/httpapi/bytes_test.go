package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
	real "github.com/mailhaul/mailhaul/test/servers"
)

// odd are texts that a database or a mail server cannot take, as JSON writes them and
// as a URL does.
var odd = []struct{ name, json, url string }{
	{"NUL", `a\u0000b`, "a%00b"},
	{"NUL alone", `\u0000`, "%00"},
	{"not UTF-8", "a\xffb", "a%FFb"},
	{"NUL in two bytes", "a\xc0\x80b", "a%C0%80b"},
	{"half a pair as bytes", "a\xed\xa0\x80b", "a%ED%A0%80b"},
	{"a line break", `a\r\nb`, "a%0D%0Ab"},
}

// fields are every text that a request can have: the request is fine but for what is
// put in the place of @.
var fields = map[string][]string{
	"POST /v1/orgs":                {`{"name":"@"}`},
	"POST /v1/orgs/default/tokens": {`{"role":"@"}`, `{"role":"viewer","expires":"@"}`},
	"PATCH /v1/orgs/default/endpoints/old": {
		`{"host":"@"}`, `{"preset":"@"}`, `{"security":"@"}`, `{"auth":"@"}`, `{"testMailbox":"@"}`, `{"loginTemplate":"{user}@","adminUser":"root","adminPassword":"x"}`,
		`{"loginTemplate":"{user}*{admin}","adminUser":"@","adminPassword":"x"}`, `{"loginTemplate":"{user}*{admin}","adminUser":"root","adminPassword":"@"}`,
	},
	"POST /v1/orgs/default/endpoints?skipTest=true": {`{"name":"@","host":"x.example.com"}`, `{"name":"x","host":"@"}`, `{"name":"x","host":"x.example.com","testMailbox":"@"}`},
	"POST /v1/orgs/default/endpoints/old/test":      {`{"user":"@","password":"x"}`, `{"user":"x","password":"@"}`},
	"PATCH /v1/orgs/default/batches/pilot":          {`{"excludeFolders":["@"]}`, `{"notify":["@"]}`, `{"resyncInterval":"@"}`, `{"includeFolders":["@"]}`},
	"POST /v1/orgs/default/batches": {
		`{"name":"@","sourceEndpoint":"old","targetEndpoint":"new","csv":"EmailAddress,Password\nz@z.de,x\n"}`,
		`{"name":"x","sourceEndpoint":"@","targetEndpoint":"new","csv":"EmailAddress,Password\nz@z.de,x\n"}`,
		`{"name":"x","sourceEndpoint":"old","targetEndpoint":"new","excludeFolders":["@"],"csv":"EmailAddress,Password\nz@z.de,x\n"}`,
		`{"name":"x","sourceEndpoint":"old","targetEndpoint":"new","csv":"@"}`,
		`{"name":"x","sourceEndpoint":"old","targetEndpoint":"new","csv":"EmailAddress,UserName,Password,TargetPassword\n@,z,x,y\n"}`,
		`{"name":"x","sourceEndpoint":"old","targetEndpoint":"new","csv":"EmailAddress,UserName,Password,TargetPassword\nz%z.de,@,x,y\n"}`,
		`{"name":"x","sourceEndpoint":"old","targetEndpoint":"new","csv":"EmailAddress,UserName,Password,TargetPassword\nz%z.de,z,@,y\n"}`,
		`{"name":"x","sourceEndpoint":"old","targetEndpoint":"new","csv":"EmailAddress,UserName,Password,TargetPassword,UserRoot\nz%z.de,z,x,y,@\n"}`,
	},
	"POST /v1/orgs/default/batches/pilot/users/ann%40example.com/credentials": {`{"userName":"@"}`, `{"targetUserName":"@"}`, `{"password":"@"}`, `{"targetPassword":"@"}`},
}

// TestOddBytesAreRefused puts what no database takes into every name, parameter and
// field. On PostgreSQL, whose texts cannot hold it.
func TestOddBytesAreRefused(t *testing.T) {
	e := newEnvOver(t, real.Postgres(t).URL)
	e.token("default", migration.Owner)
	e.endpoints(e.owner, "default")
	e.batch(e.owner, "default")
	tried := 0
	refused := func(what string, r request) {
		t.Helper()
		r.token = e.owner
		a := e.do(r)
		tried++
		var p struct{ Code, Detail string }
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status < 400 || a.status >= 500 || p.Code == "" || p.Detail == "" {
			t.Errorf("%s: %s %s: %d %s", what, r.method, r.path, a.status, a.body)
		}
		if strings.ContainsAny(p.Detail, "\x00\r\n") {
			t.Errorf("%s: %s %s: the detail repeats it: %q", what, r.method, r.path, p.Detail)
		}
	}
	for _, o := range odd {
		e.oddNames(o.url, func(r request) { refused(o.name, r) })
		for _, q := range []string{"?status=", "?code=", "?cursor=", "?limit="} {
			if o.name == "a line break" {
				continue // a status that no user has
			}
			refused(o.name, request{method: "GET", path: inDefault + "/batches/pilot/users" + q + o.url})
		}
		for operation, templates := range fields {
			method, path, _ := strings.Cut(operation, " ")
			for _, template := range templates {
				if strings.Contains(template, `"@"`) || !strings.Contains(template, "@z.de") {
					template = strings.Replace(template, "@", o.json, 1)
				}
				template = strings.ReplaceAll(template, "%z.de", "@z.de")
				refused(o.name+" in "+template, request{method: method, path: path, body: template})
			}
		}
	}
	// Keys are headers: net/http refuses what cannot be one before it is sent.
	refused("key", request{method: "POST", path: "/v1/orgs", body: `{"name":"x"}`, header: map[string]string{"Idempotency-Key": "a\xffb"}})
	t.Logf("%d requests", tried)
	if b := e.as(e.owner, "GET", inDefault+"/batches", nil, 200)["items"].([]any); len(b) != 1 {
		t.Errorf("a batch was made: %v", b)
	}
}

// oddNames asks for every operation with one of the names in its path replaced.
func (e *env) oddNames(with string, ask func(request)) {
	values := map[string]string{"org": "default", "name": "pilot", "email": "ann%40example.com", "id": "x", "report": "errors"}
	for _, operation := range e.operations() {
		method, path, _ := strings.Cut(operation, " ")
		for name := range values {
			if !strings.Contains(path, "{"+name+"}") {
				continue
			}
			changed := maps.Clone(values)
			changed[name] = with
			if strings.Contains(path, "/endpoints/") && name != "name" {
				changed["name"] = "old"
			}
			ask(request{method: method, path: fill(path, changed), body: bodies(operation)[0]})
		}
	}
}

// TestLargeRequestsAreRefused: also where nobody says how long they are.
func TestLargeRequestsAreRefused(t *testing.T) {
	e := newEnv(t)
	for path, size := range map[string]int{"/v1/orgs": 1 << 20, inDefault + "/endpoints/x/test": 1 << 20, inDefault + "/batches": 32 << 20, inDefault + "/batches/x/users": 32 << 20} {
		for _, kind := range []string{"application/json", "text/csv", "multipart/form-data; boundary=x"} {
			req, err := http.NewRequestWithContext(t.Context(), "POST", e.server.URL+path, &blanks{left: size + 64<<10})
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+e.owner)
			req.Header.Set("Content-Type", kind)
			res, err := e.server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if _ = res.Body.Close(); res.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s, %s, more than %d bytes: %d", path, kind, size, res.StatusCode)
			}
		}
	}
	a := e.do(request{method: "GET", path: "/v1/orgs", token: e.owner, header: map[string]string{"X-Long": strings.Repeat("x", 2<<20)}})
	if a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("long headers: %d", a.status)
	}
}

// blanks is so many of them, and nobody knows before how many.
type blanks struct{ left int }

func (r *blanks) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), r.left)
	copy(p, bytes.Repeat([]byte(" "), n))
	r.left -= n
	return n, nil
}
