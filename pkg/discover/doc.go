// Package discover finds where the mailbox of an address is: which questions there are,
// in which order, and what each answer names. It owns the questions to DNS and to the
// domain's own web server.
//
// It never connects to a mail server, never sees a password, and decides nothing: its
// candidates are to be tested, and the first that passes is the answer.
//
// The questions, each asked only when nobody was content with the answers before it:
//
//  1. Is the domain one of a provider that we know, such as gmail.com? No question goes
//     out.
//  2. Are its mail exchangers (MX) a provider's? The server is then the one of our own
//     table, not one that the answer names.
//  3. What does the domain say in DNS: SRV _imaps._tcp, then _imap._tcp (RFC 6186). The
//     target "." says that there is none.
//  4. What does the domain say on its web server, in Thunderbird's form:
//     https://autoconfig.DOMAIN/mail/config-v1.1.xml, then
//     https://DOMAIN/.well-known/autoconfig/mail/config-v1.1.xml.
//  5. Are there imap.DOMAIN or mail.DOMAIN? A guess, which the test of the certificate
//     confirms or not.
//
// What is trusted: DNS is not, since its answers can be forged. A host outside the
// domain that DNS alone names is marked Unproven: nobody should send it a password
// before an operator has confirmed it (RFC 6186 section 6). A host within the domain
// proves itself by its certificate, and what comes over HTTPS is proven by the web
// server's. Plain HTTP is never asked, a server without TLS never named. Nobody but the
// domain's own servers and those of DNS learns of the address: the database of
// providers that Thunderbird asks (ISPDB) is not.
//
// Every connection goes through the dialer that it was given, which refuses what the
// operator's networks do not let through, redirections included. Only the system's own
// resolvers are asked as the system does it.
package discover
