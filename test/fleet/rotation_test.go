package fleet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/servers"
)

// TestKeysRotateWhileABatchRuns goes the way of the documentation, one process after the
// other, while users are synced every other second: the new key last, then first, vault
// rotate, the old one dropped. No login fails, by the servers' own logs. What was sealed
// is erased from the database's files when the batch is completed.
func TestKeysRotateWhileABatchRuns(t *testing.T) {
	t.Parallel()
	const interval = 2 * time.Second
	m := newMail(t, 3)
	m.corpus("--messages", "5")
	s := newService(t, m, interval)
	worker := s.start("worker")
	s.create("--autostart")
	s.awaitSynced()

	old, next := s.key, vault.GenerateKey()
	secrets := s.sealed()
	for _, keys := range []string{old + "," + next, next + "," + old, next} {
		if keys == next {
			s.cli("vault", "rotate")
		}
		s.key = keys
		s.terminate(s.plane, 25*time.Second)
		s.plane = s.start("api", "MAILHAUL_RESYNC_INTERVAL="+interval.String())
		s.terminate(worker, 25*time.Second)
		worker = s.start("worker")
		begun := s.logged(`"result":"done"`)
		s.await("all users were synced with the keys of now", func() bool { return s.logged(`"result":"done"`) >= begun+2*len(m.users) })
	}
	for name, server := range map[string]*servers.IMAP{"source": m.old, "target": m.new} {
		if n := refused(t, server); n != 0 || !strings.Contains(string(read(t, server.Log)), "Login: user=") {
			t.Errorf("the %s has refused %d logins", name, n)
		}
	}
	if n := s.logged(`"result":"fault"`); n != 0 {
		t.Errorf("%d passes failed", n)
	}

	secrets = append(secrets, s.sealed()...)
	s.cli("batch", "complete", batchName)
	s.cli("batch", "wait", batchName, "--for", "Completed", "--timeout", patience.String())
	s.await("no sealed secret is left in the database's files", func() bool { return !s.remains(secrets) })
}
