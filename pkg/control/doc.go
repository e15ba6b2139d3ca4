// Package control is what operators do: organisations, tokens, endpoints, batches,
// users, reports. Package httpapi gives it an outside.
//
// It decides who may (Actor, roles), what is a sensible request (validation), and
// what it changes in the store; it seals a secret the moment it is read. It never
// runs a pass, never talks to a mail server except through the endpoint test, and
// never waits for a mailbox: it writes what is wanted into the store and kicks the
// dispatcher, which is a hint and may be lost.
//
// Every use case goes the same way:
//
//  1. find the organisation; one that the actor may not see is answered exactly as
//     one that does not exist;
//  2. check the role;
//  3. validate, find batch, endpoint or user inside the organisation;
//  4. change the store;
//  5. write the audit event with the actor;
//  6. kick the dispatcher where a mailbox may be due now.
package control
