package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

const (
	keyPrefix  = "mhk1_"
	keySize    = 32 // bytes, of master and data keys
	checkSize  = 4  // of the check sum at a printed key's end
	idSize     = 8
	howToMake  = "make one with `mailhaul vault keygen` and set MAILHAUL_MASTER_KEY, or MAILHAUL_MASTER_KEY_FILE to a file that holds it"
	checkLabel = "mailhaul master key check\x00"
	idLabel    = "mailhaul master key id\x00"
)

// ErrNoKey is the error of Open without any key.
var ErrNoKey = errors.New("no master key: " + howToMake)

// keyID tells keys apart without telling anything of them.
type keyID [idSize]byte

func (id keyID) String() string { return hex.EncodeToString(id[:]) }

type masterKey struct {
	id   keyID
	aead cipher.AEAD
}

// GenerateKey returns a new master key as one printable line. It ends with a check
// sum, so that a key that was cut or mistyped is refused at start.
func GenerateKey() string {
	raw := make([]byte, keySize, keySize+checkSize)
	_, _ = rand.Read(raw) // never fails: crypto/rand aborts the process instead
	return keyPrefix + base64.RawURLEncoding.EncodeToString(append(raw, digest(checkLabel, raw)[:checkSize]...))
}

// parseKeys reads keys separated by commas or white space.
func parseKeys(keys string) ([]masterKey, error) {
	var out []masterKey
	words := strings.FieldsFunc(keys, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	for i, word := range words {
		k, err := parseKey(word)
		if err != nil {
			return nil, fmt.Errorf("master key %d of %d: %w", i+1, len(words), err)
		}
		for j, other := range out {
			if other.id == k.id {
				return nil, fmt.Errorf("master keys %d and %d are the same", j+1, i+1)
			}
		}
		out = append(out, k)
	}
	if len(out) == 0 {
		return nil, ErrNoKey
	}
	return out, nil
}

func parseKey(word string) (masterKey, error) {
	body, found := strings.CutPrefix(word, keyPrefix)
	if !found {
		return masterKey{}, fmt.Errorf("it does not begin with %s: %s", keyPrefix, howToMake)
	}
	// Strict: without it the last character has several spellings.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(raw) != keySize+checkSize {
		return masterKey{}, fmt.Errorf("it is cut or mistyped (%d characters, %d expected): %s",
			len(word), len(keyPrefix)+base64.RawURLEncoding.EncodedLen(keySize+checkSize), howToMake)
	}
	raw, check := raw[:keySize], raw[keySize:]
	if !bytes.Equal(digest(checkLabel, raw)[:checkSize], check) {
		return masterKey{}, errors.New("its check sum is wrong, so it is mistyped: " + howToMake)
	}
	aead, err := newAEAD(raw)
	if err != nil {
		return masterKey{}, fmt.Errorf("use it: %w", err)
	}
	return masterKey{id: keyID(digest(idLabel, raw)[:idSize]), aead: aead}, nil
}

// digest is SHA-256 over label and key; the label keeps the uses of it apart.
func digest(label string, key []byte) []byte {
	h := sha256.New()
	h.Write([]byte(label))
	h.Write(key)
	return h.Sum(nil)
}

// newAEAD is AES-256-GCM with a random nonce, which it puts before the cipher text.
// Random nonces of 96 bits are safe for 2^32 uses of one key: a data key is used
// once, a master key once for each secret sealed.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
