package pass

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/store"
	"github.com/mailhaul/mailhaul/pkg/store/storetest"
	"github.com/mailhaul/mailhaul/pkg/telemetry"
)

// world is a store with one started batch, and a runner whose engine is a stand-in.
type world struct {
	*Runner
	t              *testing.T
	db             *store.Store
	source, target migration.Endpoint
	batch          migration.Batch
	draining       chan struct{}
	accounts       []Account
	// connect answers the openers; nil: it goes well.
	connect func(Account) error
}

type clearVault struct{}

func (clearVault) OfUser(_ *migration.User, sealed []byte) (migration.Secret, error) {
	return migration.NewSecret(string(sealed)), nil
}

func (clearVault) OfAdmin(e *migration.Endpoint) (migration.Secret, error) {
	return migration.NewSecret(string(e.AdminSecret)), nil
}

func newWorld(t *testing.T, change func(w *world), users ...migration.User) *world {
	t.Helper()
	db, err := store.Open(t.Context(), storetest.SQLite(t, filepath.Join(t.TempDir(), "m.db")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	org, err := db.OrgByName(t.Context(), migration.DefaultOrg)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, draining: make(chan struct{})}
	spec := migration.EndpointSpec{Port: 993, Security: migration.TLS, Auth: "password", MaxConcurrentMigrations: 20, MaxConcurrentIncrementalSyncs: 10}
	w.source = migration.Endpoint{OrgID: org.ID, Name: "old", EndpointSpec: spec}
	w.target = migration.Endpoint{OrgID: org.ID, Name: "new", EndpointSpec: spec}
	w.source.Host, w.target.Host = "old.example", "new.example"
	if change != nil {
		change(w)
	}
	must(t, db.CreateEndpoint(t.Context(), &w.source))
	must(t, db.CreateEndpoint(t.Context(), &w.target))
	now := time.Now().UTC()
	w.batch = migration.Batch{
		OrgID: org.ID, Name: "b", BatchSpec: migration.BatchSpec{Type: "imap", SourceEndpoint: "old", TargetEndpoint: "new", ResyncInterval: time.Hour},
		SourceEndpointID: w.source.ID, TargetEndpointID: w.target.ID, CreatedAt: now, StartedAt: now,
	}
	for i := range users {
		users[i].OrgID = org.ID
		users[i].UserState = migration.UserState{Status: migration.UserQueued, NextRunAt: now}
	}
	if _, err := db.CreateBatch(t.Context(), &w.batch, sequence(users)); err != nil {
		t.Fatal(err)
	}
	w.Runner = NewRunner(Config{
		Store: db, Vault: clearVault{}, WorkerID: "w1", Slice: time.Minute, Draining: w.draining, Ended: func() {},
		Metrics: telemetry.NewMetrics(telemetry.Build{}), Log: zaptest.NewLogger(t),
		Open: func(a Account) mailbox.Opener {
			w.accounts = append(w.accounts, a)
			return func(context.Context) (mailbox.Session, error) {
				if w.connect != nil {
					return nil, w.connect(a)
				}
				return nil, nil
			}
		},
	})
	w.engine(func(context.Context, mailsync.Job) (mailsync.Outcome, error) { return mailsync.Outcome{}, nil })
	w.Engine.Verify = func(context.Context, mailsync.VerifyJob) (migration.Receipt, error) {
		return migration.Receipt{Messages: 1, Digest: "d"}, nil
	}
	return w
}

// alice has a password at both sides.
func alice() migration.User {
	return migration.User{EmailAddress: "alice@new.example", UserName: "alice", SourceSecret: []byte("s"), TargetSecret: []byte("t")}
}

func sequence(users []migration.User) iter.Seq2[migration.User, error] {
	return func(yield func(migration.User, error) bool) {
		for _, u := range users {
			if !yield(u, nil) {
				return
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// engine sets the stand-in; it connects to both sides first, as the real one does.
func (w *world) engine(run func(context.Context, mailsync.Job) (mailsync.Outcome, error)) {
	w.Engine.Run = func(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error) {
		for _, open := range []mailbox.Opener{job.Source, job.Target} {
			if _, err := open(ctx); err != nil {
				return mailsync.Outcome{}, err
			}
		}
		return run(ctx, job)
	}
}

func (w *world) admit() migration.Lease {
	w.t.Helper()
	leases, err := w.db.Admit(w.t.Context(), time.Now().UTC().Add(time.Second), 1)
	if err != nil || len(leases) != 1 {
		w.t.Fatalf("admitted %v, error %v; want one", leases, err)
	}
	return leases[0]
}

// run admits a user and runs its pass.
func (w *world) run() migration.User {
	w.t.Helper()
	l := w.admit()
	w.Handle(w.t.Context(), l.UserID, l.Token)
	return w.user(l.UserID)
}

func (w *world) user(id int64) migration.User {
	w.t.Helper()
	u, err := w.db.UserByID(w.t.Context(), id)
	must(w.t, err)
	return u
}

func (w *world) endpoint(id int64) migration.Endpoint {
	w.t.Helper()
	e, err := w.db.EndpointByID(w.t.Context(), id)
	must(w.t, err)
	return e
}

func (w *world) leases() int {
	w.t.Helper()
	leases, err := w.db.LiveLeases(w.t.Context())
	must(w.t, err)
	return len(leases)
}

// background runs the pass of a lease until the test waits for it.
func (w *world) background(l migration.Lease) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Handle(context.Background(), l.UserID, l.Token)
	}()
	return func() {
		w.t.Helper()
		select {
		case <-done:
		case <-time.After(time.Minute):
			w.t.Fatal("the pass has not ended in a minute")
		}
	}
}

func fault(code migration.Code, scope migration.Scope, side migration.Side) *migration.Fault {
	return migration.NewFault(code, scope, side, "said the server", errors.New("cause"))
}
