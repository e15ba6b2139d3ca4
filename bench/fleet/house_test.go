package fleet_test

import (
	"context"
	"fmt"
	"iter"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/dispatch"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/pass"
	"github.com/mailhaul/mailhaul/pkg/queue"
	"github.com/mailhaul/mailhaul/pkg/store"
	"github.com/mailhaul/mailhaul/pkg/telemetry"
	"github.com/mailhaul/mailhaul/test/servers"
)

// house is a dispatcher and a worker in this process, as package app joins them, but
// for the engine.
type house struct {
	b     *testing.B
	store *store.Store
	redis string
	org   migration.Org
	// engine stands in for a sync: it is given the user's batch.
	engine func(ctx context.Context, batch string)
	ended  atomic.Int64 // passes
	stop   func()
}

func newHouse(b *testing.B, database string) *house {
	b.Helper()
	h := &house{b: b, redis: servers.Redis(b), engine: func(context.Context, string) {}}
	var err error
	if h.store, err = store.Open(b.Context(), database); err != nil {
		b.Fatal(err)
	}
	if h.org, err = h.store.OrgByName(b.Context(), migration.DefaultOrg); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if h.stop != nil {
			h.stop()
		}
		_ = h.store.Close()
	})
	return h
}

// sqlite is a new SQLite database.
func sqlite(b *testing.B) string { return "sqlite://" + filepath.Join(b.TempDir(), "fleet.db") }

// endpoint makes an endpoint of an organisation, host and name alike.
func (h *house) endpoint(org migration.Org, name string, limit int) {
	h.b.Helper()
	e := migration.Endpoint{OrgID: org.ID, Name: name, EndpointSpec: migration.EndpointSpec{
		Host: name + ".example.net", Port: 993, Security: migration.TLS, MaxConcurrentMigrations: limit, MaxConcurrentIncrementalSyncs: min(limit, 10),
	}}
	if err := h.store.CreateEndpoint(h.b.Context(), &e); err != nil {
		h.b.Fatal(err)
	}
}

// batch makes a batch of n users that has not started.
func (h *house) batch(org migration.Org, name, source, target string, n int) *migration.Batch {
	h.b.Helper()
	batch := &migration.Batch{OrgID: org.ID, Name: name, CreatedAt: time.Now(), BatchSpec: migration.BatchSpec{
		Type: "imap", IncludeFolders: []string{name}, SourceEndpoint: source, TargetEndpoint: target, Deletions: "keep", ResyncInterval: 24 * time.Hour,
	}}
	if _, err := h.store.CreateBatch(h.b.Context(), batch, users(name, n)); err != nil {
		h.b.Fatal(err)
	}
	return batch
}

func users(name string, n int) iter.Seq2[migration.User, error] {
	return func(yield func(migration.User, error) bool) {
		for i := range n {
			u := migration.User{
				EmailAddress: fmt.Sprintf("u%06d@%s.example.org", i, name), UserName: fmt.Sprintf("u%06d", i),
				SourceSecret: []byte{1}, TargetSecret: []byte{1},
			}
			u.Status = migration.UserCreated
			if !yield(u, nil) {
				return
			}
		}
	}
}

// run starts dispatcher and worker.
func (h *house) run(concurrency int) {
	h.b.Helper()
	log := zap.NewNop()
	client, err := queue.NewClient(h.redis, log)
	if err != nil {
		h.b.Fatal(err)
	}
	admitter := dispatch.NewAdmitter(h.store, leases{client}, 0, log)
	runner := pass.NewRunner(pass.Config{
		Store: h.store, Vault: open{}, Open: func(pass.Account) mailbox.Opener { return nil },
		Engine: pass.Engine{
			Run: func(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error) {
				h.engine(ctx, job.Include[0])
				return mailsync.Outcome{Tally: migration.Tally{Seen: 1, Unchanged: 1}}, nil
			},
		},
		WorkerID: "here", Slice: time.Hour, Draining: make(chan struct{}), Metrics: telemetry.NewMetrics(telemetry.ReadBuild()), Log: log,
		Ended: func() {
			h.ended.Add(1)
			admitter.Kick()
		},
	})
	server, err := queue.NewServer(h.redis, concurrency, func(ctx context.Context, t queue.Task) { runner.Handle(ctx, t.UserID, t.Token) }, log)
	if err != nil {
		h.b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error {
		return dispatch.New(dispatch.Config{Store: h.store, Queue: leases{client}, Log: log}).Run(ctx)
	})
	g.Go(func() error { return admitter.Run(ctx) })
	g.Go(func() error { return runner.KeepAlive(ctx) })
	g.Go(func() error { return server.Run(ctx) })
	h.stop = func() {
		cancel()
		if err := g.Wait(); err != nil {
			h.b.Error(err)
		}
		_ = client.Close()
		h.stop = nil
	}
}

// leases is the queue as package dispatch sees it.
type leases struct{ *queue.Client }

func (q leases) Enqueue(ctx context.Context, l migration.Lease) error {
	return q.Client.Enqueue(ctx, queue.Task{UserID: l.UserID, Token: l.Token, Kind: l.Kind})
}

func (q leases) Missing(ctx context.Context, in []migration.Lease) (out []migration.Lease, err error) {
	for _, l := range in {
		lost, err := q.Client.Missing(ctx, []queue.Task{{UserID: l.UserID, Token: l.Token, Kind: l.Kind}})
		if err != nil {
			return nil, err
		}
		if len(lost) > 0 {
			out = append(out, l)
		}
	}
	return out, nil
}

// open is a vault whose secrets are empty: nobody logs in with them.
type open struct{}

func (open) OfUser(*migration.User, []byte) (migration.Secret, error) {
	return migration.NewSecret("x"), nil
}

func (open) OfAdmin(*migration.Endpoint) (migration.Secret, error) {
	return migration.NewSecret("x"), nil
}

var processed = regexp.MustCompile(`total_commands_processed:(\d+)`)

// redisCommands is how many commands the Redis has carried out.
func (h *house) redisCommands() int {
	h.b.Helper()
	u, err := url.Parse(h.redis)
	if err != nil {
		h.b.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		h.b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := fmt.Fprint(c, "INFO stats\r\n"); err != nil {
		h.b.Fatal(err)
	}
	buf := make([]byte, 8192)
	for n := 0; ; {
		more, err := c.Read(buf[n:])
		if err != nil {
			h.b.Fatal(err)
		}
		n += more
		if m := processed.FindSubmatch(buf[:n]); m != nil {
			count, _ := strconv.Atoi(string(m[1]))
			return count
		}
	}
}

func await(b *testing.B, what string, patience time.Duration, met func() bool) {
	b.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !met(); <-tick.C {
		if time.Now().After(deadline) {
			b.Fatalf("not within %s: %s", patience, what)
		}
	}
}
