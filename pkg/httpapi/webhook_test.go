package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/vault"
)

func TestWebhooks(t *testing.T) {
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	const hooks = inDefault + "/webhooks"
	for _, bad := range []string{
		"", "example.com", "ftp://example.com", "http://example.com/x", "https://user:pw@example.com", "https://", "https://example.com/#x",
		"https://example.com/a b", "https://example.com/\u0007", "https://example.com/" + strings.Repeat("x", 3000), "file:///etc/passwd", "http://10.0.0.1",
	} {
		if p := e.as(admin, "POST", hooks, map[string]any{"url": bad}, 422); p["code"] != "InvalidArgument" {
			t.Errorf("%q: %v", bad, p)
		}
	}
	made := e.as(admin, "POST", hooks, map[string]any{"url": "https://hooks.example.com/x?key=theirs"}, 201)
	secret, _ := made["secret"].(string)
	if !strings.HasPrefix(secret, "whsec_") || len(secret) != len("whsec_")+44 || made["lastDelivery"] != nil {
		t.Fatalf("made %v", made)
	}
	one := fmt.Sprintf("%s/%.0f", hooks, made["id"])
	for _, path := range []string{hooks, one, inDefault + "/audit"} {
		a := e.do(request{method: "GET", path: path, token: admin})
		if a.status != 200 || strings.Contains(a.body, secret) || path == inDefault+"/audit" && strings.Contains(a.body, "theirs") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	e.searchFiles(secret)
	if strings.Contains(e.log.String(), secret) {
		t.Error("the log holds the secret")
	}

	// What is on its way is told.
	e.endpoints(e.owner, "default")
	e.batch(e.owner, "default")
	b, err := e.store.BatchByName(t.Context(), orgID(t, e, "default"), "pilot")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.store.AddEvent(t.Context(), migration.Event{OrgID: b.OrgID, BatchID: b.ID, Kind: migration.EventUserFailed, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.store.QueueDeliveries(t.Context(), false, 100); err != nil {
		t.Fatal(err)
	}
	if a := e.do(request{method: "GET", path: one + "/deliveries", token: admin}); a.status != 200 || !strings.Contains(a.body, `"status":"pending"`) || !strings.Contains(a.body, `"event":"user.failed"`) {
		t.Errorf("deliveries: %d %s", a.status, a.body)
	}
	due, err := e.store.DueDeliveries(t.Context(), time.Now().Add(time.Minute), true, 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("due: %+v, %v", due, err)
	}
	if mine, err := e.store.ClaimDelivery(t.Context(), &due[0], time.Now().Add(time.Hour)); !mine || err != nil {
		t.Fatalf("claim: %v, %v", mine, err)
	}
	due[0].DueAt, due[0].EndedAt, due[0].Answer = time.Time{}, time.Now(), "HTTP 500"
	if err := e.store.EndDelivery(t.Context(), due[0]); err != nil {
		t.Fatal(err)
	}
	if last, _ := e.as(admin, "GET", one, nil, 200)["lastDelivery"].(map[string]any); last["status"] != "failed" || last["answer"] != "HTTP 500" || last["nextAttemptAt"] != nil {
		t.Errorf("last delivery %v", last)
	}

	// Nobody else's, and its secret moves to a new master key.
	e.as(e.owner, "POST", "/v1/orgs", map[string]any{"name": "other"}, 201)
	other := e.token("other", migration.Admin)
	e.as(other, "GET", strings.Replace(one, "/default/", "/other/", 1), nil, 404)
	e.as(other, "DELETE", strings.Replace(one, "/default/", "/other/", 1), nil, 404)
	fresh := vault.GenerateKey()
	both, err := vault.Open(fresh + "," + e.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := control.New(control.Config{Store: e.store, Vault: both}).RotateKeys(t.Context(), control.Actor{Role: migration.Owner}); err != nil {
		t.Fatal(err)
	}
	alone, err := vault.Open(fresh)
	if err != nil {
		t.Fatal(err)
	}
	w, err := e.store.WebhookByID(t.Context(), due[0].WebhookID)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := alone.Open(w.Secret, control.SecretOfWebhook(w.OrgID)); err != nil || got.Reveal() != secret {
		t.Errorf("after a rotation: %v", err)
	}
	e.as(admin, "DELETE", one, nil, 204)
	e.as(admin, "GET", one, nil, 404)
	if due, err := e.store.DueDeliveries(t.Context(), time.Now().Add(time.Hour), true, 10); err != nil || len(due) != 0 {
		t.Errorf("a webhook that is gone is still called: %+v, %v", due, err)
	}
}

func TestATokenHasAnAddress(t *testing.T) {
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	e.as(admin, "POST", inDefault+"/tokens", map[string]any{"role": "viewer", "email": "nobody"}, 422)
	e.as(admin, "POST", inDefault+"/tokens", map[string]any{"role": "viewer", "email": "ann@example.com\r\nRCPT TO:<eve@example.com>"}, 422)
	if made := e.as(admin, "POST", inDefault+"/tokens", map[string]any{"role": "viewer", "email": "ann@example.com"}, 201); made["email"] != "ann@example.com" {
		t.Errorf("made %v", made)
	}
}

// TestMailsAreTold: to whom a batch's report was mailed, and what the mail server said.
func TestMailsAreTold(t *testing.T) {
	e := newEnv(t)
	e.endpoints(e.owner, "default")
	op := e.token("default", migration.Operator)
	e.as(op, "POST", inDefault+"/batches", map[string]any{
		"name": "pilot", "sourceEndpoint": "old", "targetEndpoint": "new", "csv": users, "notify": []string{"ann@example.com", "bob@example.com"},
	}, 201)
	mails := inDefault + "/batches/pilot/mails"
	if list := e.as(op, "GET", mails, nil, 200)["items"].([]any); len(list) != 0 {
		t.Errorf("nothing was mailed yet: %v", list)
	}
	b, err := e.store.BatchByName(t.Context(), orgID(t, e, "default"), "pilot")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.store.AddEvent(t.Context(), migration.Event{OrgID: b.OrgID, BatchID: b.ID, Kind: migration.EventBatchSynced, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.store.QueueDeliveries(t.Context(), true, 100); err != nil {
		t.Fatal(err)
	}
	due, err := e.store.DueDeliveries(t.Context(), time.Now().Add(time.Minute), true, 10)
	if err != nil || len(due) != 2 {
		t.Fatalf("due: %+v, %v", due, err)
	}
	for i, answer := range []string{"250 queued", "550 no such user"} {
		if mine, err := e.store.ClaimDelivery(t.Context(), &due[i], time.Now().Add(time.Hour)); !mine || err != nil {
			t.Fatalf("claim: %v, %v", mine, err)
		}
		due[i].DueAt, due[i].EndedAt, due[i].Delivered, due[i].Answer = time.Time{}, time.Now(), i == 0, answer
		if err := e.store.EndDelivery(t.Context(), due[i]); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for path := mails + "?limit=1"; ; {
		page := e.as(op, "GET", path, nil, 200)
		for _, item := range page["items"].([]any) {
			m := item.(map[string]any)
			got = append(got, fmt.Sprint(m["to"], " ", m["event"], " ", m["status"], ": ", m["answer"]))
		}
		next, _ := page["nextCursor"].(string)
		if next == "" {
			break
		}
		path = mails + "?limit=1&cursor=" + next
	}
	want := []string{due[1].Address + " batch.synced failed: 550 no such user", due[0].Address + " batch.synced delivered: 250 queued"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("mails %q, want %q", got, want)
	}
}
