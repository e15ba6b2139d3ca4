package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestWorkersAreListedAndDrained(t *testing.T) {
	e := newEnv(t)
	e.token("default", migration.Owner)
	admin := e.token("default", migration.Admin)
	if list := e.as(e.owner, "GET", "/v1/workers", nil, 200)["items"].([]any); len(list) != 0 {
		t.Errorf("workers: %v", list)
	}
	_, err := e.store.BeatWorker(t.Context(), migration.Worker{
		ID: "w-1", Host: "h", PID: 7, Version: "v", Concurrency: 64, State: migration.WorkerRunning, StartedAt: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	list := e.as(e.owner, "GET", "/v1/workers", nil, 200)["items"].([]any)
	w := list[0].(map[string]any)
	if w["id"] != "w-1" || w["host"] != "h" || w["state"] != "running" || w["concurrency"] != 64.0 || w["running"] != 0.0 || w["since"] == nil {
		t.Errorf("worker: %v", w)
	}
	for _, r := range []request{{method: "GET", path: "/v1/workers"}, {method: "POST", path: "/v1/workers/w-1/drain"}, {method: "POST", path: "/v1/workers/none/drain"}} {
		r.token = admin
		if a := e.do(r); a.status != 403 || a.json(t)["code"] != "Forbidden" {
			t.Errorf("%s %s by an organisation's admin: %d %s", r.method, r.path, a.status, a.body)
		}
	}
	if p := e.as(e.owner, "POST", "/v1/workers/none/drain", nil, 404); p["code"] != "NotFound" {
		t.Errorf("a worker that is not there: %v", p)
	}
	if w := e.as(e.owner, "POST", "/v1/workers/w-1/drain", nil, 200); w["state"] != "draining" {
		t.Errorf("drained: %v", w)
	}
	drain, err := e.store.BeatWorker(t.Context(), migration.Worker{ID: "w-1", State: migration.WorkerRunning, StartedAt: time.Now()})
	if err != nil || !drain {
		t.Errorf("the worker hears %v, %v", drain, err)
	}
}

func TestWhyAUserWaits(t *testing.T) {
	e := newEnv(t)
	viewer := e.token("default", migration.Viewer)
	e.endpoints(e.owner, "default")
	e.batch(e.owner, "default")
	why := func() (kinds, first string) {
		t.Helper()
		v := e.as(viewer, "GET", inDefault+"/batches/pilot/users/ann@example.com/why", nil, 200)
		for _, r := range v["reasons"].([]any) {
			r := r.(map[string]any)
			if kinds == "" {
				first = r["what"].(string)
			}
			kinds += r["kind"].(string) + " "
			if r["remedy"] == "" {
				t.Errorf("nothing to be done about %v", r)
			}
		}
		if v["emailAddress"] != "ann@example.com" || v["status"] == "" {
			t.Errorf("of whom: %v", v)
		}
		return kinds, first
	}
	expect := func(kinds, what string) {
		t.Helper()
		if k, w := why(); k != kinds || !strings.Contains(w, what) {
			t.Errorf("reasons %s(%s), want %s(%s)", k, w, kinds, what)
		}
	}
	expect("notStarted ", "pilot is not started")
	e.as(e.owner, "POST", inDefault+"/batches/pilot/start", nil, 200)
	expect("noWorker ", "no worker")
	_, err := e.store.BeatWorker(t.Context(), migration.Worker{ID: "w-1", Concurrency: 8, State: migration.WorkerRunning, StartedAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	expect("next ", "dispatcher")
	leases, err := e.store.Admit(t.Context(), time.Now().UTC(), 1)
	if err != nil || len(leases) != 1 {
		t.Fatalf("admitted %v, %v", leases, err)
	}
	expect("queued ", "first sync")
	if _, err := e.store.Claim(t.Context(), leases[0].Token, "w-1"); err != nil {
		t.Fatal(err)
	}
	expect("running ", "on worker w-1 since 20")

	f := e.as(viewer, "GET", inDefault+"/fleet", nil, 200)
	if f["workers"] != nil {
		t.Errorf("an organisation's viewer sees workers: %v", f["workers"])
	}
	f = e.as(e.owner, "GET", inDefault+"/fleet", nil, 200)
	if list := f["workers"].([]any); len(list) != 1 || list[0].(map[string]any)["running"] != 1.0 {
		t.Errorf("workers: %v", list)
	}
	at := f["endpoints"].([]any)
	if len(at) != 2 {
		t.Fatalf("endpoints: %v", at)
	}
	one := at[0].(map[string]any)
	if one["name"] != "new" || one["inUse"].(map[string]any)["first"] != 1.0 || one["due"].(map[string]any)["first"] != 2.0 || one["limit"] != 20.0 || one["workingLimit"] != 20.0 {
		t.Errorf("endpoint: %v", one)
	}
	if f["due"].(map[string]any)["first"] != 2.0 || f["etaSeconds"] != nil {
		t.Errorf("due %v, eta %v", f["due"], f["etaSeconds"])
	}
	park := migration.Park{Code: migration.ConnectionFailed, Reason: "refused", Until: time.Now().Add(time.Hour)}
	if err := e.store.SetPark(t.Context(), leases[0].TargetEndpointID, park); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := e.store.Throttle(t.Context(), leases[0].TargetEndpointID, time.Now()); err != nil {
		t.Fatal(err)
	}
	e.eventually("the view is new", func() bool {
		f := e.as(viewer, "GET", inDefault+"/fleet", nil, 200)
		one := f["endpoints"].([]any)[0].(map[string]any)
		waits := one["waits"].([]any)
		return one["limit"] == 20.0 && one["workingLimit"] == 10.0 && len(waits) == 1 && waits[0].(map[string]any)["kind"] == "parked" && waits[0].(map[string]any)["until"] != nil
	})
}

func (e *env) eventually(what string, met func() bool) {
	e.t.Helper()
	for deadline := time.Now().Add(time.Minute); !met(); {
		if time.Now().After(deadline) {
			e.t.Fatalf("not within a minute: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}
