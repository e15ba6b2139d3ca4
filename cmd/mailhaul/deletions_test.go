package main

import (
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// TestDeletionsOfAPairAreAskedForPlainly: what cannot be meant is refused before anything
// is connected to.
func TestDeletionsOfAPairAreAskedForPlainly(t *testing.T) {
	pair := []string{"sync", "--source", "imap+plain://a:p@127.0.0.1:1", "--target", "imap+plain://a:p@127.0.0.1:1"}
	for flags, want := range map[string]string{
		"--deletions mirror":            "needs --state",
		"--deletions all --state x":     "neither keep nor mirror",
		"--confirm 3 --state x":         "needs --deletions mirror",
		"--deletions keep --confirm 20": "needs --deletions mirror",
	} {
		code, _, errs := mailhaul(t, &script{}, append(pair, strings.Fields(flags)...)...)
		if code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, %s", flags, code, errs)
		}
	}
}

// TestDeletionsAreConfirmedOverTheAPI.
func TestDeletionsAreConfirmedOverTheAPI(t *testing.T) {
	s := &script{answers: []any{client.User{EmailAddress: "a@b.example", Status: "Queued"}}}
	if code, _, errs := mailhaul(t, s, "user", "confirm-deletions", "a@b.example", "--batch", "pilot", "--confirm", "40"); code != exitDone {
		t.Errorf("exit code %d: %s", code, errs)
	}
	b := &script{answers: []any{client.Batch{Name: "pilot"}}}
	if code, _, errs := mailhaul(t, b, "batch", "set", "pilot", "--deletions", "mirror", "--confirm", "pilot"); code != exitDone {
		t.Errorf("exit code %d: %s", code, errs)
	}
	got := strings.Join(append(s.requests, b.requests...), "\n")
	want := "POST /v1/orgs/default/batches/pilot/users/a@b.example/confirm-deletions?confirm=40\nPATCH /v1/orgs/default/batches/pilot?confirm=pilot"
	if strings.ReplaceAll(got, "%40", "@") != want {
		t.Errorf("asked\n%s\nwant\n%s", got, want)
	}
}
