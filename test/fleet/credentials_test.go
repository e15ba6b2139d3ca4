package fleet_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/canary"
)

// TestSetCredentials: users whose passwords were wrong go on by themselves once they
// have better ones, by the command line and by the API.
func TestSetCredentials(t *testing.T) {
	t.Parallel()
	m := newMail(t, 2)
	m.corpus("--messages", "10")
	right := m.oldPassword
	m.oldPassword = canary.Secret("wrong")
	s := newService(t, m, time.Hour)
	s.start("worker")
	s.create("--autostart")
	s.await("both need credentials", func() bool { return s.batch().Counts["needsCredentials"] == 2 })

	file := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(file, []byte(m.oldPassword+"\n"), 0o600))
	set := []string{"user", "set-credentials", "m0000@example.org", "--batch", batchName, "--password-file", file}
	s.cli(set...)
	s.await("another wrong one was tried", func() bool {
		return s.logged(`"code":"AuthFailed"`) == 3 && s.batch().Counts["needsCredentials"] == 2
	})
	must(t, os.WriteFile(file, []byte(right+"\n"), 0o600))
	s.cli(set...)
	c, err := client.New(client.Config{URL: s.api, Token: migration.NewSecret(s.token)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetCredentials(t.Context(), batchName, "m0001@example.org", client.Credentials{Password: right}); err != nil {
		t.Fatal(err)
	}
	s.awaitSynced()
	if code, _ := s.get(s.api + "/v1/orgs/default/batches/" + batchName + "/users"); code != http.StatusOK {
		t.Errorf("users: %d", code)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := canary.Found(s.told.Bytes(), []string{right, m.oldPassword}); len(found) > 0 {
		t.Errorf("told: %v", found)
	}
}
