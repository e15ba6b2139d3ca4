package fleet_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOnlyWhoIsInScopeMoves: the source's list holds for a file that comes in, and while
// the batch runs.
func TestOnlyWhoIsInScopeMoves(t *testing.T) {
	t.Parallel()
	m := newMail(t, 2)
	m.corpus("--messages", "10")
	s := newService(t, m, time.Hour)
	s.start("worker")
	s.endpoints()
	list := filepath.Join(t.TempDir(), "scope.txt")
	must(t, os.WriteFile(list, []byte("\ufeffM0000\r\n\r\nm0007\r\n"), 0o600))
	s.cli("endpoint", "scope", "set", "old", "--file", list)
	create := []string{"batch", "create", batchName, "--csv", m.csv(), "--source", "old", "--target", "new", "--autostart"}
	if out, code := s.try(create...); code != 1 || !strings.Contains(out, "line 3, UserName: this mailbox is not in the scope") || strings.Contains(out, "line 2") {
		t.Fatalf("a file with a mailbox outside the scope: exit code %d\n%s", code, out)
	}
	s.cli("endpoint", "scope", "add", "old", "m0001")
	if out := s.cli("endpoint", "scope", "get", "old"); out != "M0000\nm0001\nm0007\n" {
		t.Errorf("the scope is\n%s", out)
	}
	s.cli(create...)
	s.awaitSynced()

	s.cli("endpoint", "scope", "remove", "old", "m0001")
	s.cli("batch", "sync", batchName)
	s.await("who was taken off the list is failed, and nobody else", func() bool {
		b := s.batch()
		return b.Counts["failed"] == 1 && b.Counts["synced"] == 1
	})
	if out := s.cli("user", "get", "m0001@example.org", "--batch", batchName); !strings.Contains(out, "NotInScope") || !strings.Contains(out, "scope list") {
		t.Errorf("the failed user is told as\n%s", out)
	}
	s.cli("endpoint", "scope", "clear", "old")
	s.cli("user", "retry", "m0001@example.org", "--batch", batchName)
	s.await("both are in step again", func() bool { return s.batch().Counts["synced"] == 2 })
}
