package canary_test

import (
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/mailhaul/mailhaul/test/canary"
)

func TestASecretIsFoundInEachOfItsForms(t *testing.T) {
	secret, other := canary.Secret("one"), canary.Secret("two")
	for form, body := range map[string]string{
		"plain": "password=" + secret + ";", "hex": `\x00` + hex.EncodeToString([]byte(secret)),
		"base64":         base64.StdEncoding.EncodeToString([]byte(secret + "\n")),
		"base64 after 1": base64.StdEncoding.EncodeToString([]byte("\x00" + secret + "\n")),
		"base64 after 2": base64.StdEncoding.EncodeToString([]byte("ab" + secret + "cd")),
	} {
		if got := canary.Found([]byte(body), []string{other, secret}); len(got) != 1 {
			t.Errorf("%s: found %q", form, got)
		}
	}
	if got := canary.Found([]byte("nothing "+secret[:20]), []string{secret, other}); got != nil {
		t.Errorf("found %q where there is none", got)
	}
}
