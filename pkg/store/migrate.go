package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// migrate applies the migrations that the database lacks. A database that a newer
// version has migrated is refused: what it holds could be misread.
func (s *Store) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, s.dialect.migrations)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	p, err := goose.NewProvider(s.dialect.goose, s.w, dir,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	// Several processes may open a new database at once. Each migration is one
	// transaction, so the one that comes second fails as a whole and finds it applied
	// when it looks again.
	const tries = 5
	for try := 1; ; try++ {
		_, err = p.Up(ctx)
		if err == nil {
			break
		}
		if try == tries {
			return fmt.Errorf("migrate database: %w", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Duration(try) * 100 * time.Millisecond):
		}
	}
	current, latest, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if current > latest {
		return fmt.Errorf("the database has schema version %d, this program knows %d: use the version of Mailhaul that migrated it", current, latest)
	}
	return nil
}
