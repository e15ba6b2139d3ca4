package store

import "github.com/mailhaul/mailhaul/pkg/migration"

// The types of answers beyond single rows are package migration's: callers above need
// not import the store to declare what they use.
type (
	// Summary is a batch in numbers.
	Summary = migration.Summary
	// UserFilter narrows a list of users.
	UserFilter = migration.UserFilter
	// AddResult is what became of the rows that were added to a batch.
	AddResult = migration.AddResult
	// UserItem is an item with its user.
	UserItem = migration.UserItem
	// UserReceipt is a receipt with its user.
	UserReceipt = migration.UserReceipt
)
