package migration

import "time"

// Batch is a set of users that are migrated together.
type Batch struct {
	ID    int64
	OrgID int64
	Name  string
	BatchSpec
	SourceEndpointID int64
	TargetEndpointID int64

	CreatedAt time.Time
	CreatedBy string
	StartedAt time.Time // zero: never started
	Stopped   bool      // an operator stopped it
	// Completing is set once an operator asked for completion, Removing once for
	// removal; neither is ever taken back.
	Completing bool
	Removing   bool
}

// What becomes of copies whose messages are deleted at the source.
const (
	Keep   = "keep"   // they stay
	Mirror = "mirror" // they are deleted, unless the source looks wrong
)

// BatchSpec is what an operator sets.
type BatchSpec struct {
	Type           string // "imap"
	SourceEndpoint string
	TargetEndpoint string
	AutoStart      bool
	StartAt        time.Time // zero: none
	CompleteAt     time.Time // zero: none
	ExcludeFolders []string
	IncludeFolders []string
	// MapFolders say where source folders go; the first that matches counts.
	MapFolders []FolderRule
	// MailSince and MailBefore limit what is carried to messages received in that time,
	// the one included, the other not; zero: any.
	MailSince  time.Time
	MailBefore time.Time
	// MaxMessageSize in bytes; larger messages are skipped. 0: the target's own limit.
	MaxMessageSize int64
	// BadItemLimit is how many messages of one user may be skipped; one more ends its
	// pass, and the user is Failed. nil: any number.
	BadItemLimit   *int64
	Deletions      string // Keep or Mirror
	ResyncInterval time.Duration
	Notify         []string
	// NewestFirst copies a folder's later messages before its earlier ones.
	NewestFirst bool
}

// BatchStatus is what is told of a batch as a whole.
type BatchStatus string

// The batch's statuses.
const (
	BatchCreated             BatchStatus = "Created"
	BatchSyncing             BatchStatus = "Syncing"
	BatchSynced              BatchStatus = "Synced"
	BatchSyncedWithErrors    BatchStatus = "SyncedWithErrors"
	BatchStopping            BatchStatus = "Stopping"
	BatchStopped             BatchStatus = "Stopped"
	BatchCompleting          BatchStatus = "Completing"
	BatchCompleted           BatchStatus = "Completed"
	BatchCompletedWithErrors BatchStatus = "CompletedWithErrors"
	BatchFailed              BatchStatus = "Failed"
	BatchRemoving            BatchStatus = "Removing"
)

// UserCounts is what a batch's status is derived from.
type UserCounts struct {
	ByStatus map[UserStatus]int
	// Running users have a pass that holds or awaits a lease.
	Running int
	// Synced users had a first sync, ever.
	Synced int
	// Unsynced users had none and may still get one: not Failed, NeedsCredentials,
	// Stopped or Completed.
	Unsynced int
}

// Total is the number of users.
func (c UserCounts) Total() int {
	n := 0
	for _, x := range c.ByStatus {
		n += x
	}
	return n
}

// Status derives the batch's status: the first that applies.
func (b *Batch) Status(c UserCounts) BatchStatus {
	n := c.ByStatus
	total := c.Total()
	done := n[UserCompleted] + n[UserCompletedWithWarnings] + n[UserFailed]
	switch {
	case b.Removing:
		return BatchRemoving
	case b.Completing && done < total:
		return BatchCompleting
	case b.Completing && n[UserFailed] > 0:
		return BatchCompletedWithErrors
	case b.Completing:
		return BatchCompleted
	case b.Stopped && c.Running > 0:
		return BatchStopping
	case b.Stopped:
		return BatchStopped
	case b.StartedAt.IsZero():
		return BatchCreated
	case c.Unsynced > 0:
		return BatchSyncing
	case c.Synced == 0 && total > 0:
		return BatchFailed
	case n[UserFailed]+n[UserNeedsCredentials] > 0:
		return BatchSyncedWithErrors
	default:
		return BatchSynced
	}
}
