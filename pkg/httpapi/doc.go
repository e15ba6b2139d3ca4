// Package httpapi is the outside of package control: HTTP with JSON, problem+json for
// errors, server-sent events, and an OpenAPI document made from the same types.
//
// It decides nothing about migrations. It owns who is asking (bearer tokens), what a
// request may cost (sizes, times, streams at once), doing a POST once although it is
// sent twice (Idempotency-Key), and the spelling of requests and answers, whose types
// are package client's.
//
// A request to /v1/ goes through:
//
//  1. guard: headers, a deadline, a panic becomes an Internal problem with a trace id;
//  2. authenticate: the token's hash is looked up; without a valid one 401;
//  3. slurp: the body is read whole, bounded in size and time;
//  4. once: a POST with an Idempotency-Key that was answered before is answered the same;
//  5. huma: parameters and body are validated, the use case is called.
//
// What belongs to another organisation is answered byte for byte like what does not
// exist. No answer ever holds a secret, but for the value of a token just made.
package httpapi
