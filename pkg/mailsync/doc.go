// Package mailsync is the engine: it brings one target mailbox in step with one
// source mailbox. It drives the port in package mailbox and keeps what it knows in
// Records; it knows no protocol, no database and no schedule, and never changes
// anything at the source.
//
// # What a pass does
//
//  1. Survey: both sides are listed at once. A folder is done without being opened
//     when the source's numbers are those recorded when it was last finished and the
//     target folder is still the one recorded (survey.go). A folder renamed at the
//     source is known again, and its target folder renamed (follow.go).
//  2. Assign: new source folders get a target folder; missing ones are made,
//     subscriptions carried (mapping.go, roles.go, folders.go).
//  3. Prepare, folder by folder: the target's tail is read (messages that no record
//     explains), the source is opened, and what is undecided is matched with the
//     tail by fingerprint and, where that is not proof, by the digest of whole
//     messages (prepare.go, recognise.go, plan.go). Flags are compared with the base that was last
//     carried, flag by flag. Where only mail of a time is wanted, the rest is left out
//     first: it is neither seen nor decided (dates.go).
//  4. Execute: what is left to copy is streamed from one FETCH into the append
//     pipeline, in windows; each window is committed to the records as soon as the
//     target has answered it (read.go, write.go). The source is read ahead, into the
//     next folders, while the target still writes, within a budget of bytes that
//     all passes of a process share (budget.go).
//  5. The folder is finished: the source's numbers from the survey are recorded. In
//     the end it is counted what has been moved between source folders (moved.go).
//
// # Round trips
//
// A pass over a long way is as long as what it waits for, one after the other:
//
//   - Both sides open, log in and list beside each other (survey.go).
//   - The source is told what prepare and execute will ask of the next folders, as the
//     survey lets it be known (foresee.go); all of it goes out at once. It is safe
//     to ask early: nothing read at the source is believed but under the
//     UIDVALIDITY that its folder is opened with.
//   - The target's folders are looked at all in one round trip (writer.go, peek). For
//     peekTime that stands for the look that has to be taken before anything is
//     written: what has come in since the tail was read, UIDVALIDITY, which flags are
//     kept. After it the folder has to be opened again to be written to; that is not
//     waited for, and what is sent goes right behind. Should the folder be another one
//     by then, the connection ends before an answer is believed. So the time in which
//     somebody can put another folder there unseen is at most peekTime; waiting for
//     SELECT before each folder would leave half a round trip, as APPEND goes by name.
//   - Folders are written one right behind the other and ended in that order, each when
//     its answers are there (writer.go). A broken connection leaves all of those to
//     settle that have messages under way; at most foldersUnanswered.
//
// # Several connections
//
// A pass may have several pairs of connections, where a server is slow on each and not
// on all. A lane is the part of a pass that goes over one pair (lane.go): the first one
// surveys, and then the folders are shared out by what is to be copied (board.go). Who
// has nothing left helps with a large folder of another's (sharing.go): a folder still is
// prepared once and ended once, by its owner, and all that write to it do so between the
// moment in which the record says Writing and the one in which it no longer does.
// A further connection that is refused is done without.
//
// # Why nothing is lost or doubled
//
// The record says what was delivered, and what it calls decided is never copied
// again. What was delivered without a record (the process died, the reply was lost)
// is in the tail, and is adopted. After an APPEND whose fate is not known the folder
// is left to settle (the server may still apply it) before its tail is believed; the
// record's Writing mark, set before the first message is sent and cleared when all
// are answered, tells a later pass that this is owed.
package mailsync
