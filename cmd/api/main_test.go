package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/vault"
)

// TestEndBeforeTheStart: a process that is told to end while it starts has done
// nothing wrong; one that cannot start has.
func TestEndBeforeTheStart(t *testing.T) {
	t.Setenv("MAILHAUL_REDIS_URL", "redis://127.0.0.1:1/0")
	t.Setenv("MAILHAUL_MASTER_KEY", vault.GenerateKey())
	t.Setenv("MAILHAUL_LISTEN", "127.0.0.1:0")
	t.Setenv("MAILHAUL_DATABASE_URL", "sqlite://"+filepath.Join(t.TempDir(), "m.db"))
	ended, end := context.WithCancelCause(t.Context())
	end(errors.New("terminated"))
	if code := run(ended, nil); code != 0 {
		t.Errorf("told to end: exit code %d", code)
	}
	t.Setenv("MAILHAUL_DATABASE_URL", "sqlite:///there/is/no/such/directory/m.db")
	if code := run(t.Context(), nil); code != 1 {
		t.Errorf("without a database: exit code %d", code)
	}
}
