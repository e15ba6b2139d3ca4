package fleet_test

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// TestWorkerDiesAtEachPoint: a worker dies at each of the points of package failpoint,
// each with a mailbox of its own in hand; others go on, and nothing is lost or there
// twice. The state file's points are not a worker's: it has a database.
func TestWorkerDiesAtEachPoint(t *testing.T) {
	t.Parallel()
	build := exec.Command("go", "build", "-tags", "failpoints", "-o", filepath.Join(bin, "worker-failpoints"), "../../cmd/worker")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	firstDay := []string{
		failpoint.FoldersCreated, failpoint.BeforeWriting, failpoint.WritingMarked, failpoint.MidLiteral, failpoint.WindowSent,
		failpoint.WindowAnswered, failpoint.Committed, failpoint.BeforeFinish, failpoint.Finished,
	}
	later := []string{failpoint.FolderRenamed, failpoint.RecordMoved, failpoint.BeforeFlags, failpoint.FlagsStored}
	m := newMail(t, len(firstDay))
	made := m.corpus("--messages", "60")
	s := newService(t, m, time.Hour)

	s.create()
	s.dieAt(firstDay, "start")
	healthy := s.start("worker")
	s.awaitSynced()
	s.terminate(healthy, 25*time.Second)
	if b := s.batch().Messages; b.Copied+b.Adopted != made || b.Redelivered+b.Surplus != 0 {
		t.Errorf("after the first day %+v, want %d copied or adopted", b, made)
	}

	m.corpus("--mutate", "--new", "10", "--flags", "20")
	for _, u := range m.users {
		m.rename(u, "Archive/2021", "Old & gone")
	}
	s.dieAt(later, "sync")
	s.start("worker")
	s.await("all mailboxes are the same", func() bool { return len(m.differences(m.users)) == 0 })
	if b := s.batch().Messages; b.Redelivered+b.Surplus != 0 {
		t.Errorf("in the end %+v", b)
	}
}

// dieAt starts a worker for each point, has the batch begin, and waits until all of
// them are dead. Each has one mailbox at a time.
func (s *service) dieAt(points []string, verb string) {
	s.t.Helper()
	workers := map[string]*server{}
	for _, point := range points {
		workers[point] = s.start("worker-failpoints", "MAILHAUL_CONCURRENCY=1", "MAILHAUL_FAILPOINT="+point+":1")
	}
	s.cli("batch", verb, batchName)
	for point, w := range workers {
		if code, err := w.Wait(patience); err != nil || code != -1 {
			s.t.Errorf("the worker that was to die at %s: exit code %d, %v", point, code, err)
		}
	}
}

// rename gives a folder of the old server another name.
func (m *mail) rename(user, from, to string) {
	m.t.Helper()
	s, err := imapmail.NewOpener(imapmail.Account{
		Host: m.old.Host, Port: m.old.Port, Security: migration.Plain, Side: migration.Source, User: user, Password: migration.NewSecret(servers.Password),
	}, imapmail.Options{})(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	must(m.t, s.Subscribe(m.t.Context(), []string{from}, false)[0])
	must(m.t, s.Rename(m.t.Context(), from, to))
	must(m.t, s.Close())
}
