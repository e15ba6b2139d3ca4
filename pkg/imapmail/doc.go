// Package imapmail is package mailbox over IMAP (RFC 9051, RFC 3501): it opens
// connections, logs in, and turns folders, messages and servers' words into the
// values of the port. No other package knows IMAP.
//
// It never copies, decides or retries: an error goes up as a *migration.Fault, or
// with the cause that its context ended with. It never marks, alters or removes a
// message, except by Store and Append.
//
// go-imap is the client for LIST, STATUS, SELECT, FETCH, STORE, CREATE and
// SUBSCRIBE. Opening, LSUB and APPEND are written here, over the same connection:
//
//  1. conn is the net.Conn below go-imap: the time that a server has (patience.go),
//     byte counts, the first failure kept, a kill with a cause. go-imap's reading goroutine is the only one
//     that reads from it.
//  2. guard holds what the server sends within bounds and cleans (clean.go) what
//     go-imap would give the connection up for. Literals pass by count, unread.
//  3. A borrower (conn.lend) gets whole responses before go-imap sees them: so
//     appender sends pipelined LITERAL+ and MULTIAPPEND on the same connection, and the
//     pipe keeps what is unanswered of several appenders.
//  4. gate holds back the answers to what was sent ahead (Foresee), until go-imap gives
//     the command: it never has two at work.
//
// Opening goes: connect, TLS, greeting, login; the server's capabilities come with
// the answer to the login, or are asked for after it. go-imap is then given a
// PREAUTH greeting of our making, and NAMESPACE is sent; its answer is read when
// something needs it, so the first LIST goes out right behind it. Never is a
// password sent in the clear unless the account says so, and what a server said
// before STARTTLS is forgotten.
//
// The append line is a loaded gun: with a non-synchronising literal (RFC 7888) a
// server that answers BAD reads the message's own lines as commands. So every token
// before a literal is made here from parsed values, and after a BAD the connection
// is closed at once (append.go).
package imapmail
