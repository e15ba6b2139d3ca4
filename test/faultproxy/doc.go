// Package faultproxy stands between a program and a real IMAP server and does harm to
// what the server answers, at the command that it is told: for tests alone.
//
// It reads both streams as IMAP: a client's commands with their literals, a server's
// responses with theirs. So it strikes at a command (Fault.At), at the nth of them
// (Skip), once or always (Times), and knows where an answer begins. What it does:
//
//	Cut        closes both connections after so many bytes of the answer (Bytes)
//	CutAfter   closes both after the answer to the command, or after so many messages
//	           of a FETCH (Messages)
//	Stall      passes nothing on any more, in either direction, and keeps both open
//	Drip       passes the answer on a byte at a time, one each Pause
//	Garbage    sends bytes that are no IMAP in the place of the answer
//	Bye        says BYE with Words, and closes
//	HalfOpen   loses the server; the client is not told (no FIN), its bytes go nowhere
//	LostReply  lets the server do it, drops the answer, and closes both
//	Tear       closes both in the middle of every message that holds Words
//	Refuse     answers with Words in the place of every message that holds Holds, and of
//	           what would follow it
//	Answer     answers with Words in the server's place; the server does not hear of it
//	Reword     puts Words in the place of the answer's last line
//
// With a certificate the client's side is TLS, from the first byte or by STARTTLS; the
// server's side is plain. A proxy ends with its test.
package faultproxy
