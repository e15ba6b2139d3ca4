package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// TestAFileThatNamesNobodyIsNoScope: it is a failed export, and everybody's sync would end.
func TestAFileThatNamesNobodyIsNoScope(t *testing.T) {
	file := filepath.Join(t.TempDir(), "scope.txt")
	if err := os.WriteFile(file, []byte("\ufeff\r\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &script{answers: []any{client.Endpoint{Name: "old", Scope: &client.ScopeSize{Mailboxes: 1}}}}
	if code, _, errs := mailhaul(t, s, "endpoint", "scope", "set", "old", "--file", file); code != 2 || !strings.Contains(errs, "nobody could move") || len(s.requests) != 0 {
		t.Errorf("exit code %d after %v: %s", code, s.requests, errs)
	}
	if code, out, errs := mailhaul(t, s, "endpoint", "scope", "set", "old", "--file", "-"); code != 0 || !strings.Contains(out, "1 mailboxes") {
		t.Errorf("from stdin: exit code %d: %s%s", code, out, errs)
	}
}
