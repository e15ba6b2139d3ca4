package store

import (
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func benchWorld(b *testing.B) (*Store, *migration.Batch) {
	b.Helper()
	s, err := Open(b.Context(), "sqlite://"+filepath.Join(b.TempDir(), "x.db"))
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
func BenchmarkImport(b *testing.B) {
	for b.Loop() {
		s, batch := benchWorld(b)
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

// BenchmarkAdmit is one user at a time, of 50,000 that are due: admit, claim, finish.
func BenchmarkAdmit(b *testing.B) {
	s, batch := benchWorld(b)
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
func BenchmarkTick(b *testing.B) {
	s, batch := benchWorld(b)
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
func BenchmarkCommit(b *testing.B) {
	s, batch := benchWorld(b)
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
