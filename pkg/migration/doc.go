// Package migration holds the words of the trade and the decisions that need no
// I/O: endpoints, batches, users, passes, faults, and how a user's state moves on
// (Advance) and a batch's follows from it (BatchStatus).
//
// Nothing here reads a clock, a network or a store: now comes in as an argument.
package migration
