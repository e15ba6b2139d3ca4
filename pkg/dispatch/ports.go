package dispatch

import (
	"context"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Admissions is what admission asks of the store.
type Admissions interface {
	// Admit takes leases for at most room users that are due. Users it returns are
	// admitted, whatever becomes of their tasks.
	Admit(ctx context.Context, now time.Time, room int) ([]migration.Lease, error)
	// LiveLeases returns all leases, queued and running.
	LiveLeases(ctx context.Context) ([]migration.Lease, error)
}

// Store is what the dispatcher asks of the store.
type Store interface {
	Admissions
	UserByID(ctx context.Context, id int64) (migration.User, error)
	BatchByID(ctx context.Context, id int64) (migration.Batch, error)
	// WatchLeases is LiveLeases, and is held up by whatever holds up the holders' beats: a
	// counter that stands still from one look to the next could have moved.
	WatchLeases(ctx context.Context) ([]migration.Lease, error)
	// Progressed is whether the lease has committed a window.
	Progressed(ctx context.Context, token int64) (bool, error)
	// Release frees a lease whose holder is gone (dead: the next one of the mailbox is
	// unsettled) or whose task was lost, and writes the user's state. It is
	// migration.ErrLeaseLost where the lease is there no more.
	Release(ctx context.Context, token int64, dead bool, next migration.UserState) error
	// Workers returns all workers; WorkerGone and ForgetWorker note of one that its
	// counter has stood still since it was beat, and strike it off.
	Workers(ctx context.Context) ([]migration.Worker, error)
	WorkerGone(ctx context.Context, id string, beat int64) error
	ForgetWorker(ctx context.Context, id string, beat int64) error
	// PurgeRemoved deletes what was removed and no lease holds; it returns how much.
	PurgeRemoved(ctx context.Context) (int, error)
}

// Queue carries admitted leases to the workers.
type Queue interface {
	// Enqueue adds the lease's task. It may have happened although an error came back;
	// twice is once.
	Enqueue(ctx context.Context, l migration.Lease) error
	// Missing returns those of the leases whose tasks do not wait in the queue.
	Missing(ctx context.Context, leases []migration.Lease) ([]migration.Lease, error)
	// Capacity is how many passes all workers can run at once.
	Capacity(ctx context.Context) (int, error)
}
