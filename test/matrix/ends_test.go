package matrix_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/imapmail/imapdemo"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// kind is one way to run a mail server.
type kind struct {
	name  string
	start func(t *testing.T, users []string) int // returns the port of plain IMAP
	// nul says that the harness's mail with NULs may be given to it: the server in
	// memory reads no literal8, and one Cyrus goes without, so that mbsync can read it.
	nul bool
	// prefix is of its folders' names where it does not tell it (NAMESPACE).
	prefix string
}

func dovecot(name string, c servers.DovecotConfig) kind {
	return kind{name, func(t *testing.T, _ []string) int { return servers.Dovecot(t, c).Port }, true, ""}
}

func cyrus(name string, c servers.CyrusConfig) kind {
	return kind{name, func(t *testing.T, users []string) int {
		s := servers.Cyrus(t, c)
		s.AddUsers(t, users...)
		return s.Port
	}, !c.UnixHierarchy, ""}
}

func courier(name string, c servers.CourierConfig) kind {
	return kind{name, func(t *testing.T, users []string) int {
		s := servers.Courier(t, c)
		s.AddUsers(t, users...)
		return s.Port
	}, true, ""}
}

func memory(t *testing.T, users []string) int {
	s, err := imapdemo.Start(users, servers.Password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.Port()
}

// kinds are the servers of the matrix. Each differs from its neighbours, so that the
// short form, which copies from each to the next, meets every one on both sides.
var kinds = []kind{
	dovecot("dovecot maildir /", servers.DovecotConfig{}),
	cyrus("cyrus .", servers.CyrusConfig{}),
	dovecot("dovecot mdbox .", servers.DovecotConfig{Format: "mdbox", Separator: "."}),
	courier("courier", servers.CourierConfig{}),
	dovecot("dovecot maildir .", servers.DovecotConfig{Separator: "."}),
	{"memory", memory, false, ""},
	cyrus("cyrus /", servers.CyrusConfig{UnixHierarchy: true}),
	dovecot("dovecot mdbox /", servers.DovecotConfig{Format: "mdbox"}),
}

// What Dovecot advertises, of what matters to a copy; the names that are switched off.
const (
	everything = "IMAP4rev1 SASL-IR LITERAL+ ENABLE IDLE SORT NAMESPACE UIDPLUS UNSELECT CHILDREN ESEARCH WITHIN " +
		"CONDSTORE QRESYNC LIST-EXTENDED LIST-STATUS MULTIAPPEND MOVE SPECIAL-USE STATUS=SIZE BINARY"
	switched = "LITERAL+ MULTIAPPEND UIDPLUS CONDSTORE LIST-STATUS LIST-EXTENDED SPECIAL-USE NAMESPACE ESEARCH ENABLE"
)

// without hides capabilities, and those that imply them.
func without(words ...string) string {
	implied := map[string][]string{"CONDSTORE": {"QRESYNC"}, "LIST-EXTENDED": {"LIST-STATUS"}}
	hidden := map[string]bool{}
	for _, w := range words {
		hidden[w] = true
		for _, x := range implied[w] {
			hidden[x] = true
		}
	}
	var out []string
	for _, w := range strings.Fields(everything) {
		if !hidden[w] {
			out = append(out, w)
		}
	}
	return strings.Join(out, " ")
}

// account is the source's user, to fill its mailbox.
func account(port int) imapmail.Account {
	return imapmail.Account{
		Host: "127.0.0.1", Port: port, Security: migration.Plain, Side: migration.Source,
		User: "u0000", Password: migration.NewSecret(servers.Password),
	}
}

func address(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

func bench(script string) string { return filepath.Join("..", "..", "bench", script) }
