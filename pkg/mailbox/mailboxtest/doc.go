// Package mailboxtest shows that a mailbox keeps the contract of package mailbox: one
// suite (Run) for every implementation, and one implementation in memory (Memory)
// that passes it, whose every operation a test can undo, mute or delay.
package mailboxtest
