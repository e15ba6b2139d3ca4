package pass

import (
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/vault"
)

// sealing opens what a real vault has sealed.
type sealing struct{ *vault.Vault }

func (s sealing) OfUser(_ *migration.User, sealed []byte) (migration.Secret, error) {
	return s.Open(sealed, "org")
}

func (s sealing) OfAdmin(e *migration.Endpoint) (migration.Secret, error) {
	return s.Open(e.AdminSecret, "org")
}

// TestAMissingMasterKeyIsNamed: the user waits, and is told by which key, and what to do;
// once it is there the user goes on.
func TestAMissingMasterKeyIsNamed(t *testing.T) {
	lost, given := vault.GenerateKey(), vault.GenerateKey()
	before, err := vault.Open(lost)
	must(t, err)
	u := alice()
	u.SourceSecret, err = before.Seal(migration.NewSecret("s"), "org")
	must(t, err)
	u.TargetSecret = u.SourceSecret
	w := newWorld(t, nil, u)
	after, err := vault.Open(given)
	must(t, err)
	w.Vault = sealing{after}
	got := w.run()
	id := func(key string) string { // what vault calls it
		_, err := after.Rewrap(u.SourceSecret)
		_, rest, _ := strings.Cut(err.Error(), key)
		return strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == ',' || r == ')' })[0]
	}
	missing, there := id("by the master key "), id("there are ")
	for _, want := range []string{"source mailbox", missing, there, "MAILHAUL_MASTER_KEY", "restart"} {
		if !strings.Contains(got.Reason, want) {
			t.Errorf("no %q in the reason: %s", want, got.Reason)
		}
	}
	if got.Status != migration.UserWaiting || got.Code != migration.Internal || got.NextRunAt.IsZero() || missing == there {
		t.Errorf("user %+v", got.UserState)
	}
	for _, key := range []string{lost, given} {
		if strings.Contains(got.Reason, key[5:20]) {
			t.Errorf("the reason gives away a key: %s", got.Reason)
		}
	}
	both, err := vault.Open(given + "," + lost)
	must(t, err)
	w.Vault = sealing{both}
	_, err = w.db.ChangeUser(t.Context(), got.ID, func(u *migration.User) error { u.NextRunAt = w.batch.StartedAt; return nil })
	must(t, err)
	if got = w.run(); got.Status != migration.UserSynced || got.Reason != "" {
		t.Errorf("with the key at hand: %+v", got.UserState)
	}
}
