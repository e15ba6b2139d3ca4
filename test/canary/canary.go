// Package canary makes secrets that are nowhere else and looks for them in whatever
// was written, said or kept.
//
// A place that is empty, or not the one it was taken for, would look clean. So each
// place names something that it must hold, and is found wanting where it does not.
package canary

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
)

// Secret makes a secret of a kind.
func Secret(kind string) string { return "canary-" + kind + "-" + rand.Text() }

// Place is somewhere a secret may not be.
type Place struct {
	Name string
	Body []byte
	// Holds is something that is to be found there; "" where nothing is sure to be.
	Holds string
}

// Files makes places of files; of them all together, one must hold the text.
func Files(t testing.TB, holds string, paths ...string) []Place {
	t.Helper()
	var out []Place
	found := false
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // gone between looking and reading
		}
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(body, []byte(holds))
		out = append(out, Place{Name: path, Body: body})
	}
	if !found {
		t.Errorf("none of %d files holds %q: they are not the place to look", len(out), holds)
	}
	return out
}

// Look fails the test for every secret that it finds, and returns how many bytes it
// looked through.
func Look(t testing.TB, places []Place, secrets []string) (searched int64) {
	t.Helper()
	for _, p := range places {
		searched += int64(len(p.Body))
		if !bytes.Contains(p.Body, []byte(p.Holds)) {
			t.Errorf("%s does not hold %q: it is not the place to look", p.Name, p.Holds)
		}
		for _, f := range Found(p.Body, secrets) {
			t.Errorf("%s holds %s", p.Name, f)
		}
	}
	return searched
}

// Found tells which secrets are in body, without telling the secrets.
func Found(body []byte, secrets []string) (out []string) {
	for _, secret := range secrets {
		for form, text := range forms(secret) {
			if bytes.Contains(body, []byte(text)) {
				out = append(out, fmt.Sprintf("a secret (%.12s…) in the form %s", secret, form))
			}
		}
	}
	return out
}

// forms are the ways in which a secret may be written down unsealed.
func forms(secret string) map[string]string {
	out := map[string]string{"plain": secret, "hex": hex.EncodeToString([]byte(secret))}
	// In base64 it looks different after one byte or two of something else: the digits
	// that are of the secret alone.
	for before := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + secret))
		out[fmt.Sprint("base64 after ", before)] = text[(before*8+5)/6 : (before+len(secret))*8/6]
	}
	return out
}
