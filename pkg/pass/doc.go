// Package pass runs one pass of one user, from claim to result. It knows no
// protocol, no database and no queue: mailboxes are opened, secrets unsealed and
// rows written by what its Config holds. It decides nothing that migration.Advance
// and the engine decide.
//
// A pass, in order (run.go, finish.go):
//
//  1. Claim the lease with its token. Somebody else's, or nobody's any more: the
//     task was doubled or late, and nothing happens.
//  2. Read user, batch and endpoints; unseal the secrets; make an opener a side
//     (side.go).
//  3. Run the engine, with records that carry the token: the store refuses a stale
//     one. A last sync is followed by a verify; a verify that was asked for is a
//     pass of its own, and so is a preflight (preflight.go).
//  4. Park an endpoint whose own fault ended the pass, or end the park of one that
//     proved to be well (park.go).
//  5. Read the user again, for what an operator asked meanwhile; Advance it; Finish,
//     which writes the state and frees the lease at once; with a completed last sync
//     the user's secrets are erased in the same moment.
//
// One goroutine renews all leases of the process every 3 s (heartbeat.go). A pass
// whose lease was not renewed for 8 s, or is another's by now, ends with
// migration.ErrLeaseLost: its connections are cut first, and nothing is written.
// That is before anybody else takes the mailbox, 10 s after the last beat seen.
//
// A store that does not answer is asked again (records.go, finish.go): a database that
// restarts within the life of a lease costs no pass and no attempt.
//
// presence.go tells the fleet of the process itself: its state, and how long its passes
// take. An operator's wish that it drains is heard there.
//
// A pass tells its story in the log: "pass begins", at debug a "window committed" a
// window, "pass ended"; each with user, token, worker, kind, batch and org.
//
// A pass ends early, with all that is done recorded, when its time slice is over or
// the process drains (between windows: it goes on elsewhere), when a limit of an endpoint
// says so (order and rest are package migration's; one look is for all passes), and when an operator
// stopped or removed the user (seen within 3 s, obeyed between windows; a pass that
// hangs longer is cut off with migration.ErrStopped). One that only waits for folders to
// settle ends at once: the next pass waits in its place.
package pass
