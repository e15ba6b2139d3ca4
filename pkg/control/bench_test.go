package control_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/store"
	"github.com/mailhaul/mailhaul/pkg/vault"
)

// BenchmarkAddUsersAgain is the largest file that may come, three times: as a new
// batch, with the same rows again, and as its error report comes back, without
// passwords.
func BenchmarkAddUsersAgain(b *testing.B) {
	for b.Loop() {
		ctx := b.Context()
		c, locked := benchControl(b)
		for _, name := range []string{"old", "new"} {
			if _, err := c.CreateEndpoint(ctx, owner, "default", name, migration.EndpointSpec{Host: name + ".example.com"}, migration.Secret{}, true); err != nil {
				b.Fatal(err)
			}
		}
		spec := migration.BatchSpec{SourceEndpoint: "old", TargetEndpoint: "new"}
		for _, step := range []struct {
			name string
			do   func() error
		}{
			{"create", func() error {
				_, _, err := c.CreateBatch(ctx, owner, "default", control.NewBatch{Name: "big", BatchSpec: spec, File: benchFile(true)})
				return err
			}},
			{"again", func() error { return unchanged(c.AddUsers(ctx, owner, "default", "big", benchFile(true))) }},
			{"blank", func() error { return unchanged(c.AddUsers(ctx, owner, "default", "big", benchFile(false))) }},
		} {
			start := time.Now()
			if err := step.do(); err != nil {
				b.Fatal(step.name, err)
			}
			b.ReportMetric(time.Since(start).Seconds(), "s/"+step.name)
			b.ReportMetric(locked.took.Seconds(), "s-locked/"+step.name)
		}
	}
}

const benchRows = 50_000

func benchFile(passwords bool) control.File {
	var csv bytes.Buffer
	csv.WriteString("EmailAddress,UserName,Password,TargetPassword\n")
	for i := range benchRows {
		password := ""
		if passwords {
			password = fmt.Sprintf("password-%d", i)
		}
		fmt.Fprintf(&csv, "user%06d@example.org,user%06d,%s,%s\n", i, i, password, password)
	}
	return control.File{CSV: csv.Bytes()}
}

func unchanged(res migration.AddResult, err error) error {
	if err == nil && res != (migration.AddResult{Unchanged: benchRows}) {
		err = fmt.Errorf("the rows are not unchanged: %+v", res)
	}
	return err
}

func benchControl(b *testing.B) (*control.Control, *timedStore) {
	b.Helper()
	s, err := store.Open(b.Context(), "sqlite://"+filepath.Join(b.TempDir(), "m.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	sealer, err := vault.Open(vault.GenerateKey())
	if err != nil {
		b.Fatal(err)
	}
	timed := &timedStore{Store: s}
	return control.New(control.Config{Store: timed, Vault: sealer}), timed
}

// timedStore measures how long an import holds the write lock.
type timedStore struct {
	*store.Store
	took time.Duration
}

func (s *timedStore) CreateBatch(ctx context.Context, b *migration.Batch, users iter.Seq2[migration.User, error]) (int, error) {
	defer s.measure(time.Now())
	return s.Store.CreateBatch(ctx, b, users)
}

func (s *timedStore) AddUsers(ctx context.Context, b *migration.Batch, users iter.Seq2[migration.User, error]) (migration.AddResult, error) {
	defer s.measure(time.Now())
	return s.Store.AddUsers(ctx, b, users)
}

func (s *timedStore) measure(start time.Time) { s.took = time.Since(start) }
