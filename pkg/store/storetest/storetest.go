// Package storetest makes databases for tests of what is above the store. Migrating one
// takes a good part of a second under the race detector, so it is done once a process,
// and each test gets a copy.
package storetest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/store"
)

var (
	once     sync.Once
	migrated []byte
)

// SQLite makes an empty database with the newest schema at path, and returns its URL.
func SQLite(tb testing.TB, path string) string {
	tb.Helper()
	once.Do(func() {
		first := filepath.Join(tb.TempDir(), "migrated.db")
		s, err := store.Open(tb.Context(), "sqlite://"+first)
		if err != nil {
			tb.Fatal(err)
		}
		if err := s.Close(); err != nil {
			tb.Fatal(err)
		}
		if migrated, err = os.ReadFile(first); err != nil {
			tb.Fatal(err)
		}
	})
	if err := os.WriteFile(path, migrated, 0o600); err != nil {
		tb.Fatal(err)
	}
	return "sqlite://" + path
}
