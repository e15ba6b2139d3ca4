// Package store keeps what Mailhaul knows for sure: organisations, tokens, events,
// endpoints, batches, users, the records of what was delivered, leases and usage,
// in one SQL database. Everything else (queues, wake-ups, live progress) can be
// rebuilt from it.
//
// It owns the SQL, the schema and its migrations, and the invariants that hold over
// the whole fleet: one writer a target mailbox, no endpoint over its limits, no
// write by a pass whose lease was taken away. It never sees a secret in the clear
// (secrets come sealed), never decides what a user's next state is (package
// migration does) and never talks to a queue.
//
// # One writer per target mailbox
//
// A lease is a row keyed by the target mailbox (the SHA-256 of host and login). The
// row outlives user and batch, so that no two of them, of whatever organisation,
// write into one mailbox at a time.
//
//  1. Admit takes free rows for due users, in one transaction: state queued, with a
//     token from a sequence that is never used again. The row is the slot at both
//     endpoints; there is no other count to leak or to rebuild.
//  2. Claim makes it running, once. A doubled task finds nothing to claim.
//  3. Beat raises the row's counter while the holder lives; observers watch it
//     stand still on their own clocks.
//  4. Commit writes one window of the pass. It checks token and state in the
//     transaction of the write, as every write of a pass does, and answers
//     migration.ErrLeaseLost to a stale one.
//  5. Finish writes the user's next state and frees the row, or, where the holder
//     died, Release does. What a dead holder had under way may still reach the
//     target, so the row keeps the mark unsettled until a pass of the mailbox has
//     ended in step.
//
// What an operator asks of a user while its pass runs (stop, complete, verify,
// remove) is a flag on the user's row. Finish reads the flags again in its own
// transaction: what came between the pass's last look and its end is not lost.
//
// # What a tick costs
//
// Each batch carries a lower bound of the times at which its users are due, lowered
// by whoever schedules a user earlier and raised by Admit where it finds none due.
// Admit visits only batches that the bound says are due, whose endpoints have room,
// and reads their users by index, a page at a time.
//
// # Databases
//
// SQLite serves processes on one host, PostgreSQL (13 or newer) any number anywhere.
// The queries are the same: numbered placeholders, ON CONFLICT, RETURNING, times as
// microseconds, JSON as text. What differs is in dialect; each database has its own
// migrations. SQLite has one writer at a time. What has to be locked where there are
// many is in locks.go, and which transactions are tried again in write.go.
package store
