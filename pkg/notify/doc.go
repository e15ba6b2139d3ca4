// Package notify tells people and programs outside what happens inside: mail when a
// batch is in step and when it is completed, and calls of webhooks for the same and
// for each user that fails.
//
// It owns the conversation with mail servers and webhooks, and when to try again. What
// there is to be told is the store's; what a report says is package report's.
//
// Any number of processes may run it over one store:
//
//  1. The store notes batches whose first or last sync has ended, once each, as events.
//  2. It makes a row of each event for every address, once each.
//  3. A row is claimed before it is sent, for longer than sending may take.
//  4. It is sent, and what came of it is written. What failed is tried again after
//     30 s, twice as long each time up to an hour, for a day.
//
// So each address is told once of each event; twice only where the other side took it
// and its answer, or the process that waited for it, was lost. Mail then has the same
// Message-ID, a webhook's call the same webhook-id.
//
// Webhooks are called as the Standard Webhooks specification 1.0.0 says
// (github.com/standard-webhooks/standard-webhooks). Mail goes by SMTP (RFC 5321) with
// STARTTLS (RFC 3207) and AUTH (RFC 4954). Who may be dialled the given dialer decides.
// No secret is ever logged, and what the other side says is told without it.
package notify
