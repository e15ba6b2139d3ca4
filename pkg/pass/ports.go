package pass

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/telemetry"
)

// Store is what a pass asks of the store. A stale token is migration.ErrLeaseLost.
type Store interface {
	// Claim takes a queued lease, exactly once, and sets the user's running status.
	Claim(ctx context.Context, token int64, workerID string) (migration.Lease, error)
	// Beat renews the worker's leases and returns those that are still its own.
	Beat(ctx context.Context, workerID string, tokens []int64) (alive []int64, err error)
	// Finish writes the user's state, frees the lease, and erases the secrets of a user
	// that is completed, all or nothing. It may have happened although an error came
	// back: then the token is stale.
	Finish(ctx context.Context, token int64, next migration.UserState, totals migration.Totals, last migration.Tally,
		items []migration.Item, events []migration.Event) error

	Records(ctx context.Context, token int64) ([]migration.FolderRecord, error)
	Commit(ctx context.Context, token int64, w migration.Window) error
	PutReceipt(ctx context.Context, userID int64, r migration.Receipt) error
	// PutPreflight keeps what a preflight found, in the place of what one found before.
	PutPreflight(ctx context.Context, token int64, p migration.Preflight) error

	UserByID(ctx context.Context, id int64) (migration.User, error)
	BatchByID(ctx context.Context, id int64) (migration.Batch, error)
	EndpointByID(ctx context.Context, id int64) (migration.Endpoint, error)
	// InScope answers which of the names are in an endpoint's list of mailboxes that may move.
	InScope(ctx context.Context, endpointID int64, names []string) (map[string]bool, error)
	SetPark(ctx context.Context, endpointID int64, p migration.Park) error
	AdminWorked(ctx context.Context, e *migration.Endpoint, when time.Time) error
	// Throttle lowers the working limit of an endpoint that asked for time, once a
	// burst, and returns the endpoint's name as organisation/endpoint.
	Throttle(ctx context.Context, endpointID int64, now time.Time) (name string, w migration.Working, halved bool, err error)
	// Orders tells what is asked by now of the passes that hold these leases.
	Orders(ctx context.Context, tokens []int64) (map[int64]migration.Order, error)
}

// Vault unseals what is needed to log in.
type Vault interface {
	// OfUser unseals one of the user's two secrets.
	OfUser(u *migration.User, sealed []byte) (migration.Secret, error)
	// OfAdmin unseals the endpoint administrator's secret.
	OfAdmin(e *migration.Endpoint) (migration.Secret, error)
}

// Account is one mailbox and how to open it.
type Account struct {
	EndpointID int64
	Preset     string // of the endpoint; "" for none
	Host       string
	Port       int
	Security   migration.Security
	migration.Trust
	migration.Login
	Password migration.Secret
	Side     migration.Side
	Root     string // only the folders below it; "" for all
	Compress bool
	// Namespaces are those of the endpoint beside the personal one.
	Namespaces []string
}

// Engine is package mailsync, or a test's stand-in.
type Engine struct {
	Run    func(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error)
	Verify func(ctx context.Context, job mailsync.VerifyJob) (migration.Receipt, error)
	// Preflight tells what it found beside an error too.
	Preflight func(ctx context.Context, job mailsync.PreflightJob) (migration.Preflight, error)
}

// Config is what a Runner works with.
type Config struct {
	Store  Store
	Vault  Vault
	Open   func(a Account) mailbox.Opener
	Engine Engine
	// AppendLimit is the largest message in bytes that a server of a preset is known to
	// take; 0: nothing is known.
	AppendLimit func(preset string) int64
	// LeaveOut are the folders of a source that are left out by default, Shown how many
	// messages of a folder one of the preset shows at most; nil: none, and all.
	LeaveOut func(e migration.EndpointSpec) []string
	Shown    func(preset string) int64
	// Rates may be nil: then there are no limits.
	Rates Rates
	// WorkerID names the process among all workers.
	WorkerID string
	// Settle is as in mailsync.Job.
	Settle time.Duration
	// Budget is what the passes hold in memory; nil: each its own.
	Budget *mailsync.Budget
	// Slice is the time after which a pass lets others go first.
	Slice time.Duration
	// Draining is closed when the process is to end; passes then end at their next
	// window.
	Draining <-chan struct{}
	// Ended is told of every pass that ended; it must not block.
	Ended   func()
	Metrics *telemetry.Metrics
	Log     *zap.Logger
}
