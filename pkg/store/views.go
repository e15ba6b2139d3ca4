package store

import "github.com/mailhaul/mailhaul/pkg/migration"

// What the store answers beyond single rows, under the names of package migration:
// its callers above need not import the store to declare what they use.
type (
	Summary     = migration.Summary
	UserFilter  = migration.UserFilter
	AddResult   = migration.AddResult
	UserItem    = migration.UserItem
	UserReceipt = migration.UserReceipt
)
