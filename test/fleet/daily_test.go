package fleet_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// TestDailyBytesPerMailbox: a mailbox with its day used up waits for midnight, another
// one goes on, and a wider budget lets the first go on at once.
func TestDailyBytesPerMailbox(t *testing.T) {
	t.Parallel()
	m := newMail(t, 2)
	m.corpus("--messages", "5", "--folders", "1")
	s := newService(t, m, time.Hour)
	s.start("worker")
	s.create()
	users := func() (big, small client.User) {
		t.Helper()
		for i, to := range []*client.User{&big, &small} {
			code, body := s.get(s.api + "/v1/orgs/default/batches/" + batchName + "/users/" + m.users[i] + "@example.org")
			if err := json.Unmarshal([]byte(body), to); err != nil {
				t.Fatalf("user: %d %s: %v", code, body, err)
			}
		}
		return big, small
	}
	// Not over midnight: the day would begin anew in the middle.
	day := func() time.Time { return time.Now().UTC().Truncate(24 * time.Hour) }
	s.await("it is not midnight soon", func() bool { return time.Now().Add(patience - time.Minute).UTC().Truncate(24 * time.Hour).Equal(day()) })

	s.cli("batch", "start", batchName)
	s.awaitSynced()
	_, small := users()
	s.cli("endpoint", "set", "old", "--daily-bytes-per-mailbox", fmt.Sprint(2*small.Bytes.Copied))
	m.corpus("--users", "1", "--messages", "300", "--start", "5", "--folders", "2")
	midnight := day().Add(24 * time.Hour)
	s.cli("batch", "sync", batchName)
	s.await("a mailbox has used up its day", func() bool {
		big, small := users()
		return big.Status == "Waiting" && small.Status == "Synced"
	})
	big, _ := users()
	if big.Code != "BudgetExhausted" || big.ResumesAt == nil || !big.ResumesAt.Equal(midnight) || big.Remedy == "" || big.Attempts != 0 {
		t.Errorf("the user with its day used up: %+v", big)
	}
	if out := s.cli("user", "why", m.users[0]+"@example.org", "--batch", batchName); !strings.Contains(out, "a day of one mailbox at endpoint old are used up") {
		t.Errorf("user why: %s", out)
	}
	s.cli("endpoint", "set", "old", "--daily-bytes-per-mailbox", "none")
	s.await("it goes on", func() bool { big, _ := users(); return big.Status == "Synced" })
	m.same()
}
