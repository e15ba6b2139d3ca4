package app

import (
	"context"
	"fmt"
	"io"
	"net"
	neturl "net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/dispatch"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/pass"
	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mailboxes stands for all mailboxes of a test: it counts the passes over each, and
// notices two at once over one.
type mailboxes struct {
	t  *testing.T
	mu sync.Mutex
	// running and runs are by target login.
	running, runs map[string]int
	// work is what a pass does beside being counted; nil: nothing.
	work func(ctx context.Context, job mailsync.Job, login string) (mailsync.Outcome, error)
}

// session is a connection that only knows whose it is.
type session struct {
	mailbox.Session
	login string
}

func (s session) Naming() mailbox.Naming { return mailbox.Naming{Prefix: s.login} }

func (m *mailboxes) open(a pass.Account) mailbox.Opener {
	return func(context.Context) (mailbox.Session, error) { return session{login: a.User}, nil }
}

func (m *mailboxes) run(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error) {
	s, err := job.Target(ctx)
	if err != nil {
		return mailsync.Outcome{}, err
	}
	login := s.Naming().Prefix
	m.mu.Lock()
	m.running[login]++
	m.runs[login]++
	if m.running[login] > 1 {
		m.t.Errorf("%s has %d passes at once", login, m.running[login])
	}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.running[login]--
	}()
	if m.work == nil {
		return mailsync.Outcome{Tally: migration.Tally{Seen: 1, Copied: 1}, Progress: true}, nil
	}
	return m.work(ctx, job, login)
}

func (m *mailboxes) everybodyRan(users, times int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, runs := range m.runs {
		if runs >= times {
			n++
		}
	}
	return n == users
}

// rig is a store, a Redis and a dispatcher, to which workers are added.
type rig struct {
	*base
	t     *testing.T
	boxes *mailboxes
	batch migration.Batch
	redis string // host:port
}

func newRig(t *testing.T, users int, interval time.Duration) *rig {
	t.Helper()
	return newRigOn(t, "sqlite://"+filepath.Join(t.TempDir(), "m.db"), users, interval)
}

func newRigOn(t *testing.T, database string, users int, interval time.Duration) *rig {
	t.Helper()
	url := servers.Redis(t)
	b, err := openBase(t.Context(), config.Common{
		DatabaseURL: config.NewSecret(database), RedisURL: config.NewSecret(url),
		MasterKey: config.NewSecret(vault.GenerateKey()),
	}, zaptest.NewLogger(t))
	must(t, err)
	address, err := neturl.Parse(url)
	must(t, err)
	r := &rig{base: b, t: t, redis: address.Host, boxes: &mailboxes{t: t, running: map[string]int{}, runs: map[string]int{}}}
	t.Cleanup(func() { must(t, b.close()) })
	r.fill(users, interval)
	d := dispatch.New(dispatch.Config{Store: b.store, Queue: leaseQueue{b.queue}, Log: b.log})
	r.start(d.Run)
	return r
}

// fill makes two endpoints and a started batch.
func (r *rig) fill(users int, interval time.Duration) {
	r.t.Helper()
	ctx := r.t.Context()
	org, err := r.store.OrgByName(ctx, migration.DefaultOrg)
	must(r.t, err)
	ends := []migration.Endpoint{{OrgID: org.ID, Name: "old"}, {OrgID: org.ID, Name: "new"}}
	for i := range ends {
		ends[i].EndpointSpec = migration.EndpointSpec{Host: ends[i].Name + ".example", Port: 993, MaxConcurrentMigrations: 20, MaxConcurrentIncrementalSyncs: 10}
		must(r.t, r.store.CreateEndpoint(ctx, &ends[i]))
	}
	now := time.Now().UTC()
	r.batch = migration.Batch{
		OrgID: org.ID, Name: "b", BatchSpec: migration.BatchSpec{SourceEndpoint: "old", TargetEndpoint: "new", ResyncInterval: interval},
		SourceEndpointID: ends[0].ID, TargetEndpointID: ends[1].ID, CreatedAt: now, StartedAt: now,
	}
	sealed, err := r.vault.Seal(migration.NewSecret("p"), fmt.Sprintf("org/%d", org.ID))
	must(r.t, err)
	_, err = r.store.CreateBatch(ctx, &r.batch, func(yield func(migration.User, error) bool) {
		for i := range users {
			u := migration.User{
				OrgID: org.ID, EmailAddress: fmt.Sprintf("u%d@new.example", i), UserName: fmt.Sprintf("u%d", i), SourceSecret: sealed, TargetSecret: sealed,
				UserState: migration.UserState{Status: migration.UserQueued, NextRunAt: now},
			}
			if !yield(u, nil) {
				return
			}
		}
	})
	must(r.t, err)
}

// start runs a part until the test ends or stop is called, which waits for it.
func (r *rig) start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		must(r.t, <-done)
	})
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) worker(concurrency int) (stop func()) {
	r.t.Helper()
	w, err := newWorker(r.base, config.Worker{Concurrency: concurrency, Slice: time.Minute})
	must(r.t, err)
	w.runner.Open, w.runner.Engine.Run = r.boxes.open, r.boxes.run
	return r.start(w.run)
}

// flush empties Redis.
func (r *rig) flush() {
	r.t.Helper()
	c, err := net.Dial("tcp", r.redis)
	must(r.t, err)
	defer func() { _ = c.Close() }()
	_, err = c.Write([]byte("FLUSHALL\r\n"))
	must(r.t, err)
	answer := make([]byte, 5)
	_, err = io.ReadFull(c, answer)
	must(r.t, err)
	if string(answer) != "+OK\r\n" {
		r.t.Fatalf("flush answered %q", answer)
	}
}

