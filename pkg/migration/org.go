package migration

import "time"

// Org is an organisation: nothing of one is ever visible to another.
type Org struct {
	ID        int64
	Name      string
	CreatedAt time.Time
}

// DefaultOrg exists from the start.
const DefaultOrg = "default"

// Role is what a token may do; each includes those after it.
type Role string

// The roles.
const (
	Owner    Role = "owner"    // the installation
	Admin    Role = "admin"    // endpoints, tokens, keys
	Operator Role = "operator" // batches, users
	Viewer   Role = "viewer"
)

var rank = map[Role]int{Owner: 4, Admin: 3, Operator: 2, Viewer: 1}

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return rank[r] > 0 }

// Includes reports whether r may do what need may.
func (r Role) Includes(need Role) bool { return rank[r] > 0 && rank[r] >= rank[need] }

// Token is a bearer token, known by the hash of its value.
type Token struct {
	ID        string
	OrgID     int64 // 0: any organisation (owner)
	Role      Role
	Hash      []byte
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero: not
	Email     string    // whose it is, "" for nobody's: reports of its batches go there
}

// Event is one line of the append-only log that live views, notifications and the
// audit are fed from.
type Event struct {
	ID      int64
	OrgID   int64
	BatchID int64  // 0: none
	UserID  int64  // 0: none
	Kind    string // such as "batch.created", "user.failed"
	Actor   string // token id, or "" for the service itself
	At      time.Time
	Data    map[string]any // never a secret
}

// Lease is the right to write into one target mailbox, and one slot at each of the
// two endpoints.
type Lease struct {
	// Token is unique for all time: every write of the pass carries it.
	Token  int64
	UserID int64
	Kind   PassKind
	// SourceEndpointID and TargetEndpointID are where it takes a slot; equal ones
	// count once.
	SourceEndpointID int64
	TargetEndpointID int64
	State            LeaseState
	WorkerID         string
	// Since is when the worker claimed it, by the worker's clock: to be shown.
	Since time.Time
	// Beat is raised by the holder every few seconds; an observer that saw it stand
	// still for long enough on its own clock takes the holder for dead.
	Beat int64
	// Unsettled is set where the holder before this one ended without a word: what it
	// had under way may still reach the target.
	Unsettled bool
}

// LeaseState is where a lease is in its life.
type LeaseState string

// The lease's states.
const (
	LeaseQueued  LeaseState = "queued"  // its task is in the queue
	LeaseRunning LeaseState = "running" // a worker has claimed it
)
