// Package client is the Go client of Mailhaul's HTTP API, and the one place where the
// API's JSON is written down (wire.go): the server speaks in the same types.
//
// A request that may be repeated without harm is repeated when the connection is
// refused: reads, changes to a given state, and POSTs, which carry an
// Idempotency-Key of their own. Errors of the API are *Problem.
package client
