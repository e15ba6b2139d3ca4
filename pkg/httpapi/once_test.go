package httpapi_test

import (
	"bytes"
	"mime/multipart"
	"strings"
	"sync"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestAPostSentTwiceIsDoneOnce(t *testing.T) {
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	post := func(token, key, name string) answer {
		return e.do(request{
			method: "POST", path: inDefault + "/endpoints", token: token,
			body: map[string]any{"name": name, "host": "imap.example.com"}, header: map[string]string{"Idempotency-Key": key},
		})
	}
	first, second := post(admin, "k1", "old"), post(admin, "k1", "old")
	if first.status != 201 || second.status != 201 || first.body != second.body || second.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("first %d %s, second %d %s", first.status, first.body, second.status, second.body)
	}
	if a := post(admin, "k1", "new"); a.status != 422 || !strings.Contains(a.body, "another request") {
		t.Errorf("the key with another request: %d %s", a.status, a.body)
	}
	if a := post(e.owner, "k1", "old"); a.status != 409 {
		t.Errorf("the key of another token: %d %s", a.status, a.body)
	}
	if a := post(admin, "k2", "old"); a.status != 409 || a.json(t)["code"] != "Conflict" {
		t.Errorf("another key: %d %s", a.status, a.body)
	}
	if a := post(admin, strings.Repeat("k", 300), "third"); a.status != 422 {
		t.Errorf("a long key: %d %s", a.status, a.body)
	}
}

// TestAFormSentTwiceIsDoneOnce: whoever sends a form again makes another boundary.
func TestAFormSentTwiceIsDoneOnce(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	post := func(boundary, name string) answer {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		if err := w.SetBoundary(boundary); err != nil {
			t.Fatal(err)
		}
		_ = w.WriteField("spec", `{"name":"`+name+`",`+spec[1:])
		_ = w.WriteField("csv", users)
		_ = w.Close()
		return e.do(request{
			method: "POST", path: inDefault + "/batches", token: op, body: form.String(), contentType: w.FormDataContentType(),
			header: map[string]string{"Idempotency-Key": "k"},
		})
	}
	first, second := post("one", "pilot"), post("another", "pilot")
	if first.status != 201 || second.status != 201 || second.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("first %d %s, second %d %s", first.status, first.body, second.status, second.body)
	}
	if a := post("one", "other"); a.status != 422 || !strings.Contains(a.body, "another request") {
		t.Errorf("another form: %d %s", a.status, a.body)
	}
}

func TestTheSamePostAtTheSameTimeIsDoneOnce(t *testing.T) {
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	const n = 8
	answers := make([]answer, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			answers[i] = e.do(request{
				method: "POST", path: inDefault + "/tokens", token: admin,
				body: `{"role":"viewer"}`, header: map[string]string{"Idempotency-Key": "k"},
			})
		})
	}
	wg.Wait()
	bodies := map[string]bool{}
	for _, a := range answers {
		if a.status == 201 {
			bodies[a.body] = true
		} else if a.status != 409 || !strings.Contains(a.body, "under way") {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
	tokens, err := e.store.ListTokens(t.Context(), orgID(t, e, "default"))
	if err != nil || len(bodies) != 1 || len(tokens) != 2 { // the admin's and the one
		t.Errorf("%d answers, %d tokens, %v", len(bodies), len(tokens), err)
	}
	again := e.do(request{method: "POST", path: inDefault + "/tokens", token: admin, body: `{"role":"viewer"}`, header: map[string]string{"Idempotency-Key": "k"}})
	if !bodies[again.body] {
		t.Errorf("the answer given again: %d %s", again.status, again.body)
	}
}

func orgID(t *testing.T, e *env, name string) int64 {
	t.Helper()
	o, err := e.store.OrgByName(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return o.ID
}
