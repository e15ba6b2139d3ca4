package vault

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Layout of sealed bytes, version 1: version (1), key id (8), wrapped data key
// (12 nonce + 32 + 16 tag), then the secret (12 nonce + its length + 16 tag).
const (
	version    = 1
	headerSize = 1 + idSize
	overhead   = 12 + 16 // of AES-GCM: nonce and tag
	wrapSize   = overhead + keySize
	minSize    = headerSize + wrapSize + overhead
)

// ErrUnknownKey is in the chain when none of the vault's keys sealed the bytes, below a
// fault: operators mend it, and it tells how.
var ErrUnknownKey = errors.New("unknown master key")

// Vault seals with its first key and opens with all. It is safe for concurrent use.
type Vault struct{ keys []masterKey }

// String tells the number of keys, and nothing of them.
func (v *Vault) String() string { return fmt.Sprintf("vault of %d keys", len(v.keys)) }

// Open returns a Vault over keys as GenerateKey prints them, separated by commas or
// lines: the first seals, all open.
func Open(keys string) (*Vault, error) {
	parsed, err := parseKeys(keys)
	if err != nil {
		return nil, err
	}
	return &Vault{parsed}, nil
}

// Seal encrypts s for what aad names, such as "org/7". Equal secrets seal to
// different bytes.
func (v *Vault) Seal(s migration.Secret, aad string) ([]byte, error) {
	dataKey := make([]byte, keySize)
	_, _ = rand.Read(dataKey) // never fails: crypto/rand aborts the process instead
	defer clear(dataKey)
	aead, err := newAEAD(dataKey)
	if err != nil {
		return nil, fmt.Errorf("seal a secret of %q: %w", aad, err)
	}
	return aead.Seal(v.wrap(dataKey), nil, []byte(s.Reveal()), []byte(aad)), nil
}

// Open is the inverse of Seal: it fails for another aad and for bytes that were
// changed in any place.
func (v *Vault) Open(sealed []byte, aad string) (migration.Secret, error) {
	dataKey, err := v.unwrap(sealed)
	if err != nil {
		return migration.Secret{}, fmt.Errorf("open a secret of %q: %w", aad, err)
	}
	defer clear(dataKey)
	aead, err := newAEAD(dataKey)
	if err != nil {
		return migration.Secret{}, fmt.Errorf("open a secret of %q: %w", aad, err)
	}
	plain, err := aead.Open(nil, nil, sealed[headerSize+wrapSize:], []byte(aad))
	if err != nil {
		return migration.Secret{}, fmt.Errorf("open a secret of %q: it was altered or belongs to something else", aad)
	}
	return migration.NewSecret(string(plain)), nil
}

// Rewrap returns sealed with its data key under the first key. What is under it
// already comes back as it is, so that doing it twice changes nothing.
func (v *Vault) Rewrap(sealed []byte) ([]byte, error) {
	dataKey, err := v.unwrap(sealed)
	if err != nil {
		return nil, fmt.Errorf("rewrap a secret: %w", err)
	}
	defer clear(dataKey)
	if keyID(sealed[1:headerSize]) == v.keys[0].id {
		return sealed, nil
	}
	return append(v.wrap(dataKey), sealed[headerSize+wrapSize:]...), nil
}

// wrap returns header and wrapped data key.
func (v *Vault) wrap(dataKey []byte) []byte {
	first := v.keys[0]
	head := append([]byte{version}, first.id[:]...)
	return append(head, first.aead.Seal(nil, nil, dataKey, head)...)
}

func (v *Vault) unwrap(sealed []byte) ([]byte, error) {
	switch {
	case len(sealed) == 0:
		return nil, errors.New("there is none")
	case sealed[0] != version:
		return nil, fmt.Errorf("it has version %d, this program knows %d: use the program that wrote it, or a newer one", sealed[0], version)
	case len(sealed) < minSize:
		return nil, fmt.Errorf("it is cut (%d bytes, at least %d expected)", len(sealed), minSize)
	}
	head := sealed[:headerSize]
	aead, err := v.key(keyID(head[1:]))
	if err != nil {
		return nil, err
	}
	dataKey, err := aead.Open(nil, nil, sealed[headerSize:headerSize+wrapSize], head)
	if err != nil || len(dataKey) != keySize {
		return nil, errors.New("its data key was altered")
	}
	return dataKey, nil
}

func (v *Vault) key(id keyID) (cipher.AEAD, error) {
	ids := make([]string, len(v.keys))
	for i, k := range v.keys {
		if k.id == id {
			return k.aead, nil
		}
		ids[i] = k.id.String()
	}
	return nil, migration.NewFault(migration.Conflict, migration.ScopeUser, "", fmt.Sprintf(
		"a secret is sealed by the master key %s, which is missing (there are %s): add it to MAILHAUL_MASTER_KEY of every process, at the end of the list, and restart them",
		id, strings.Join(ids, ", ")), ErrUnknownKey)
}
