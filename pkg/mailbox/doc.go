// Package mailbox is the port between the copying engine and a mail server: what
// the engine (package mailsync) asks of one authenticated connection to one
// mailbox, in values that name no library and no protocol detail.
//
// Package imapmail implements it over IMAP, package mailboxtest in memory; both
// pass the conformance suite in mailboxtest.
//
// A server's optional abilities are data (Caps, Naming), never type assertions.
// Errors are *migration.Fault values wherever the server or the network said
// something; each method's comment tells whether what it asked for may have
// happened although it returned an error.
package mailbox
