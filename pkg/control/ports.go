package control

import (
	"context"
	"iter"
	"time"

	"github.com/mailhaul/mailhaul/pkg/discover"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Store is where everything is kept. A thing that is not there is a Fault{NotFound},
// one that is there already or is in use a Fault{Conflict}.
type Store interface {
	Orgs
	Endpoints
	Batches
	Users
	Reports
	Webhooks
	Fleet
}

// Orgs keeps organisations, tokens and the log of events.
type Orgs interface {
	CreateOrg(ctx context.Context, name string) (migration.Org, error)
	OrgByName(ctx context.Context, name string) (migration.Org, error)
	ListOrgs(ctx context.Context) ([]migration.Org, error)
	DeleteOrg(ctx context.Context, id int64) error
	// Usage answers what an organisation has moved, day by day in their order.
	Usage(ctx context.Context, orgID int64) ([]migration.DayUsage, error)

	CreateToken(ctx context.Context, t migration.Token) error
	ListTokens(ctx context.Context, orgID int64) ([]migration.Token, error)
	RevokeToken(ctx context.Context, orgID int64, id string, now time.Time) error
	CountTokens(ctx context.Context) (int, error)

	AddEvent(ctx context.Context, e migration.Event) error
	EventsAfter(ctx context.Context, orgID, batchID, afterID int64, limit int) ([]migration.Event, error)
	Audit(ctx context.Context, orgID, beforeID int64, limit int) ([]migration.Event, error)

	// RewrapSecrets passes the sealed secrets of limit records through rewrap, and
	// answers where to go on and how many records there were; 0 at the end.
	RewrapSecrets(ctx context.Context, afterID int64, limit int, rewrap func([]byte) ([]byte, error)) (int64, int, error)
}

// Endpoints keeps endpoints. CreateEndpoint fills in ID and CreatedAt.
type Endpoints interface {
	CreateEndpoint(ctx context.Context, e *migration.Endpoint) error
	// ChangeEndpoint lets change alter the endpoint as it is and writes it, or nothing
	// where change refuses. change must not use the store, and may be called again.
	ChangeEndpoint(ctx context.Context, orgID, id int64, change func(*migration.Endpoint) error) (migration.Endpoint, error)
	EndpointByName(ctx context.Context, orgID int64, name string) (migration.Endpoint, error)
	EndpointByID(ctx context.Context, id int64) (migration.Endpoint, error)
	ListEndpoints(ctx context.Context, orgID int64) ([]migration.Endpoint, error)
	DeleteEndpoint(ctx context.Context, orgID int64, name string) error

	// Scope answers the mailboxes that may move by an endpoint's scope; nil: all.
	Scope(ctx context.Context, endpointID int64) ([]string, error)
	// ChangeScope is to scopes what ChangeEndpoint is to endpoints.
	ChangeScope(ctx context.Context, orgID, id int64, change func([]string) ([]string, error)) (migration.Endpoint, error)
	// InScope answers which of the names are in an endpoint's list.
	InScope(ctx context.Context, endpointID int64, names []string) (map[string]bool, error)
}

// Batches keeps batches and changes their users together.
type Batches interface {
	// CreateBatch stores the batch and its users, or nothing: an error of the sequence
	// undoes all. A mailbox that is in another live batch fails it.
	CreateBatch(ctx context.Context, b *migration.Batch, users iter.Seq2[migration.User, error]) (int, error)
	// ReverseBatch stores a batch with the users that turn makes of another's, and their
	// records turned round by records, or nothing; a Conflict while a pass of that batch is
	// under way. It takes a while: nobody sees the batch before it is whole.
	ReverseBatch(ctx context.Context, b *migration.Batch, of int64, turn func(migration.User) (migration.User, bool),
		records func([]migration.FolderRecord) ([]migration.FolderRecord, error)) (int, error)
	// MovedBack answers a user of the batch (the one of email, where that is not empty) whose
	// mailbox another live batch, not stopped, moves the other way, and that batch: who is
	// "" where there is none, by where it is another organisation's. A Conflict while one
	// is being made of this batch by ReverseBatch.
	MovedBack(ctx context.Context, b *migration.Batch, email string) (who, by string, err error)
	AddUsers(ctx context.Context, b *migration.Batch, users iter.Seq2[migration.User, error]) (migration.AddResult, error)
	// TryUsers answers what AddUsers would, and keeps nothing.
	TryUsers(ctx context.Context, b *migration.Batch, users iter.Seq2[migration.User, error]) (migration.AddResult, error)
	// LiveMailboxes answers, by address, whose target mailbox is in another live batch,
	// and its name: "" where it is another organisation's.
	LiveMailboxes(ctx context.Context, b *migration.Batch, users []migration.User) (map[string]string, error)
	// OppositeMailboxes answers likewise which of the users such a batch moves the other way.
	OppositeMailboxes(ctx context.Context, b *migration.Batch, users []migration.User) (map[string]string, error)
	BatchByName(ctx context.Context, orgID int64, name string) (migration.Batch, error)
	ListBatches(ctx context.Context, orgID int64, after string, limit int) ([]migration.Batch, error)
	// ScheduledBatches answers the batches of all organisations whose time to start or
	// to complete has come.
	ScheduledBatches(ctx context.Context, now time.Time) ([]migration.Batch, error)
	// ChangeBatch is to batches what ChangeEndpoint is to endpoints.
	ChangeBatch(ctx context.Context, orgID, id int64, change func(*migration.Batch) error) (migration.Batch, error)
	Summary(ctx context.Context, batchID int64) (migration.Summary, error)

	StartUsers(ctx context.Context, batchID int64, now time.Time) (int, error)
	StopUsers(ctx context.Context, batchID int64) (int, error)
	SyncUsersNow(ctx context.Context, batchID int64, now time.Time) (int, error)
	CompleteUsers(ctx context.Context, batchID int64, now time.Time) (int, error)
	VerifyUsers(ctx context.Context, batchID int64, now time.Time) (int, error)
	// PreflightUsers asks for a preflight of all users that rest.
	PreflightUsers(ctx context.Context, batchID int64, now time.Time) (int, error)
	RemoveUsers(ctx context.Context, batchID int64) (int, error)
	// PurgeRemoved deletes what was removed and no pass holds any more.
	PurgeRemoved(ctx context.Context) (int, error)
}

// Users keeps users. ChangeUser reads, changes and writes in one transaction.
type Users interface {
	UserByEmail(ctx context.Context, batchID int64, email string) (migration.User, error)
	// UsersByEmail answers those of the addresses that are users of the batch.
	UsersByEmail(ctx context.Context, batchID int64, emails []string) ([]migration.User, error)
	UserByID(ctx context.Context, id int64) (migration.User, error)
	ListUsers(ctx context.Context, batchID int64, f migration.UserFilter, after string, limit int) ([]migration.User, error)
	ChangeUser(ctx context.Context, id int64, change func(*migration.User) error) (migration.User, error)
	StopUser(ctx context.Context, id int64) (migration.User, error)
	RemoveUser(ctx context.Context, id int64) error
	ResetUser(ctx context.Context, id int64) error
	LeaseOfUser(ctx context.Context, userID int64) (migration.Lease, bool, error)
}

// Reports keeps what is told of messages and of removed batches.
type Reports interface {
	ListItems(ctx context.Context, batchID int64, code migration.Code, afterID int64, limit int) ([]migration.UserItem, error)
	ListReceipts(ctx context.Context, batchID int64, after string, limit int) ([]migration.UserReceipt, error)
	// PreflightGroups sums up what preflights of a batch found, and tells how many users
	// still wait for theirs or have it run; ListPreflights lists them, the gravest first.
	PreflightGroups(ctx context.Context, batchID int64) (groups []migration.PreflightGroup, left int, err error)
	ListPreflights(ctx context.Context, batchID int64, level migration.Level, after string, limit int) ([]migration.UserPreflight, error)
	// Pilots tells how the first syncs of the latest batches between two endpoints went.
	Pilots(ctx context.Context, orgID, sourceID, targetID int64) ([]migration.Pilot, error)
	KeepReport(ctx context.Context, orgID int64, batch string, body []byte, now time.Time) error
	KeptReport(ctx context.Context, orgID int64, batch string) ([]byte, error)
}

// Vault seals secrets; aad says whom they belong to.
type Vault interface {
	Seal(s migration.Secret, aad string) ([]byte, error)
	Open(sealed []byte, aad string) (migration.Secret, error)
	Rewrap(sealed []byte) ([]byte, error)
}

// Dispatcher decides who runs next. Kick asks it to look now instead of at its next
// tick; it never blocks.
type Dispatcher interface{ Kick() }

// Probe is one login to be tried at a mail server; without User the test ends before
// the login.
type Probe struct {
	Preset   string
	Host     string
	Port     int
	Security migration.Security
	migration.Trust
	User            string
	AuthorizationID string
	Password        migration.Secret
	Compress        bool
}

// Stage is one step of an endpoint's test.
type Stage struct {
	Name   string
	OK     bool
	Detail string
	Fault  *migration.Fault // of the stage that failed
	Took   time.Duration
}

// Tester connects to a mail server step by step and tells how far it came: all
// stages up to the first that failed.
type Tester interface {
	Test(ctx context.Context, p Probe) []Stage
}

// Discoverer asks, one question after the other, where an address's mailbox may be.
// It connects to no mail server.
type Discoverer interface {
	Steps(ctx context.Context, q discover.Question) iter.Seq[discover.Step]
}

// SecretOfEndpoint and SecretOfOrg name whom a sealed secret belongs to: an
// endpoint's administrator, and the users of an organisation (who may move from one
// batch to another).
func SecretOfEndpoint(orgID int64, name string) string {
	return "endpoint/" + formatID(orgID) + "/" + name
}

// SecretOfOrg is described at SecretOfEndpoint.
func SecretOfOrg(orgID int64) string { return "org/" + formatID(orgID) }
