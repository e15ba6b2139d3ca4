// Package netguard decides which network addresses the service may connect to: a
// host name in an endpoint, a webhook or a token URL comes from a customer, and must
// not lead into the operator's own network (server-side request forgery).
//
// It never looks at names or at how an address is spelled. The decision is taken on
// the address that the socket is about to connect to, after resolving, in the
// dialer's Control: a name that answers differently the second time, an address in
// octal, or a redirect all end at the same gate.
//
// An address is looked at in each of its readings: itself, and any IPv4 address that
// it embeds (IPv4-mapped, IPv4-compatible, IPv4-translated, NAT64, 6to4, Teredo,
// ISATAP). Each reading has to pass:
//
//  1. Link-local, metadata, multicast, broadcast and unspecified addresses never do.
//  2. What the operator's list holds does.
//  3. Of the rest, what is reachable in the public internet does (IANA's registries
//     of special-purpose addresses, RFC 6890).
package netguard
