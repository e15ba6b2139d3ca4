package migration

import "time"

// Receipt is what a verify found: source against target, message by message.
type Receipt struct {
	At       time.Time `json:"at"`
	Folders  int64     `json:"folders"`
	Messages int64     `json:"messages"` // at the source
	Bytes    int64     `json:"bytes"`    // of those

	Missing         int64 `json:"missing"`
	Skipped         int64 `json:"skipped"`         // left behind by the passes, which told of them
	RemovedAtTarget int64 `json:"removedAtTarget"` // delivered; the user has removed it since
	MovedAtTarget   int64 `json:"movedAtTarget"`   // delivered; the user has moved it since
	Extra           int64 `json:"extra"`           // at the target alone
	Altered         int64 `json:"altered"`         // other content
	Normalised      int64 `json:"normalised"`      // changed by the target itself, as it does to any message
	WrongDate       int64 `json:"wrongDate"`
	WrongFlags      int64 `json:"wrongFlags"`
	FoldersMissing  int64 `json:"foldersMissing"`

	// Digest is the hex SHA-256 over lines PATH TAB hex-sha256(message) LF of the
	// source, sorted bytewise; skipped messages are left out.
	Digest string `json:"digest"`
	// Differences name what is counted above, at most MaxDifferences of them.
	Differences []Difference `json:"differences,omitempty"`
}

// MaxDifferences bounds the list of a Receipt; the counts go on.
const MaxDifferences = 10_000

// Difference is one message or folder that is not at the target as at the source.
type Difference struct {
	Kind      string `json:"kind"` // the Receipt's field, such as "missing"
	Folder    string `json:"folder"`
	SourceUID uint32 `json:"sourceUid,omitempty"`
	TargetUID uint32 `json:"targetUid,omitempty"`
	MessageID string `json:"messageId,omitempty"`
	Detail    string `json:"detail,omitempty"`
}

// Same reports whether nothing is lost or wrong: what a verify passes on.
func (r Receipt) Same() bool {
	return r.Missing == 0 && r.Altered == 0 && r.WrongDate == 0 && r.FoldersMissing == 0
}
