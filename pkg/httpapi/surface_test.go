package httpapi_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestOpenAPIDescribesEveryPath(t *testing.T) {
	e := newEnv(t)
	a := e.do(request{method: "GET", path: "/openapi.json"})
	if a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	paths := a.json(t)["paths"].(map[string]any)
	for path, methods := range map[string]string{
		"/v1/orgs": "post get", "/v1/orgs/{org}": "get delete", "/v1/orgs/{org}/audit": "get", "/v1/orgs/{org}/usage": "get",
		"/v1/orgs/{org}/webhooks": "post get", "/v1/orgs/{org}/webhooks/{id}": "get delete", "/v1/orgs/{org}/webhooks/{id}/deliveries": "get",
		"/v1/orgs/{org}/tokens": "post get", "/v1/orgs/{org}/tokens/{id}": "get delete",
		"/v1/orgs/{org}/endpoints": "post get", "/v1/orgs/{org}/endpoints/{name}": "get patch delete", "/v1/orgs/{org}/endpoints/{name}/test": "post", "/v1/orgs/{org}/endpoints/{name}/scope": "get put patch delete",
		"/v1/orgs/{org}/batches": "post get", "/v1/orgs/{org}/batches/{name}": "get patch delete",
		"/v1/orgs/{org}/batches/{name}/start": "post", "/v1/orgs/{org}/batches/{name}/stop": "post", "/v1/orgs/{org}/batches/{name}/sync": "post",
		"/v1/orgs/{org}/batches/{name}/complete": "post", "/v1/orgs/{org}/batches/{name}/verify": "post", "/v1/orgs/{org}/batches/{name}/preflight": "post get",
		"/v1/orgs/{org}/batches/{name}/users": "get post", "/v1/orgs/{org}/batches/{name}/users/{email}": "get delete",
		"/v1/orgs/{org}/batches/{name}/users/{email}/retry": "post", "/v1/orgs/{org}/batches/{name}/users/{email}/move": "post", "/v1/orgs/{org}/batches/{name}/reverse": "post", "/v1/orgs/{org}/batches/{name}/users/{email}/credentials": "post",
		"/v1/orgs/{org}/batches/{name}/items": "get", "/v1/orgs/{org}/batches/{name}/reports/{report}": "get", "/v1/orgs/{org}/batches/{name}/events": "get",
		"/v1/workers": "get", "/v1/workers/{id}/drain": "post", "/v1/orgs/{org}/fleet": "get", "/v1/orgs/{org}/batches/{name}/users/{email}/why": "get",
	} {
		for method := range strings.SplitSeq(methods, " ") {
			ops, _ := paths[path].(map[string]any)
			if ops[method] == nil {
				t.Errorf("no %s %s", method, path)
			}
		}
	}
	if strings.Contains(a.body, "ErrorModel\"") && !strings.Contains(a.body, "schemas/Problem") {
		t.Error("errors are described in another form than ours")
	}
}

func TestWhatIsNotThere(t *testing.T) {
	e := newEnv(t)
	owner := e.owner
	if a := e.do(request{method: "GET", path: "/v1/nothing", token: owner}); a.status != 404 || a.json(t)["code"] != "NotFound" {
		t.Errorf("an unknown path: %d %s", a.status, a.body)
	}
	a := e.do(request{method: "PUT", path: "/v1/orgs", token: owner})
	if a.status != 405 || !strings.Contains(strings.Join(a.header.Values("Allow"), " "), "POST") {
		t.Errorf("an unknown method: %d %v %s", a.status, a.header, a.body)
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?cursor=%21"} {
		if p := e.as(owner, "GET", "/v1/orgs/default/batches"+query, nil, 422); p["code"] != "InvalidArgument" {
			t.Errorf("%s: %v", query, p)
		}
	}
}

func TestALargeRequestIsRefused(t *testing.T) {
	e := newEnv(t)
	a := e.do(request{method: "POST", path: "/v1/orgs", token: e.owner, body: `{"name":"` + strings.Repeat("x", 2<<20) + `"}`})
	if a.status != 413 || a.json(t)["code"] != "InvalidArgument" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestEventsGoOnWhereTheyBrokeOff(t *testing.T) {
	e := newEnv(t)
	viewer := e.token("default", migration.Viewer)
	e.endpoints(e.owner, "default")
	e.batch(e.owner, "default")
	e.as(e.owner, "POST", inDefault+"/batches/pilot/start", nil, 200)
	c, err := client.New(client.Config{URL: e.server.URL, Token: migration.NewSecret(viewer)})
	if err != nil {
		t.Fatal(err)
	}
	listen := func(after int64, until string, act func()) (kinds []string, last int64) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := c.Events(ctx, "pilot", after, func(ev client.Event) error {
			if len(kinds) == 0 && act != nil {
				act()
			}
			kinds, last = append(kinds, ev.Kind), ev.ID
			if ev.Kind == until {
				cancel()
			}
			return nil
		})
		if ctx.Err() == nil {
			t.Fatalf("the stream ended by itself: %v", err)
		}
		return kinds, last
	}
	kinds, last := listen(0, "batch.stopped", func() { e.as(e.owner, "POST", inDefault+"/batches/pilot/stop", nil, 200) })
	if got := strings.Join(kinds, " "); got != "batch.created batch.started batch.stopped" {
		t.Errorf("events: %s", got)
	}
	e.as(e.owner, "POST", inDefault+"/batches/pilot/start", nil, 200)
	if kinds, _ := listen(last, "batch.started", nil); len(kinds) != 1 {
		t.Errorf("events after the break: %v", kinds)
	}
}

func TestAStreamEndsWithItsBatch(t *testing.T) {
	e := newEnv(t)
	e.token("default", migration.Viewer)
	e.endpoints(e.owner, "default")
	e.batch(e.owner, "default")
	req, err := http.NewRequestWithContext(t.Context(), "GET", e.server.URL+inDefault+"/batches/pilot/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e.owner)
	res, err := e.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	e.as(e.owner, "DELETE", inDefault+"/batches/pilot?force=true", nil, 204)
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		// to the end: it comes
		_ = lines.Text()
	}
}
