// Package vault seals secrets for the store and opens them again: envelope
// encryption under master keys that the operator holds.
//
// It never stores anything, never logs, and never prints a key or a secret. What
// it returns holds no clear text and may be kept in any database.
//
// Sealing one secret:
//
//  1. Make a data key of its own, 32 random bytes.
//  2. Encrypt the secret with the data key (AES-256-GCM, random nonce), with
//     the words that say what it belongs to as associated data: a sealed secret
//     moved to another endpoint or organisation does not open there.
//  3. Wrap the data key with the first master key, with the header as associated
//     data.
//  4. The result is: version, key id, wrapped data key, encrypted secret.
//
// Rotation without downtime follows from the key id. Every process opens with all
// the keys it was given and seals with the first: add the new key last everywhere,
// put it first everywhere, rewrap what is stored (only the data key is wrapped
// anew, the secret itself is not touched), then drop the old key.
package vault
