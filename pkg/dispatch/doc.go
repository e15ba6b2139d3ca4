// Package dispatch decides when passes run, never how: it admits users that are
// due, puts their tasks into the queue, and frees what workers that died have left
// behind. Which users are due, in which order, and whether there is room at their
// endpoints is decided by the store, in one transaction; so any number of
// dispatchers may run at once, and one that dies leaves nothing undone.
//
// Admission (admit.go), each second and when kicked:
//
//  1. Room is the capacity of all workers, plus a few that wait at hand, less the
//     leases there are: the queue never holds more than starts within seconds.
//  2. The store takes leases for that many users; each gets a task.
//
// Reconciliation (reconcile.go), every two seconds:
//
//  1. A running lease whose counter stood still for ten seconds on this process's
//     own monotonic clock belongs to a worker that is gone: it is freed as dead, its
//     user is due again (migration.TakeOver).
//  2. A queued lease whose task does not wait in the queue after a grace has lost
//     it: it is freed, and its user admitted again with another token. A stale task
//     that turns up later finds nothing to claim.
//  3. A worker whose counter stood still as long is listed as gone, and after an hour
//     no more. Its passes are judged by their leases, not by this.
//  4. What operators have removed is deleted once no pass holds it.
//
// No wall clocks of different machines are compared. An observer that was itself
// frozen forgets what it has seen and begins to watch anew. So does one whose look took
// long, because the database was away or somebody held its lock: a look waits for all
// that a beat waits for.
package dispatch
