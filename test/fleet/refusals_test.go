package fleet_test

import (
	"fmt"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// turnedDown is a way to a code that the API answers a request with: nothing is begun.
type turnedDown struct {
	code  migration.Code
	exit  int                           // of the command line
	asks  func(c *catalogue) []string   // what the operator asks for
	words []string                      // what is told
	never string                        // what is not told
	then  func(c *catalogue) [][]string // what the remedy says to do: it passes
}

// ask is a command that needs nothing.
func ask(line string) func(*catalogue) []string {
	return func(*catalogue) []string { return strings.Fields(line) }
}

func (c *catalogue) csv(text []byte) string { return file(c.t, string(text)) }

// refusals come one after the other, after first.
var refusals = []turnedDown{
	{
		code: migration.DuplicateInOtherBatch, exit: 12, words: []string{`"first"`, "healthy@example.org"},
		asks: func(c *catalogue) []string {
			return []string{"batch", "create", "second", "--csv", c.csv(c.rows("healthy", "newcomer")), "--source", "old", "--target", "new"}
		},
		then: func(c *catalogue) [][]string {
			return [][]string{{"batch", "create", "second", "--csv", c.csv(c.rows("newcomer")), "--source", "old", "--target", "new"}}
		},
	},
	{
		code: migration.AlreadyBeingMoved, exit: 12, words: []string{"healthy@example.org"}, never: `"first"`,
		asks: func(c *catalogue) []string {
			return []string{"batch", "create", "theirs", "--org", "other", "--csv", c.csv(c.rows("healthy")), "--source", "old", "--target", "new"}
		},
		then: func(c *catalogue) [][]string {
			return [][]string{
				{"batch", "delete", "first", "--force"},
				{"batch", "create", "theirs", "--org", "other", "--csv", c.csv(c.rows("healthy")), "--source", "old", "--target", "new"},
				{"batch", "delete", "theirs", "--org", "other", "--confirm", "theirs"},
			}
		},
	},
	{
		code: migration.CsvEncoding, exit: 1, words: []string{"line 3", "windows-1252"},
		asks: func(c *catalogue) []string {
			return []string{"batch", "create", "latin", "--csv", c.csv(latin(c)), "--source", "old", "--target", "new", "--dry-run"}
		},
		then: func(c *catalogue) [][]string {
			return [][]string{{"batch", "create", "latin", "--csv", c.csv(latin(c)), "--source", "old", "--target", "new", "--dry-run", "--encoding", "windows-1252"}}
		},
	},
	{
		code: migration.CsvInvalid, exit: 1, words: []string{"line 1, Email Address", "EmailAddress"},
		asks: func(c *catalogue) []string {
			return []string{"batch", "create", "third", "--csv", c.csv([]byte("Email Address,UserName,Password\nann@example.org,ann,x\n")), "--source", "old", "--target", "new"}
		},
		then: func(c *catalogue) [][]string {
			return [][]string{{"batch", "create", "third", "--csv", c.csv(c.rows("ann")), "--source", "old", "--target", "new"}}
		},
	},
	{
		code: migration.NeedsDecision, exit: 1, words: []string{"--confirm"}, asks: ask("batch delete third"),
		then: func(*catalogue) [][]string { return [][]string{{"batch", "delete", "third", "--confirm", "third"}} },
	},
	{
		code: migration.NotFound, exit: 1, words: []string{`"third"`}, asks: ask("batch get third"),
		then: func(*catalogue) [][]string { return [][]string{{"batch", "get", "second"}} },
	},
	{
		code: migration.Unauthorized, exit: 11, asks: ask("batch get second --token nonsense"),
		then: func(*catalogue) [][]string { return [][]string{{"batch", "get", "second"}} },
	},
	{
		code: migration.Forbidden, exit: 11, words: []string{"operator"},
		asks: func(c *catalogue) []string {
			viewer, err := c.client.CreateToken(c.t.Context(), client.NewToken{Role: "viewer"})
			must(c.t, err)
			return []string{"batch", "set", "second", "--bad-item-limit", "3", "--token", viewer.Value}
		},
		then: func(*catalogue) [][]string { return [][]string{{"batch", "set", "second", "--bad-item-limit", "3"}} },
	},
	{
		code: migration.Conflict, exit: 12, words: []string{"in use by batch"}, asks: ask("endpoint delete old"),
		then: func(*catalogue) [][]string { return [][]string{{"endpoint", "get", "old"}} },
	},
	{
		code: migration.InvalidArgument, exit: 2, words: []string{"maxConcurrentMigrations"}, asks: ask("endpoint set old --max-concurrent-migrations -3"),
		then: func(*catalogue) [][]string {
			return [][]string{{"endpoint", "set", "old", "--max-concurrent-migrations", "30"}}
		},
	},
	{
		code: migration.NotReadyToRemove, exit: 1, asks: ask("batch delete moved"),
		then: func(*catalogue) [][]string { return [][]string{{"batch", "delete", "moved", "--force"}} },
	},
}

// latin is a file in Windows-1252.
func latin(c *catalogue) []byte {
	return append(c.rows("newcomer2"), []byte("m\xfcller@example.org,m\xfcller,x,m\xfcller,x\n")...)
}

// first makes what the refusals are about: a batch whose user is in step, and another
// organisation.
func (c *catalogue) first() {
	c.t.Helper()
	for _, b := range [][]string{{"first", "healthy"}, {"moved", "mover"}} {
		spec := client.BatchSpec{Name: b[0], SourceEndpoint: "old", TargetEndpoint: "new"}
		if _, err := c.client.CreateBatch(c.t.Context(), spec, b[0]+".csv", c.rows(b[1])); err != nil {
			c.t.Fatal(err)
		}
	}
	c.cli("batch", "start", "moved")
	c.cli("batch", "wait", "moved", "--timeout", patience.String())
	c.cli("org", "create", "other")
	for name, port := range map[string]int{"old": c.old.Port(), "new": c.new.Port()} {
		c.cli("endpoint", "create", name, "--org", "other", "--host", "127.0.0.1", "--port", fmt.Sprint(port), "--security", "none", "--no-test")
	}
}

// refuse asks for what is refused, and then for what the remedy says.
func (c *catalogue) refuse(r turnedDown) {
	c.t.Helper()
	asks := r.asks(c)
	out, code := c.try(asks...)
	for _, want := range append(r.words, string(r.code), r.code.Remedy()) {
		if code != r.exit || !strings.Contains(out, want) {
			c.t.Errorf("mailhaul %v exits with %d, want %d and %q:\n%s", asks, code, r.exit, want, out)
		}
	}
	if r.never != "" && strings.Contains(out, r.never) {
		c.t.Errorf("mailhaul %v tells of %s:\n%s", asks, r.never, out)
	}
	for _, args := range r.then(c) {
		if out, code := c.try(args...); code != 0 {
			c.t.Errorf("%s: mailhaul %v exits with %d:\n%s", r.code, args, code, out)
		}
	}
}
