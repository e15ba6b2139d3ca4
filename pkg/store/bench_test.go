package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// onBoth runs a benchmark on each kind of database. PostgreSQL's does not wait for its
// disk here; SQLite's never does at a commit.
func onBoth(b *testing.B, run func(b *testing.B, place func() (url string))) {
	b.Run("sqlite", func(b *testing.B) {
		run(b, func() string { return "sqlite://" + filepath.Join(b.TempDir(), "x.db") })
	})
	b.Run("postgres", func(b *testing.B) {
		server := servers.Postgres(b)
		run(b, func() string { return urlOf(server, newDatabase(b, server, "template1")) })
	})
}

func benchWorld(b *testing.B, url string) (*Store, *migration.Batch) {
	b.Helper()
	s, err := Open(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	org, err := s.OrgByName(b.Context(), migration.DefaultOrg)
	if err != nil {
		b.Fatal(err)
	}
	batch := &migration.Batch{OrgID: org.ID, Name: "big", StartedAt: noon, BatchSpec: migration.BatchSpec{SourceEndpoint: "s", TargetEndpoint: "t"}}
	for _, name := range []string{"s", "t"} {
		e := migration.Endpoint{OrgID: org.ID, Name: name, EndpointSpec: migration.EndpointSpec{
			Host: name, Port: 993, MaxConcurrentMigrations: 1 << 20, MaxConcurrentIncrementalSyncs: 1 << 20,
		}}
		if err := s.CreateEndpoint(b.Context(), &e); err != nil {
			b.Fatal(err)
		}
	}
	return s, batch
}

func rows(n int, due time.Time) iter.Seq2[migration.User, error] {
	return func(yield func(migration.User, error) bool) {
		for i := range n {
			u := migration.User{EmailAddress: fmt.Sprintf("user%06d@example.org", i), UserName: fmt.Sprintf("user%06d", i), SourceSecret: make([]byte, 120)}
			u.Status, u.NextRunAt = migration.UserCreated, due
			if !yield(u, nil) {
				return
			}
		}
	}
}

// BenchmarkImport is a batch of 50,000 users, the largest that a file may bring.
func BenchmarkImport(b *testing.B) { onBoth(b, benchImport) }

func benchImport(b *testing.B, place func() string) {
	for b.Loop() {
		s, batch := benchWorld(b, place())
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		if _, err := s.CreateBatch(b.Context(), batch, rows(50_000, time.Time{})); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s/import")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1e6, "MB-kept")
		b.ReportMetric(float64(after.HeapSys)/1e6, "MB-heap")
		for _, step := range []struct {
			unit string
			do   func() error
		}{
			{"s/summary", func() error { _, err := s.Summary(b.Context(), batch.ID); return err }},
			{"s/count", func() error { _, err := s.UsersByStatus(b.Context()); return err }},
			{"s/start", func() error { _, err := s.StartUsers(b.Context(), batch.ID, noon); return err }},
			{"s/stop", func() error { _, err := s.StopUsers(b.Context(), batch.ID); return err }},
			{"s/remove", func() error { _, err := s.RemoveUsers(b.Context(), batch.ID); return err }},
			{"s/purge", func() error { _, err := s.PurgeRemoved(b.Context()); return err }},
		} {
			start := time.Now()
			if err := step.do(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(start).Seconds(), step.unit)
		}
	}
}

// BenchmarkImportOpposite is a file of 50,000 users between the endpoints of as many who
// are moved the other way, all others.
func BenchmarkImportOpposite(b *testing.B) { onBoth(b, benchImportOpposite) }

func benchImportOpposite(b *testing.B, place func() string) {
	for b.Loop() {
		s, batch := benchWorld(b, place())
		back := *batch
		back.Name, back.SourceEndpoint, back.TargetEndpoint = "back", batch.TargetEndpoint, batch.SourceEndpoint
		for _, x := range []struct {
			unit  string
			batch *migration.Batch
		}{{"s/alone", batch}, {"s/opposite", &back}} {
			start, asked := time.Now(), time.Duration(0)
			_, err := s.CreateBatch(b.Context(), x.batch, func(yield func(migration.User, error) bool) {
				var part []migration.User
				for u, err := range rows(50_000, time.Time{}) {
					u.EmailAddress = x.batch.Name + u.EmailAddress
					u.UserName = x.batch.Name + u.UserName
					if part = append(part, u); !yield(u, err) {
						return
					}
				}
				asking := time.Now()
				if _, err := s.OppositeMailboxes(b.Context(), x.batch, part); err != nil {
					b.Error(err)
				}
				asked = time.Since(asking)
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric((time.Since(start) - asked).Seconds(), x.unit)
			b.ReportMetric(asked.Seconds(), x.unit+"-check")
		}
	}
}

// BenchmarkReverse is a batch of 5,000 users with the records of 8 folders each, moved back:
// a tenth of the largest; and how long another process waits for its turn to write at the
// longest meanwhile.
func BenchmarkReverse(b *testing.B) { onBoth(b, benchReverse) }

func benchReverse(b *testing.B, place func() string) {
	const users = 5_000
	for b.Loop() {
		url := place()
		s, batch := benchSynced(b, url, users)
		back := *batch
		back.Name, back.Stopped, back.StartedAt = "back", false, time.Time{}
		back.SourceEndpointID, back.TargetEndpointID = batch.TargetEndpointID, batch.SourceEndpointID
		turn := func(u migration.User) (migration.User, bool) {
			return migration.User{EmailAddress: u.EmailAddress, UserName: u.UserName, UserState: migration.UserState{Status: migration.UserCreated}}, true
		}
		longest := longestWait(b, url)
		start := time.Now()
		n, err := s.ReverseBatch(b.Context(), &back, batch.ID, turn, func(in []migration.FolderRecord) ([]migration.FolderRecord, error) { return in, nil })
		if err != nil || n != users {
			b.Fatalf("%d users, %v", n, err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s/reverse")
		b.ReportMetric(longest().Seconds(), "s/longest-wait")
	}
}

// benchSynced is a batch of users with the records of 8 folders each.
func benchSynced(b *testing.B, url string, users int) (*Store, *migration.Batch) {
	b.Helper()
	s, batch := benchWorld(b, url)
	if _, err := s.CreateBatch(b.Context(), batch, rows(users, time.Time{})); err != nil {
		b.Fatal(err)
	}
	batch.Stopped = true
	if err := s.UpdateBatch(b.Context(), batch); err != nil {
		b.Fatal(err)
	}
	for _, fill := range []string{
		`UPDATE users SET first_synced_at = 1, status = 'Stopped'`,
		`WITH RECURSIVE f(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM f WHERE n < 8)
			INSERT INTO records (org_id, user_id, folder, head) SELECT u.org_id, u.id, 'Folder ' || f.n, $1 FROM users u, f`,
		`INSERT INTO journal (record_id, seq, org_id, data) SELECT id, 1, org_id, $1 FROM records`,
	} {
		var args []any
		if strings.Contains(fill, "$1") {
			args = []any{make([]byte, 400)}
		}
		if _, err := s.w.ExecContext(b.Context(), fill, args...); err != nil {
			b.Fatal(err)
		}
	}
	return s, batch
}

// BenchmarkRemove is a batch as that of BenchmarkReverse, removed; and how long another
// process waits for its turn to write at the longest meanwhile.
func BenchmarkRemove(b *testing.B) { onBoth(b, benchRemove) }

func benchRemove(b *testing.B, place func() string) {
	for b.Loop() {
		url := place()
		s, batch := benchSynced(b, url, 5_000)
		batch.Removing = true
		if err := s.UpdateBatch(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		for _, step := range []struct {
			unit string
			do   func() error
		}{
			{"remove", func() error { _, err := s.RemoveUsers(b.Context(), batch.ID); return err }},
			{"purge", func() error { _, err := s.PurgeRemoved(b.Context()); return err }},
		} {
			longest := longestWait(b, url)
			start := time.Now()
			if err := step.do(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(start).Seconds(), "s/"+step.unit)
			b.ReportMetric(longest().Seconds(), "s/longest-wait-"+step.unit)
		}
	}
}

// longestWait writes again and again as another process, until it is asked how long that
// took at the longest.
func longestWait(b *testing.B, url string) func() time.Duration {
	s, err := Open(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	longest := make(chan time.Duration, 1)
	go func() {
		var most time.Duration
		for ctx.Err() == nil {
			asked := time.Now()
			err := s.write(b.Context(), "wait for a turn", func(tx *sql.Tx) error {
				_, err := tx.ExecContext(b.Context(), `UPDATE orgs SET served = served`)
				return err
			})
			if err != nil {
				b.Error(err)
			}
			most = max(most, time.Since(asked))
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
		longest <- most
	}()
	return func() time.Duration {
		stop()
		defer func() { _ = s.Close() }()
		return <-longest
	}
}

// BenchmarkAdmit is one user at a time, of 50,000 that are due: admit, claim, finish.
func BenchmarkAdmit(b *testing.B) { onBoth(b, benchAdmit) }

func benchAdmit(b *testing.B, place func() string) {
	s, batch := benchWorld(b, place())
	if _, err := s.CreateBatch(b.Context(), batch, rows(50_000, noon)); err != nil {
		b.Fatal(err)
	}
	var admit time.Duration
	n := 0
	for b.Loop() {
		start := time.Now()
		leases, err := s.Admit(b.Context(), noon, 1)
		admit += time.Since(start)
		n++
		if err != nil || len(leases) != 1 {
			b.Fatal(leases, err)
		}
		l, err := s.Claim(b.Context(), leases[0].Token, "w")
		if err != nil {
			b.Fatal(err)
		}
		next := migration.UserState{Status: migration.UserSynced, FirstSyncedAt: noon, NextRunAt: noon.Add(time.Hour)}
		if err := s.Finish(b.Context(), l.Token, next, migration.Totals{}, migration.Tally{}, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(admit.Microseconds())/float64(n), "µs/admit")
}

// BenchmarkTick is an admission that finds nobody due, among 1,000 batches.
func BenchmarkTick(b *testing.B) { onBoth(b, benchTick) }

func benchTick(b *testing.B, place func() string) {
	s, batch := benchWorld(b, place())
	for i := range 1000 {
		one := *batch
		one.Name = fmt.Sprint("b", i)
		users := func(yield func(migration.User, error) bool) {
			for u, err := range rows(20, noon.Add(time.Hour)) {
				u.EmailAddress = fmt.Sprint(i, u.EmailAddress)
				if !yield(u, err) {
					return
				}
			}
		}
		if _, err := s.CreateBatch(b.Context(), &one, users); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if leases, err := s.Admit(b.Context(), noon, 100); err != nil || len(leases) != 0 {
			b.Fatal(leases, err)
		}
	}
}

// BenchmarkCommit is a window of a folder whose journal grows and grows.
func BenchmarkCommit(b *testing.B) { onBoth(b, benchCommit) }

func benchCommit(b *testing.B, place func() string) {
	s, batch := benchWorld(b, place())
	if _, err := s.CreateBatch(b.Context(), batch, rows(1, noon)); err != nil {
		b.Fatal(err)
	}
	leases, err := s.Admit(b.Context(), noon, 1)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Claim(b.Context(), leases[0].Token, "w"); err != nil {
		b.Fatal(err)
	}
	w := migration.Window{Folder: "INBOX", Append: make([]byte, 200)}
	if err := s.Commit(b.Context(), leases[0].Token, migration.Window{Folder: "INBOX", Head: make([]byte, 50_000)}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		w.Tally.Copied += 100
		if err := s.Commit(b.Context(), leases[0].Token, w); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPasses is eight at once, in two processes, each with passes of one window:
// admit, claim, commit, finish.
func BenchmarkPasses(b *testing.B) { onBoth(b, benchPasses) }

func benchPasses(b *testing.B, place func() string) {
	url := place()
	s, batch := benchWorld(b, url)
	second, err := Open(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if _, err := s.CreateBatch(b.Context(), batch, rows(5_000, noon)); err != nil {
		b.Fatal(err)
	}
	var begun atomic.Int64
	b.ResetTimer()
	var g errgroup.Group
	for i, s := range []*Store{s, second, s, second, s, second, s, second} {
		g.Go(func() error {
			for begun.Load() < int64(b.N) {
				leases, err := s.Admit(b.Context(), noon, 4)
				if err != nil {
					return err
				}
				for _, l := range leases {
					begun.Add(1)
					if err := onePass(b.Context(), s, l, fmt.Sprint("w", i)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(begun.Load())/b.Elapsed().Seconds(), "passes/s")
}

func onePass(ctx context.Context, s *Store, l migration.Lease, worker string) error {
	if _, err := s.Claim(ctx, l.Token, worker); err != nil {
		return err
	}
	w := migration.Window{Folder: "INBOX", Head: []byte("head"), Append: make([]byte, 200), Tally: migration.Tally{Copied: 100, Bytes: 1e6}}
	if err := s.Commit(ctx, l.Token, w); err != nil {
		return err
	}
	next := migration.UserState{Status: migration.UserSynced, FirstSyncedAt: noon, NextRunAt: noon}
	return s.Finish(ctx, l.Token, next, migration.Totals{Copied: 100, Bytes: 1e6}, w.Tally, nil, []migration.Event{{Kind: "user.synced", At: noon}})
}
