package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// looked runs the preflights that are due: of eve it finds what fails, of bob what warns.
func (e *env) looked() {
	e.t.Helper()
	ctx, now := e.t.Context(), time.Now().UTC()
	leases, err := e.store.Admit(ctx, now, 100)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, l := range leases {
		if _, err := e.store.Claim(ctx, l.Token, "worker"); err != nil {
			e.t.Fatal(err)
		}
		u, err := e.store.UserByID(ctx, l.UserID)
		if err != nil {
			e.t.Fatal(err)
		}
		p := migration.Preflight{At: now, Folders: 2, Messages: 100, Bytes: 1e6, ToCome: 1e6, Largest: &migration.Largest{Folder: "A", Size: 70}, Quota: &migration.Quota{Used: 1, Limit: 2}}
		switch u.EmailAddress {
		case "bob@example.com":
			p.Find(migration.FindingRenamed, migration.LevelWarning, migration.Target, "a becomes b")
			p.Renamed = []migration.RenamedFolder{{From: "a", To: "b", Why: migration.RenamedApart}}
		case "eve@example.com":
			p.FindFault(&migration.Fault{Code: migration.TargetNotFound, Side: migration.Target, Reason: "nobody"})
		}
		next := migration.Advance(u.ID, u.UserState, migration.Result{Kind: l.Kind, LoggedIn: true}, migration.Schedule{}, now)
		if err := e.store.PutPreflight(ctx, l.Token, p); err != nil {
			e.t.Fatal(err)
		}
		if err := e.store.Finish(ctx, l.Token, next, u.Totals, u.Last, nil, nil); err != nil {
			e.t.Fatal(err)
		}
	}
}

func TestPreflight(t *testing.T) {
	e := newEnv(t)
	viewer := e.token("default", migration.Viewer)
	e.endpoints(e.owner, "default")
	e.batch(e.owner, "default")
	const at = inDefault + "/batches/pilot"
	p := e.as(viewer, "GET", at+"/preflight", nil, 200)
	if p["users"] != 3.0 || p["checked"] != 0.0 || p["left"] != 0.0 || p["estimate"] != nil || len(p["items"].([]any)) != 0 {
		t.Errorf("before: %v", p)
	}
	if b := e.as(e.owner, "POST", at+"/preflight", nil, 200); b["status"] != "Created" || b["counts"].(map[string]any)["queued"] != 3.0 {
		t.Errorf("asked for: %v", b)
	}
	if p = e.as(viewer, "GET", at+"/preflight", nil, 200); p["left"] != 3.0 {
		t.Errorf("asked for: %v", p)
	}
	e.looked()
	p = e.as(viewer, "GET", at+"/preflight?limit=2", nil, 200)
	if p["left"] != 0.0 || p["ready"] != 1.0 || p["warnings"] != 1.0 || p["failing"] != 1.0 || p["messages"] != 300.0 || p["bytes"] != 3e6 {
		t.Errorf("totals: %v", p)
	}
	estimate := p["estimate"].(map[string]any)
	if estimate["basis"] != "guess" || estimate["concurrency"] != 3.0 || !strings.Contains(estimate["bound"].(string), "3 mailboxes at once") {
		t.Errorf("estimate: %v", estimate)
	}
	list := p["items"].([]any)
	list = append(list, e.as(viewer, "GET", at+"/preflight?limit=2&cursor="+p["nextCursor"].(string), nil, 200)["items"].([]any)...)
	var who []string
	for _, u := range list {
		who = append(who, u.(map[string]any)["emailAddress"].(string))
	}
	if strings.Join(who, " ") != "eve@example.com bob@example.com ann@example.com" {
		t.Errorf("users %q", who)
	}
	eve, found := list[0].(map[string]any), p["findings"].([]any)[0].(map[string]any)
	if eve["level"] != "failing" || eve["largestSize"] != 70.0 || eve["quotaLimit"] != 2.0 || found["code"] != "TargetNotFound" || found["users"] != 1.0 || found["remedy"] == "" {
		t.Errorf("eve %v, first finding %v", eve, found)
	}
	if b := e.as(viewer, "GET", at, nil, 200); b["status"] != "Created" || b["counts"].(map[string]any)["created"] != 3.0 {
		t.Errorf("the batch afterwards: %v", b)
	}
	e.as(e.owner, "POST", at+"/start", nil, 200)
	if p := e.as(e.owner, "POST", at+"/preflight", nil, 409); p["code"] != "Conflict" || !strings.Contains(p["detail"].(string), "runs") {
		t.Errorf("of a batch that runs: %v", p)
	}
	e.as(viewer, "GET", at+"/preflight?cursor=bm9uZQ", nil, 422)
}
