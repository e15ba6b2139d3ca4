package pass

import (
	"maps"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// tempo measures how long passes take.
type tempo struct {
	mu sync.Mutex
	of migration.Tempo
}

// add counts a pass by how it ended. What a fault cut off tells nothing of how long a
// pass takes.
func (t *tempo) add(kind migration.PassKind, took time.Duration, outcome string) {
	if outcome != "done" && outcome != "yielded" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = migration.Tempo{}
	}
	t.of.Add(kind, took, outcome == "done")
}

// Tempo is how long the latest passes took.
func (r *Runner) Tempo() migration.Tempo {
	r.tempo.mu.Lock()
	defer r.tempo.mu.Unlock()
	return maps.Clone(r.tempo.of)
}
