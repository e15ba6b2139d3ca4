package migration

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// Trust is what an operator says about an endpoint's certificate in the place of an
// authority. The zero value asks for a certificate that an authority vouches for.
type Trust struct {
	// TLSPin is the SHA-256 of the public key (SubjectPublicKeyInfo, RFC 7469 section
	// 2.4) of the one certificate to accept, whoever signed it, whatever name and dates
	// are in it; "" for none.
	TLSPin string
	// TLSInsecure accepts every certificate: whoever stands between can read the
	// passwords.
	TLSInsecure bool
}

var errPin = errors.New("a pin is the SHA-256 of the certificate's public key: 64 hex digits, or 44 characters of base64")

// ParsePin reads a pin in hex, with or without colons, or in base64, also as browsers
// and curl write it ("sha256/...", "sha256//...").
func ParsePin(s string) (pin [sha256.Size]byte, err error) {
	s = strings.TrimSpace(s)
	if rest, found := strings.CutPrefix(s, "sha256/"); found {
		s = strings.TrimPrefix(rest, "/")
	}
	digits := strings.ReplaceAll(s, ":", "")
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != sha256.Size {
		raw, err = base64.StdEncoding.DecodeString(s)
	}
	if err != nil || len(raw) != sha256.Size {
		return pin, errPin
	}
	return [sha256.Size]byte(raw), nil
}

// PinOf is the pin of a certificate's SubjectPublicKeyInfo, as it is shown: in hex.
func PinOf(publicKeyInfo []byte) string {
	sum := sha256.Sum256(publicKeyInfo)
	return hex.EncodeToString(sum[:])
}
