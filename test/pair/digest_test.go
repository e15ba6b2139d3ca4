package pair_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/test/servers"
)

// TestDigestOfTheDocs runs the script of docs/verify.md: whoever has a receipt can
// check it without us.
func TestDigestOfTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(page)
	if found == nil {
		t.Fatal("docs/verify.md has no script")
	}
	script := filepath.Join(t.TempDir(), "digest.py")
	if err := os.WriteFile(script, found[1], 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.fill(400) // enough for mail in folders of every kind of name
	w.run("sync")
	digest := func() string {
		out, err := exec.Command("python3", script, "127.0.0.1", strconv.Itoa(w.source.Port), user, servers.Password).CombinedOutput()
		if err != nil {
			t.Fatalf("the script: %v\n%s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	receipt := func() (r struct{ Digest string }) {
		cmd := w.command(t.Context(), "verify")
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, &r)
		}
		if err != nil {
			t.Fatalf("verify: %v\n%s", err, out)
		}
		return r
	}
	first := receipt().Digest
	if got := digest(); got != first || len(got) != 64 {
		t.Errorf("the script says %s, the receipt %s", got, first)
	}
	w.python("corpus.py", "--port", strconv.Itoa(w.source.Port), "--users", "1", "--mutate", "--new", "1", "--flags", "0")
	w.run("sync")
	if got, second := digest(), receipt().Digest; got != second || second == first {
		t.Errorf("with one more message the script says %s, the receipt %s, before it %s", got, second, first)
	}
}
