package migration

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

func TestPinIsReadAsPeopleWriteIt(t *testing.T) {
	sum := sha256.Sum256([]byte("key"))
	digits := hex.EncodeToString(sum[:])
	var colons []string
	for i := 0; i < len(digits); i += 2 {
		colons = append(colons, strings.ToUpper(digits[i:i+2]))
	}
	b64 := base64.StdEncoding.EncodeToString(sum[:])
	for _, s := range []string{PinOf([]byte("key")), digits, " " + strings.ToUpper(digits) + "\n", strings.Join(colons, ":"), b64, "sha256/" + b64, "sha256//" + b64} {
		if got, err := ParsePin(s); err != nil || got != sum {
			t.Errorf("%q: %x, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "x", digits[:62], digits + "00", b64[:40], "md5/" + b64} {
		if _, err := ParsePin(s); err == nil {
			t.Errorf("%q is taken for a pin", s)
		}
	}
}
