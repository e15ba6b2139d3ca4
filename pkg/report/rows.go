package report

import (
	"strconv"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

var columns = map[Kind][]string{
	Statistics: {
		"EmailAddress", "UserName", "Status", "Code", "Reason", "Remedy",
		"Seen", "Unchanged", "Copied", "Adopted", "Skipped", "Failed", "Redelivered", "Surplus", "MovedAtSource", "FlagsUpdated",
		"Deleted", "KeptAtTarget",
		"BytesCopied", "BytesTotal", "FoldersDone", "FoldersTotal", "LastSyncedAt", "NextSyncAt", "Attempts",
	},
	Errors: {
		"EmailAddress", "UserName", "Password", "UserRoot", "TargetUserName", "TargetPassword", "TargetRoot",
		"Code", "Reason", "Remedy",
	},
	Items: {
		"EmailAddress", "Folder", "UID", "MessageID", "Date", "Size", "Code", "Reason", "Remedy",
	},
	Receipts: {
		"EmailAddress", "VerifiedAt", "Same", "Folders", "Messages", "Bytes",
		"Missing", "Skipped", "RemovedAtTarget", "MovedAtTarget", "Extra", "Altered", "Normalised", "WrongDate", "WrongFlags", "FoldersMissing",
		"Digest",
	},
}

// StatisticsRow is one user of the statistics.
type StatisticsRow struct {
	EmailAddress  string               `json:"emailAddress"`
	UserName      string               `json:"userName"`
	Status        migration.UserStatus `json:"status"`
	Code          migration.Code       `json:"code"`
	Reason        string               `json:"reason"`
	Remedy        string               `json:"remedy"`
	Seen          int64                `json:"seen"`
	Unchanged     int64                `json:"unchanged"`
	Copied        int64                `json:"copied"`
	Adopted       int64                `json:"adopted"`
	Skipped       int64                `json:"skipped"`
	Failed        int64                `json:"failed"`
	Redelivered   int64                `json:"redelivered"`
	Surplus       int64                `json:"surplus"`
	MovedAtSource int64                `json:"movedAtSource"`
	FlagsUpdated  int64                `json:"flagsUpdated"`
	Deleted       int64                `json:"deleted"`
	KeptAtTarget  int64                `json:"keptAtTarget"`
	BytesCopied   int64                `json:"bytesCopied"`
	BytesTotal    int64                `json:"bytesTotal"`
	FoldersDone   int64                `json:"foldersDone"`
	FoldersTotal  int64                `json:"foldersTotal"`
	LastSyncedAt  *time.Time           `json:"lastSyncedAt"`
	NextSyncAt    *time.Time           `json:"nextSyncAt"`
	Attempts      int                  `json:"attempts"`
}

// StatisticsOf returns u's row.
func StatisticsOf(u migration.User) StatisticsRow {
	m := u.Messages()
	return StatisticsRow{
		EmailAddress: u.EmailAddress, UserName: u.UserName,
		Status: u.Status, Code: u.Code, Reason: u.Reason, Remedy: u.Code.Remedy(),
		Seen: m.Seen, Unchanged: m.Unchanged, Copied: m.Copied, Adopted: m.Adopted, Skipped: m.Skipped, Failed: m.Failed,
		Redelivered: m.Redelivered, Surplus: m.Surplus, MovedAtSource: m.MovedAtSource, FlagsUpdated: m.FlagsUpdated,
		Deleted: m.Deleted, KeptAtTarget: m.KeptAtTarget,
		BytesCopied: m.Bytes, BytesTotal: m.BytesTotal, FoldersDone: m.FoldersDone, FoldersTotal: m.Folders,
		LastSyncedAt: optional(u.LastSyncedAt), NextSyncAt: optional(u.NextRunAt), Attempts: u.Attempts,
	}
}

func (r StatisticsRow) cells() []string {
	return []string{
		Cell(r.EmailAddress), Cell(r.UserName), string(r.Status), string(r.Code), Cell(r.Reason), Cell(r.Remedy),
		number(r.Seen), number(r.Unchanged), number(r.Copied), number(r.Adopted), number(r.Skipped), number(r.Failed),
		number(r.Redelivered), number(r.Surplus), number(r.MovedAtSource), number(r.FlagsUpdated),
		number(r.Deleted), number(r.KeptAtTarget),
		number(r.BytesCopied), number(r.BytesTotal), number(r.FoldersDone), number(r.FoldersTotal),
		date(r.LastSyncedAt), date(r.NextSyncAt), strconv.Itoa(r.Attempts),
	}
}

// ErrorRow is one user that needs attention, in the columns of the import.
type ErrorRow struct {
	EmailAddress   string               `json:"emailAddress"`
	UserName       string               `json:"userName"`
	UserRoot       string               `json:"userRoot"`
	TargetUserName string               `json:"targetUserName"`
	TargetRoot     string               `json:"targetRoot"`
	Status         migration.UserStatus `json:"status"`
	Code           migration.Code       `json:"code"`
	Reason         string               `json:"reason"`
	Remedy         string               `json:"remedy"`
}

// ErrorOf returns u's row of the error report, and whether u belongs there.
func ErrorOf(u migration.User) (ErrorRow, bool) {
	return ErrorRow{
		EmailAddress: u.EmailAddress, UserName: u.UserName, UserRoot: u.UserRoot,
		TargetUserName: u.TargetUserName, TargetRoot: u.TargetRoot,
		Status: u.Status, Code: u.Code, Reason: u.Reason, Remedy: u.Code.Remedy(),
	}, u.Code != ""
}

func (r ErrorRow) cells() []string {
	return []string{
		Cell(r.EmailAddress), Cell(r.UserName), "", Cell(r.UserRoot), Cell(r.TargetUserName), "", Cell(r.TargetRoot),
		string(r.Code), Cell(r.Reason), Cell(r.Remedy),
	}
}

// ItemRow is one message that was skipped or failed; UID 0 is a folder.
type ItemRow struct {
	EmailAddress string         `json:"emailAddress"`
	Folder       string         `json:"folder"`
	UID          uint32         `json:"uid"`
	MessageID    string         `json:"messageId"`
	Date         *time.Time     `json:"date"`
	Size         int64          `json:"size"`
	Code         migration.Code `json:"code"`
	Reason       string         `json:"reason"`
	Remedy       string         `json:"remedy"`
}

// ItemOf returns the row of i.
func ItemOf(i migration.UserItem) ItemRow {
	return ItemRow{
		EmailAddress: i.EmailAddress, Folder: i.Folder, UID: i.UID, MessageID: i.MessageID, Date: optional(i.Date), Size: i.Size,
		Code: i.Code, Reason: i.Reason, Remedy: i.Code.Remedy(),
	}
}

func (r ItemRow) cells() []string {
	return []string{
		Cell(r.EmailAddress), Cell(r.Folder), number(int64(r.UID)), Cell(r.MessageID), date(r.Date), number(r.Size),
		string(r.Code), Cell(r.Reason), Cell(r.Remedy),
	}
}

// ReceiptRow is what the latest verify of one user found.
type ReceiptRow struct {
	EmailAddress string `json:"emailAddress"`
	Same         bool   `json:"same"`
	migration.Receipt
}

// ReceiptOf returns the row of r.
func ReceiptOf(r migration.UserReceipt) ReceiptRow {
	return ReceiptRow{EmailAddress: r.EmailAddress, Same: r.Same(), Receipt: r.Receipt}
}

func (r ReceiptRow) cells() []string {
	return []string{
		Cell(r.EmailAddress), date(optional(r.At)), strconv.FormatBool(r.Same),
		number(r.Folders), number(r.Messages), number(r.Bytes),
		number(r.Missing), number(r.Skipped), number(r.RemovedAtTarget), number(r.MovedAtTarget), number(r.Extra), number(r.Altered),
		number(r.Normalised), number(r.WrongDate), number(r.WrongFlags), number(r.FoldersMissing), Cell(r.Digest),
	}
}
