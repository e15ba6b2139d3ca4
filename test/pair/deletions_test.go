package pair_test

import (
	"regexp"
	"testing"
)

// TestDeletionsAreMirrored between two servers: messages are deleted and moved, and a
// folder is deleted; what the target's user marked as deleted stays. A folder that was
// emptied is asked about first. The judge finds both sides the same each time.
func TestDeletionsAreMirrored(t *testing.T) {
	w := newWorld(t)
	w.fillOne(40)
	put(t, w.source.Port, "Small", "Subject: a\r\n\r\na\r\n", "Subject: b\r\n\r\nb\r\n")
	put(t, w.source.Port, "Kept", "Subject: c\r\n\r\nc\r\n")
	w.run("sync")
	w.same()

	put(t, w.target.Port, "INBOX", "Subject: own\r\n\r\nthe user's own\r\n")
	does(t, w.target.Port, "SELECT INBOX", "STORE * +FLAGS (\\Deleted)")
	does(t, w.source.Port, "SELECT INBOX", "STORE 2:4,9 +FLAGS (\\Deleted)", "EXPUNGE", "COPY 5 Kept", "STORE 5 +FLAGS (\\Deleted)", "EXPUNGE",
		"SELECT Small", "STORE 1:* +FLAGS (\\Deleted)", "EXPUNGE")
	if r := w.run("sync", "--deletions", "mirror", "--dry-run"); r.ToDelete != 7 || r.Deleted != 0 {
		t.Errorf("a dry run: %+v", r)
	}
	if r := w.run("sync", "--deletions", "mirror"); r.Deleted != 7 || r.Copied != 1 {
		t.Errorf("deleted and moved: %+v", r)
	}
	if got, want := total(t, w.target.Port), total(t, w.source.Port)+1; got != want {
		t.Fatalf("%d messages at the target, want %d: the user's own among them", got, want)
	}
	does(t, w.target.Port, "SELECT INBOX", "EXPUNGE")
	w.same()

	left := total(t, w.target.Port)
	does(t, w.source.Port, "SELECT INBOX", "STORE 1:* +FLAGS (\\Deleted)", "EXPUNGE")
	said, code := w.refused("sync", "--deletions", "mirror")
	asked := regexp.MustCompile(`--confirm (\d+)`).FindStringSubmatch(said)
	if code != 1 || asked == nil || total(t, w.target.Port) != left {
		t.Fatalf("an emptied folder: exit code %d, %s", code, said)
	}
	if r := w.run("sync", "--deletions", "mirror", "--confirm", asked[1]); r.Deleted != left-total(t, w.source.Port) {
		t.Errorf("confirmed %s: %+v", asked[1], r)
	}
	w.same()
	if r := w.run("verify"); r.Missing+r.Altered+r.FoldersMissing != 0 {
		t.Errorf("verify: %+v", r)
	}
}
