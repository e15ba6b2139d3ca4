package migration

import "time"

// Summary is a batch in numbers, made from its users in one look.
type Summary struct {
	Counts UserCounts
	// Messages is the sum of all users' Totals.Messages.
	Messages     Tally
	LastSyncedAt time.Time // of the user synced last; zero: none
}

// UserFilter narrows a list of users; zero fields narrow nothing.
type UserFilter struct {
	Status UserStatus
	Code   Code
}

// AddResult is what became of the rows of a file that was added to a batch.
type AddResult struct{ Created, Unchanged, Updated int }

// UserItem is an Item with its user, and its place in the list of all.
type UserItem struct {
	ID           int64
	EmailAddress string
	Item
}

// UserReceipt is a Receipt with its user.
type UserReceipt struct {
	EmailAddress string
	Receipt
}
