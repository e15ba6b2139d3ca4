package imapmail

import (
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// A login that has no folder, not even INBOX, has no mailbox: as an empty one it would be
// called in step with nothing copied.
func TestALoginWithoutAnyFolderHasNoMailbox(t *testing.T) {
	for side, want := range map[migration.Side]migration.Code{
		migration.Source: migration.AuthorizationMissing,
		migration.Target: migration.TargetNotFound,
	} {
		a := scripted(t, func(s *script) {
			s.welcome("LIST-EXTENDED")
			s.say("%s OK nothing", s.hear("LIST"))
		})
		a.Side = side
		_, err := opened(t, a).List(t.Context())
		if f := migration.AsFault(err); err == nil || f.Code != want || f.Scope != migration.ScopeUser {
			t.Errorf("%s: %v, want %s of the user", side, err, want)
		}
	}
}
