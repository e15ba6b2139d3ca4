package imapmail_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// capability is what Dovecot 2.3 offers, of what matters here.
const capability = "IMAP4rev1 SASL-IR LITERAL+ ENABLE IDLE SORT NAMESPACE UIDPLUS UNSELECT CHILDREN ESEARCH WITHIN " +
	"CONDSTORE QRESYNC LIST-EXTENDED LIST-STATUS MULTIAPPEND MOVE SPECIAL-USE STATUS=SIZE BINARY LITERAL-"

func without(words ...string) string {
	var out []string
	for _, w := range strings.Fields(capability) {
		hidden := false
		for _, x := range words {
			hidden = hidden || w == x
		}
		if !hidden {
			out = append(out, w)
		}
	}
	return strings.Join(out, " ")
}

// compressing has Dovecot offer COMPRESS=DEFLATE.
const compressing = "mail_plugins = zlib\nprotocol imap {\n  mail_plugins = zlib imap_zlib\n}\n"

var users atomic.Int64

func account(s *servers.IMAP) imapmail.Account {
	return imapmail.Account{
		Host: s.Host, Port: s.Port, Security: migration.Plain, Side: migration.Target,
		User: fmt.Sprintf("u%d", users.Add(1)), Password: migration.NewSecret(servers.Password),
	}
}

// suite runs the port's conformance suite; each subtest is a user of its own. Users
// are made many at once: it takes a process.
func suite(t *testing.T, s *servers.IMAP) {
	var made []imapmail.Account
	mailboxtest.Run(t, func(t *testing.T) mailbox.Opener {
		if len(made) == 0 {
			var names []string
			for range 40 {
				made = append(made, account(s))
				names = append(names, made[len(made)-1].User)
			}
			s.AddUsers(t, names...)
		}
		a := made[0]
		made = made[1:]
		a.Compress = true // where it is offered
		return imapmail.NewOpener(a, imapmail.Options{})
	})
}

func TestDovecotConforms(t *testing.T) {
	for name, c := range map[string]servers.DovecotConfig{
		"maildir":                         {},
		"compressed":                      {Extra: compressing},
		"mdbox with dots":                 {Format: "mdbox", Separator: "."},
		"sdbox":                           {Format: "sdbox"},
		"no MULTIAPPEND":                  {Capability: without("MULTIAPPEND")},
		"no LITERAL+":                     {Capability: without("LITERAL+", "LITERAL-")},
		"LITERAL- alone":                  {Capability: without("LITERAL+")},
		"no UIDPLUS":                      {Capability: without("UIDPLUS")},
		"no LIST-STATUS":                  {Capability: without("LIST-STATUS")},
		"no LIST-EXTENDED":                {Capability: without("LIST-STATUS", "LIST-EXTENDED", "SPECIAL-USE")},
		"no CONDSTORE":                    {Capability: without("CONDSTORE", "QRESYNC")},
		"no NAMESPACE":                    {Capability: without("NAMESPACE")},
		"IMAP4rev1 and nothing else":      {Capability: "IMAP4rev1"},
		"IMAP4rev2 advertised all around": {Capability: "IMAP4rev2 " + capability},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite(t, servers.Dovecot(t, c))
		})
	}
}

func TestCyrusConforms(t *testing.T) {
	for name, c := range map[string]servers.CyrusConfig{
		"below INBOX with dots":      {},
		"beside INBOX with slashes":  {UnixHierarchy: true},
		"no LITERAL+ or MULTIAPPEND": {Suppress: "LITERAL+ MULTIAPPEND"},
		"IMAP4rev1 and little else":  {Suppress: "LITERAL+ MULTIAPPEND UIDPLUS CONDSTORE QRESYNC LIST-STATUS LIST-EXTENDED SPECIAL-USE CREATE-SPECIAL-USE NAMESPACE ESEARCH ENABLE BINARY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite(t, servers.Cyrus(t, c))
		})
	}
}

func TestCourierConforms(t *testing.T) {
	for name, c := range map[string]servers.CourierConfig{
		"as it comes":                {},
		"IMAP4rev1 and nothing else": {Capability: "IMAP4rev1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite(t, servers.Courier(t, c))
		})
	}
}
