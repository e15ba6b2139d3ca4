package migration

import "time"

// Kinds of events that people and programs outside are told of.
const (
	EventBatchSynced          = "batch.synced"    // its first sync has ended, for every user
	EventBatchCompleted       = "batch.completed" // its last
	EventUserFailed           = "user.failed"
	EventUserNeedsCredentials = "user.needsCredentials"
)

// Told reports what becomes of an event of a kind: mail, and a call of webhooks.
func Told(kind string) (mail, webhooks bool) {
	switch kind {
	case EventBatchSynced, EventBatchCompleted:
		return true, true
	case EventUserFailed, EventUserNeedsCredentials:
		return false, true
	}
	return false, false
}

// WebhookSecretPrefix begins the secrets of webhooks, in front of the key in base64
// (Standard Webhooks 1.0.0).
const WebhookSecretPrefix = "whsec_"

// Webhook is an address that is called with an organisation's events.
type Webhook struct {
	ID        int64
	OrgID     int64
	URL       string
	Secret    []byte // sealed
	CreatedAt time.Time
	Last      *Delivery // the latest that was tried, nil where none was
}

// Delivery is one event on its way to one address.
type Delivery struct {
	ID        int64
	OrgID     int64
	BatchID   int64
	EventID   int64
	WebhookID int64  // 0: mail
	Address   string // of mail
	Kind      string // of the event
	Body      string // JSON: see Notice
	CreatedAt time.Time
	DueAt     time.Time // zero: delivered, or given up
	Attempts  int
	Delivered bool
	EndedAt   time.Time // of the latest attempt
	Answer    string    // what the other side said to it
}

// Notice is what is told of an event. Its JSON form is that of webhooks.
type Notice struct {
	Type      string     `json:"type"`
	Timestamp time.Time  `json:"timestamp"`
	Data      NoticeData `json:"data"`
}

// NoticeData is the event's own.
type NoticeData struct {
	Org          string         `json:"organisation"`
	Batch        string         `json:"batch"`
	Status       string         `json:"status"` // the batch's, or the user's
	EmailAddress string         `json:"emailAddress,omitempty"`
	Code         string         `json:"code,omitempty"`
	Reason       string         `json:"reason,omitempty"`
	Remedy       string         `json:"remedy,omitempty"`
	Users        map[string]int `json:"users,omitempty"` // of a batch, by status
	Copied       int64          `json:"copied"`
	Adopted      int64          `json:"adopted"`
	Skipped      int64          `json:"skipped"`
	Bytes        int64          `json:"bytes"`
}
