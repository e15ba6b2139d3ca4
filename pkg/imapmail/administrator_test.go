package imapmail

import (
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/provider"
)

// What an administrator's login looks like on the wire, letter by letter, of the systems
// that nobody can start for a test.
func TestAdministratorsLoginOnTheWire(t *testing.T) {
	for preset, want := range map[string]string{
		"exchange":  `LOGIN "corp.example.com/root/anna.b" "hush"`,
		"mirapoint": `LOGIN "#anna.b@corp.example.com#root#" "hush"`,
	} {
		t.Run(preset, func(t *testing.T) {
			p, ok := provider.Lookup(preset)
			if !ok {
				t.Fatal("there is no such preset")
			}
			heard := make(chan string, 1)
			a := scripted(t, func(s *script) {
				s.say("* OK ready")
				line := s.line()
				heard <- line
				s.say("%s NO [AUTHENTICATIONFAILED] no", line[:strings.IndexByte(line, ' ')])
			})
			l := p.Apply(migration.EndpointSpec{AdminUser: "root"}).AdminLogin("anna.b@corp.example.com")
			a.User, a.AuthorizationID = l.User, l.AuthorizationID
			_ = failsToOpen(t, a, Options{}, migration.AuthFailed, migration.ScopeUser)
			_, got, _ := strings.Cut(<-heard, " ")
			if got != want {
				t.Errorf("heard %s\nwant  %s", got, want)
			}
		})
	}
}
