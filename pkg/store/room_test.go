package store

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestAFullDatabaseIsToldFromOtherErrors(t *testing.T) {
	s, err := Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "m.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.w.ExecContext(t.Context(), `PRAGMA max_page_count = 1`); err != nil { // no page more than there are
		t.Fatal(err)
	}
	long := migration.EndpointSpec{Host: "x.example.com", TestMailbox: strings.Repeat("a", 1<<20)}
	err = s.CreateEndpoint(t.Context(), &migration.Endpoint{OrgID: 1, Name: "old", EndpointSpec: long})
	if !errors.Is(err, ErrNoRoom) {
		t.Errorf("SQLite without room: %v", err)
	}
	for code, want := range map[string]bool{"53100": true, "53200": false} {
		if got := errors.Is(failed("write", &pgconn.PgError{Code: code}), ErrNoRoom); got != want {
			t.Errorf("PostgreSQL's %s: full %v, want %v", code, got, want)
		}
	}
}