func (r *rig) summary() migration.Summary {
	r.t.Helper()
	s, err := r.store.Summary(r.t.Context(), r.batch.ID)
	must(r.t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !met(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 2 min: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestUsersAreSyncedAndSyncedAgain(t *testing.T) {
	const users = 20
	r := newRig(t, users, 3*time.Second)
	r.worker(8)
	r.worker(8)
	eventually(t, "everybody is synced", func() bool { return r.summary().Counts.Synced == users })
	eventually(t, "everybody is synced a second time", func() bool { return r.boxes.everybodyRan(users, 2) })
}

func TestMailboxesAreCountedByStatus(t *testing.T) {
	const users = 5
	r := newRig(t, users, time.Hour)
	count := func() map[string]int {
		return (&fleet{store: r.store, queue: r.queue, log: r.log}).read(t.Context()).Mailboxes
	}
	if got := count(); got["Queued"] != users || got["Synced"] != 0 || len(got) != len(migration.UserStatuses) {
		t.Errorf("at first %v", got)
	}
	r.worker(8)
	eventually(t, "the gauge says that everybody is synced", func() bool { return count()["Synced"] == users })
}

func TestAFlushOfRedisInTheMiddleCostsNothingButTime(t *testing.T) {
	const users = 30
	r := newRig(t, users, time.Hour)
	gate := make(chan struct{}, users)
	r.boxes.work = func(ctx context.Context, _ mailsync.Job, _ string) (mailsync.Outcome, error) {
		select {
		case <-gate:
		case <-ctx.Done():
		}
		return mailsync.Outcome{Progress: true}, context.Cause(ctx)
	}
	r.worker(4)
	eventually(t, "all slots are busy", func() bool {
		r.boxes.mu.Lock()
		defer r.boxes.mu.Unlock()
		return len(r.boxes.runs) == 4
	})
	r.flush()
	for range users {
		gate <- struct{}{}
	}
	eventually(t, "everybody is synced", func() bool { return r.summary().Counts.Synced == users })
	if r.boxes.everybodyRan(1, 2) {
		t.Errorf("somebody ran twice: %v", r.boxes.runs)
	}
}

func TestADrainedWorkersPassesGoOnElsewhere(t *testing.T) {
	const users = 6
	r := newRig(t, users, time.Hour)
	moved := make(chan struct{})
	r.boxes.work = func(ctx context.Context, job mailsync.Job, _ string) (mailsync.Outcome, error) {
		for !job.Yield() {
			select {
			case <-moved: // the second worker is there: no need to wait
				return mailsync.Outcome{Progress: true}, nil
			case <-time.After(10 * time.Millisecond):
			}
		}
		return mailsync.Outcome{Yielded: true, Progress: true}, nil
	}
	stop := r.worker(users)
	eventually(t, "everybody runs", func() bool { return r.boxes.everybodyRan(users, 1) })
	stop()
	if s := r.summary().Counts; s.Synced != 0 || s.ByStatus[migration.UserQueued] != users {
		t.Errorf("after the drain: %+v", s)
	}
	r.worker(users)
	close(moved)
	eventually(t, "everybody is synced", func() bool { return r.summary().Counts.Synced == users })
}

// TestListenElsewhere: a second worker on the machine must not fail for its port.
func TestListenElsewhere(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	if _, err := listen(address, config.HTTP{}, false, nil, zaptest.NewLogger(t)); err == nil {
		t.Error("a taken port is no error where it must be that port")
	}
	s, err := listen(address, config.HTTP{}, true, nil, zaptest.NewLogger(t))
	must(t, err)
	defer func() { _ = s.listener.Close() }()
	if s.listener.Addr().String() == address {
		t.Errorf("listens on %s", address)
	}
}

// TestAWorkerDrainsOnAnOperatorsWord: it hands its passes back, takes no more, counts
// no more, stays, and ends as ever.
func TestAWorkerDrainsOnAnOperatorsWord(t *testing.T) {
	const users = 6
	r := newRig(t, users, time.Hour)
	second := make(chan struct{})
	r.boxes.work = func(ctx context.Context, job mailsync.Job, _ string) (mailsync.Outcome, error) {
		for !job.Yield() {
			select {
			case <-second:
				return mailsync.Outcome{Progress: true}, nil
			case <-time.After(10 * time.Millisecond):
			}
		}
		return mailsync.Outcome{Yielded: true, Progress: true}, nil
	}
	stop := r.worker(users)
	eventually(t, "everybody runs", func() bool { return r.boxes.everybodyRan(users, 1) })
	look := func() (w migration.Worker) {
		t.Helper()
		eventually(t, "a worker is listed", func() bool { // it may have passes before
			list, err := r.store.Workers(t.Context())
			if err == nil && len(list) > 0 {
				w = list[0]
			}
			return w.ID != ""
		})
		return w
	}
	if w := look(); w.State != migration.WorkerRunning || w.Running != users || w.Concurrency != users {
		t.Errorf("at work: %+v", w)
	}
	must(t, r.store.DrainWorker(t.Context(), look().ID))
	eventually(t, "it is drained", func() bool { return look().State == migration.WorkerDrained })
	if s := r.summary().Counts; s.ByStatus[migration.UserQueued] != users {
		t.Errorf("after the drain: %+v", s)
	}
	eventually(t, "its slots are no capacity", func() bool {
		n, err := r.queue.Capacity(t.Context())
		return err == nil && n == 0
	})
	close(second)
	if w := look(); w.Running != 0 || r.summary().Counts.Synced != 0 {
		t.Errorf("it took passes: %+v", w)
	}
	r.worker(users)
	eventually(t, "everybody is synced by another", func() bool { return r.summary().Counts.Synced == users })
	stop()
	if w := look(); w.State != migration.WorkerRunning {
		t.Errorf("after its end it is still listed: %+v", w)
	}
}
