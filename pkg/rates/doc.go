// Package rates holds the traffic with an endpoint to what its operator allows, in
// bytes and in messages a second, over all processes together. It never decides who
// may work: that is admission. It knows no mail: tokens are asked for, and given.
//
// The bucket of an endpoint is one number in Redis: the moment, on Redis's own clock,
// at which the next token is free (grant.lua, the one invariant: by any moment t no
// more than rate × t tokens and a second's worth have been given for use). Nothing
// else is shared, and losing it costs that second's worth. Redis is never asked for an
// endpoint without a limit.
//
// A process draws from it so (bucket.go):
//
//  1. Who wants to send or read Waits for tokens, in the order of asking. What the
//     process has in hand is given at once.
//  2. While somebody waits, one goroutine a bucket asks Redis: for what the waiting
//     need, or for more, up to a quarter of a second's worth, where the last grant was
//     used up at once. So Redis is asked some four times a second, whatever passes.
//  3. A grant is a reservation: it names how long to wait before it is used. So
//     processes have their turn in the order of asking, too.
//  4. What is in hand for a second is forgotten: else idle processes would save it up,
//     and spend it together.
//
// Where Redis does not answer within half a second nothing fails (link.go, alone.go):
// for two seconds, and until Redis answers, each process goes on with its own share of
// the rate: as many parts of maxConcurrentMigrations as it has passes at the endpoint.
// Admission holds the passes of all processes to that number, so that the shares are
// never more than the whole.
package rates
