package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/vault"
)

func open(t *testing.T, keys ...string) *vault.Vault {
	t.Helper()
	v, err := vault.Open(strings.Join(keys, ","))
	if err != nil {
		t.Fatalf("open the vault: %v", err)
	}
	return v
}

func seal(t *testing.T, v *vault.Vault, secret, aad string) []byte {
	t.Helper()
	sealed, err := v.Seal(migration.NewSecret(secret), aad)
	if err != nil {
		t.Fatalf("seal: %v", err)
	}
	return sealed
}

func reveal(t *testing.T, v *vault.Vault, sealed []byte, aad string) string {
	t.Helper()
	s, err := v.Open(sealed, aad)
	if err != nil {
		t.Fatalf("open a secret: %v", err)
	}
	return s.Reveal()
}

func TestSealAndOpen(t *testing.T) {
	v := open(t, vault.GenerateKey())
	rapid.Check(t, func(t *rapid.T) {
		secret, aad := rapid.String().Draw(t, "secret"), rapid.String().Draw(t, "aad")
		sealed, err := v.Seal(migration.NewSecret(secret), aad)
		if err != nil {
			t.Fatal(err)
		}
		if len(secret) > 4 && bytes.Contains(sealed, []byte(secret)) {
			t.Fatal("the sealed bytes hold the secret in the clear")
		}
		got, err := v.Open(sealed, aad)
		if err != nil || got.Reveal() != secret {
			t.Fatalf("got %q, %v; want %q", got.Reveal(), err, secret)
		}
	})
}

func TestEqualSecretsSealToDifferentBytes(t *testing.T) {
	v := open(t, vault.GenerateKey())
	if bytes.Equal(seal(t, v, "same", "org/1"), seal(t, v, "same", "org/1")) {
		t.Error("two seals of one secret are equal")
	}
}

func TestSecretStaysWithItsOwner(t *testing.T) {
	v := open(t, vault.GenerateKey())
	sealed := seal(t, v, "hunter2", "org/1")
	if _, err := v.Open(sealed, "org/2"); err == nil {
		t.Error("a secret of org/1 opens as one of org/2")
	} else if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error tells the secret: %v", err)
	}
}

func TestEveryAlteredByteIsFound(t *testing.T) {
	v := open(t, vault.GenerateKey())
	sealed := seal(t, v, "hunter2", "org/1")
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 0x40
		if _, err := v.Open(bad, "org/1"); err == nil {
			t.Errorf("byte %d of %d changed, and it opens", i, len(sealed))
		}
	}
	for n := range len(sealed) {
		if _, err := v.Open(sealed[:n], "org/1"); err == nil {
			t.Errorf("cut to %d of %d bytes, and it opens", n, len(sealed))
		}
	}
}

func TestUnknownVersionIsRefusedLoudly(t *testing.T) {
	v := open(t, vault.GenerateKey())
	sealed := seal(t, v, "x", "org/1")
	sealed[0] = 9
	if _, err := v.Open(sealed, "org/1"); err == nil || !strings.Contains(err.Error(), "version 9") {
		t.Errorf("got %v", err)
	}
	if _, err := v.Rewrap(sealed); err == nil || !strings.Contains(err.Error(), "version 9") {
		t.Errorf("got %v", err)
	}
}

// The walk of an operator through a rotation, as CONTRACT describes it, with a
// process at each stage beside one of the stage before.
func TestRotation(t *testing.T) {
	oldKey, newKey := vault.GenerateKey(), vault.GenerateKey()
	before, added, switched, after := open(t, oldKey), open(t, oldKey, newKey), open(t, newKey, oldKey), open(t, newKey)

	first := seal(t, before, "one", "org/1")
	second := seal(t, added, "two", "org/1")
	if got := reveal(t, before, second, "org/1"); got != "two" {
		t.Errorf("sealed while the new key is last, opened without it: %q", got)
	}
	third := seal(t, switched, "three", "org/1")
	if got := reveal(t, added, third, "org/1"); got != "three" {
		t.Errorf("sealed with the new key first, opened where it is last: %q", got)
	}
	if _, err := after.Open(first, "org/1"); !errors.Is(err, vault.ErrUnknownKey) {
		t.Errorf("opened without the old key: %v", err)
	}

	for want, sealed := range map[string][]byte{"one": first, "two": second, "three": third} {
		rewrapped, err := switched.Rewrap(sealed)
		if err != nil {
			t.Fatalf("rewrap: %v", err)
		}
		if got := reveal(t, after, rewrapped, "org/1"); got != want {
			t.Errorf("after the rotation got %q, want %q", got, want)
		}
		again, err := switched.Rewrap(rewrapped)
		if err != nil || !bytes.Equal(again, rewrapped) {
			t.Errorf("a second rewrap changed something: %v", err)
		}
	}
	if got := reveal(t, before, first, "org/1"); got != "one" {
		t.Errorf("rewrapping changed the bytes it was given: %q", got)
	}
}

func TestKeys(t *testing.T) {
	good, other := vault.GenerateKey(), vault.GenerateKey()
	if strings.ContainsAny(good, " ,\n\t\"'$\\") || len(good) > 80 {
		t.Errorf("a key of %d characters is no plain line: it has to pass through shells and env files", len(good))
	}
	mistyped := []byte(good)
	if mistyped[10] = 'A'; good[10] == 'A' {
		mistyped[10] = 'B'
	}
	for name, tc := range map[string]struct {
		keys string
		want string // in the error; "" for none
	}{
		"one":                  {good, ""},
		"by comma":             {good + "," + other, ""},
		"by line, file's end":  {good + "\n" + other + "\n", ""},
		"windows line ends":    {good + "\r\n" + other + "\r\n", ""},
		"none":                 {"", "mailhaul vault keygen"},
		"only a line end":      {"\n", "mailhaul vault keygen"},
		"cut":                  {good[:len(good)-3], "cut or mistyped"},
		"mistyped":             {string(mistyped), "check sum"},
		"something else":       {"correct-horse", "does not begin with"},
		"the second is broken": {good + ",mhk1_abc", "master key 2 of 2"},
		"twice":                {good + "," + good, "keys 1 and 2 are the same"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := vault.Open(tc.keys)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
			for word := range strings.FieldsSeq(strings.ReplaceAll(tc.keys, ",", " ")) {
				if err != nil && strings.Contains(err.Error(), word[5:min(20, len(word))]) { // behind the prefix
					t.Errorf("the error tells the key: %v", err)
				}
			}
		})
	}
}

func TestVaultDoesNotPrintItsKeys(t *testing.T) {
	if got := fmt.Sprint(open(t, vault.GenerateKey())); got != "vault of 1 keys" {
		t.Errorf("printed: %s", got)
	}
}

func BenchmarkSeal(b *testing.B) {
	v, err := vault.Open(vault.GenerateKey())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := v.Seal(migration.NewSecret("a password of usual length"), "org/1"); err != nil {
			b.Fatal(err)
		}
	}
}
