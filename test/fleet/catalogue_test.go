package fleet_test

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/csv"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/imapmail/imapdemo"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/faultproxy"
)

// TestCatalogue provokes each code of the failure catalogue over TCP: a batch of one user
// a row, each with an endpoint of its own that stands before a healthy mail server and
// says what a provider says. It is a story of four chapters, told of all rows at once:
//
//  1. All batches are started.
//  2. Each user comes to where its code brings it. The API, the command line and the
//     report tell of it: code, the server's words, remedy. What waits says until when, what
//     rests is left alone.
//  3. The cause is mended, and the operator does what the remedy says; for what goes on by
//     itself, nothing.
//  4. Every user is in step, with all of its mail.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t)
	c.first()
	for _, r := range catalogueRows {
		c.begin(r)
	}
	for _, r := range refusals {
		c.refuse(r)
	}
	for _, r := range catalogueRows {
		c.await(r.name+" is told", func() bool { return c.untold(r) == "" }, func() string { return c.untold(r) })
	}
	for _, r := range catalogueRows {
		c.mend(r)
	}
	for _, r := range catalogueRows {
		c.await(r.name+" is in step", func() bool { return c.behind(r) == "" }, func() string { return c.behind(r) })
	}
}

// catalogueRow is a way to a code.
type catalogueRow struct {
	name string
	code migration.Code
	// side is where it arises, by harm in front of a healthy server; words is what is told
	// of the server's.
	side  migration.Side
	harm  []faultproxy.Fault
	words string
	// tls makes the proxy's certificate: for whom, and how long from now it is valid.
	tls      string
	valid    time.Duration
	security string // of the endpoint; "": none

	status migration.UserStatus // what the user comes to; "": by the code's class
	item   bool                 // the code is a message's or a folder's
	held   bool                 // the endpoint is held until it is changed
	parked bool                 // the endpoint, not the user, waits for another attempt
	waits  time.Duration        // how long the server asked for; 0: it named no time

	spec  func(*client.BatchSpec) // further options of the batch; nil: none
	daily int64                   // bytes of the endpoint
	// prepare does what has to be there before the batch is started; nil: nothing.
	prepare func(c *catalogue, r catalogueRow)
	// mail is how many messages there are, 0: as many as usual; slow is how many of them
	// the endpoint takes a second, 0: all.
	mail, slow int64

	// does is what the operator does once the cause is mended; nil: by the code's class.
	does func(c *catalogue, r catalogueRow)
	// alone: nobody does anything.
	alone bool
}

func (r catalogueRow) user() string {
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(r.name), "-"), "-")
}

func (r catalogueRow) email() string { return r.user() + "@example.org" }

func (r catalogueRow) messages() int64 { return cmp.Or(r.mail, catalogueMessages) }

const (
	cataloguePassword = "a fine password"
	catalogueMessages = 12
)

// catalogue is a service in one process, beside two healthy mail servers.
type catalogue struct {
	*service
	client   *client.Client
	old, new *imapdemo.Server
	proxies  map[string]*faultproxy.Proxy
	begun    map[string]time.Time
	resting  map[string]int // connections that came until a user came to rest
}

func newCatalogue(t *testing.T) *catalogue {
	t.Helper()
	s := &service{t: t, dir: t.TempDir()}
	s.database = filepath.Join(s.data(), "mailhaul.db")
	c := &catalogue{service: s, proxies: map[string]*faultproxy.Proxy{}, begun: map[string]time.Time{}, resting: map[string]int{}}
	users := []string{"mover"}
	for _, r := range catalogueRows {
		users = append(users, r.user())
	}
	c.old, c.new = c.server(nil), c.server(users)
	for _, r := range catalogueRows {
		if err := c.old.Fill(r.user(), cataloguePassword, int(r.messages())); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.old.Fill("mover", cataloguePassword, catalogueMessages); err != nil {
		t.Fatal(err)
	}
	s.up()
	var err error
	if c.client, err = client.New(client.Config{URL: s.api, Token: migration.NewSecret(s.token)}); err != nil {
		t.Fatal(err)
	}
	c.endpoint("old", c.old.Port(), client.EndpointSpec{})
	c.endpoint("new", c.new.Port(), client.EndpointSpec{})
	return c
}

func (c *catalogue) server(users []string) *imapdemo.Server {
	c.t.Helper()
	s, err := imapdemo.Start(users, cataloguePassword)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { must(c.t, s.Close()) })
	return s
}

func (c *catalogue) endpoint(name string, port int, spec client.EndpointSpec) {
	c.t.Helper()
	spec.Host, spec.Port, spec.Security = "127.0.0.1", port, cmp.Or(spec.Security, "none")
	if _, err := c.client.CreateEndpoint(c.t.Context(), client.NewEndpoint{Name: name, EndpointSpec: spec}, true); err != nil {
		c.t.Fatal(err)
	}
}

// begin starts the row's batch.
func (c *catalogue) begin(r catalogueRow) {
	c.t.Helper()
	name := r.user()
	server, options := c.old, faultproxy.Options{Faults: r.harm}
	spec := client.BatchSpec{Name: name, SourceEndpoint: name, TargetEndpoint: "new"}
	if r.side == migration.Target {
		server, spec.SourceEndpoint, spec.TargetEndpoint = c.new, "old", name
	}
	if r.spec != nil {
		r.spec(&spec)
	}
	if r.tls != "" {
		cert, _, err := faultproxy.Certificate(r.tls, r.valid)
		if err != nil {
			c.t.Fatal(err)
		}
		options.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	p := faultproxy.New(c.t, addr(server.Port()), options)
	c.proxies[name], c.begun[name] = p, time.Now()
	c.endpoint(name, p.Port, client.EndpointSpec{Security: r.security, DailyBytes: r.daily, MessagesPerSecond: r.slow})
	if _, err := c.client.CreateBatch(c.t.Context(), spec, name+".csv", c.rows(name)); err != nil {
		c.t.Fatalf("%s: %v", r.name, err)
	}
	if r.prepare != nil {
		r.prepare(c, r)
	}
	if _, err := c.client.Do(c.t.Context(), name, "start"); err != nil {
		c.t.Fatalf("%s: %v", r.name, err)
	}
}

// rows is a CSV file of these users.
func (c *catalogue) rows(users ...string) []byte {
	var b bytes.Buffer
	b.WriteString("EmailAddress,UserName,Password,TargetUserName,TargetPassword\n")
	for _, u := range users {
		fmt.Fprintf(&b, "%s@example.org,%s,%s,%s,%s\n", u, u, cataloguePassword, u, cataloguePassword)
	}
	return b.Bytes()
}

// await is service.await that tells what was missing last. It waits longer: what goes on
// by itself does so the later the longer the machine took to tell of all rows.
func (c *catalogue) await(what string, met func() bool, missing func() string) {
	c.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(4 * patience); !met(); <-tick.C {
		if time.Now().After(deadline) {
			c.t.Fatalf("not within %s: %s: %s", 4*patience, what, missing())
		}
	}
}

// untold says what is not yet as the catalogue has it; "": nothing.
func (c *catalogue) untold(r catalogueRow) string {
	u, err := c.client.User(c.t.Context(), r.user(), r.email())
	if err != nil {
		return err.Error()
	}
	if missing := c.unlike(r, u); missing != "" {
		return missing
	}
	if r.item {
		return c.unlisted(r)
	}
	if r.held || r.parked {
		if missing := c.unparked(r); missing != "" {
			return missing
		}
	}
	for _, told := range [][]string{
		{"user", "get", r.email(), "--batch", r.user()},
		{"user", "list", "--batch", r.user(), "--code", string(r.code)},
	} {
		if out := c.cli(told...); !strings.Contains(out, string(r.code)) || !strings.Contains(out, r.words) || !strings.Contains(out, migration.Clean(r.code.Remedy())) {
			return fmt.Sprintf("mailhaul %v tells\n%s", told, out)
		}
	}
	return c.unreported(r, "errors")
}

// unlike compares a user with where its code brings it.
func (c *catalogue) unlike(r catalogueRow, u client.User) string {
	now, class := time.Now(), r.code.Class()
	want := cmp.Or(r.status, map[migration.Class]migration.UserStatus{
		migration.FixAndResume: migration.UserFailed, migration.Retry: migration.UserWaiting, migration.Wait: migration.UserWaiting,
		migration.Decide: migration.UserSynced,
	}[class])
	is := fmt.Sprintf("it is %s with %q (%s), attempts %d, resumes at %v, next sync at %v, %+v", u.Status, u.Code, u.Reason, u.Attempts, u.ResumesAt, u.NextSyncAt, u.Messages)
	switch {
	case u.Status != string(want):
		return is + ", want " + string(want)
	case r.item && class == migration.Decide:
		return "" // told of the message, not of the user
	case u.Code != string(r.code) || !strings.Contains(u.Reason, r.words) || u.Remedy != r.code.Remedy():
		return is + ", remedy " + u.Remedy
	case r.held, r.parked:
		return "" // it is the endpoint that waits
	case class == migration.FixAndResume || class == migration.Decide:
		if u.ResumesAt != nil || (u.NextSyncAt != nil) != (r.code == migration.NeedsDecision) {
			return is + ", and does not rest"
		}
		c.resting[r.user()] = c.proxies[r.user()].Connections()
		return ""
	}
	wait := cmp.Or(r.waits, 5*time.Minute)
	if class == migration.Retry {
		wait = migration.Backoff(u.Attempts)
	}
	switch {
	case (u.Attempts > 0) != (class == migration.Retry):
		return is + ": the class " + string(class) + " counts otherwise"
	case u.ResumesAt == nil:
		return is
	case r.code == migration.BudgetExhausted:
		if !u.ResumesAt.After(now) || u.ResumesAt.Truncate(24*time.Hour) != *u.ResumesAt {
			return is + ": that is no end of a day"
		}
	case u.ResumesAt.Before(c.begun[r.user()].Add(wait-time.Second)) || u.ResumesAt.After(now.Add(wait)):
		return is + fmt.Sprintf(": that is not %s after the fault", wait)
	}
	return ""
}

// unlisted says what the items do not tell. The rest of the mail has come, and who waits
// for the batch learns by the exit code that something was left behind.
func (c *catalogue) unlisted(r catalogueRow) string {
	items, err := c.client.Items(c.t.Context(), r.user(), string(r.code))
	if err != nil || len(items) == 0 {
		return fmt.Sprintf("%v, error %v", items, err)
	}
	for _, i := range items {
		if i.EmailAddress != r.email() || !strings.Contains(i.Reason, r.words) || i.Remedy != r.code.Remedy() {
			return fmt.Sprintf("an item is %+v", i)
		}
	}
	told := []string{"user", "items", "--batch", r.user(), "--code", string(r.code)}
	if out := c.cli(told...); !strings.Contains(out, r.words) || !strings.Contains(out, migration.Clean(r.code.Remedy())) {
		return fmt.Sprintf("mailhaul %v tells\n%s", told, out)
	}
	if r.code.Class() == migration.Decide {
		u, err := c.client.User(c.t.Context(), r.user(), r.email())
		if err != nil || u.Messages.Skipped != int64(len(items)) || u.Messages.Copied+u.Messages.Skipped != r.messages() || u.Messages.Copied == 0 {
			return fmt.Sprintf("%d items, %+v, error %v", len(items), u.Messages, err)
		}
		if out, code := c.try("batch", "wait", r.user(), "--timeout", patience.String()); code != 3 {
			return fmt.Sprintf("batch wait exits with %d:\n%s", code, out)
		}
	}
	return c.unreported(r, "items")
}

// unparked says what is not told of the endpoint.
func (c *catalogue) unparked(r catalogueRow) string {
	e, err := c.client.Endpoint(c.t.Context(), r.user())
	if err != nil || e.Parked == nil || e.Parked.Code != string(r.code) || e.Parked.Remedy != r.code.Remedy() || e.Parked.Held != r.held || !strings.Contains(e.Parked.Reason, r.words) {
		return fmt.Sprintf("the endpoint is parked: %+v, error %v", e.Parked, err)
	}
	u, err := c.client.User(c.t.Context(), r.user(), r.email())
	reasons, whyErr := c.client.Why(c.t.Context(), r.user(), r.email())
	if err != nil || whyErr != nil || !agree(u, e.Parked.Until, reasons) {
		return fmt.Sprintf("it resumes at %v, the endpoint is parked until %v, user why tells %+v, errors %v, %v", u.ResumesAt, e.Parked.Until, reasons, err, whyErr)
	}
	why, code := c.try("user", "why", r.email(), "--batch", r.user())
	if code != 0 || !strings.Contains(why, r.words) || !strings.Contains(why, r.code.Remedy()) {
		return fmt.Sprintf("user why exits with %d and tells\n%s", code, why)
	}
	return ""
}

// agree tells whether a user that waits for its endpoint goes on when that is tried again,
// and is told so; no time at all where it is held.
func agree(u client.User, until *time.Time, why client.Why) bool {
	if until == nil {
		return u.ResumesAt == nil && !slices.ContainsFunc(why.Reasons, func(r client.Reason) bool { return r.Until != nil })
	}
	return u.ResumesAt != nil && u.ResumesAt.Equal(*until) && slices.ContainsFunc(why.Reasons, func(r client.Reason) bool { return r.Until != nil && r.Until.Equal(*until) })
}

// unreported says what is missing in a report.
func (c *catalogue) unreported(r catalogueRow, kind string) string {
	rows, err := csv.NewReader(strings.NewReader(c.cli("report", kind, r.user()))).ReadAll()
	if err != nil {
		return err.Error()
	}
	for _, row := range rows[1:] {
		told := map[string]string{}
		for i, cell := range row {
			told[rows[0][i]] = cell
		}
		if told["EmailAddress"] == r.email() && told["Code"] == string(r.code) && strings.Contains(told["Reason"], r.words) && told["Remedy"] == r.code.Remedy() {
			return ""
		}
	}
	return fmt.Sprintf("report %s says %q", kind, rows)
}

// mend takes the harm away, and does what the remedy says.
func (c *catalogue) mend(r catalogueRow) {
	c.t.Helper()
	name := r.user()
	p := c.proxies[name]
	if came, rests := c.resting[name]; rests && p.Connections() != came {
		c.t.Errorf("%s: %d connections came to a server that %s says to leave alone, %d before", r.name, p.Connections(), r.code, came)
	}
	p.Strike()
	switch class := r.code.Class(); {
	case r.does != nil:
		r.does(c, r)
	case r.alone || class == migration.Retry:
	case r.code == migration.AuthFailed:
		c.cli("user", "set-credentials", r.email(), "--batch", name, "--password-file", file(c.t, cataloguePassword+"\n"))
	default:
		c.cli("user", "retry", r.email(), "--batch", name)
	}
}

// behind says what keeps the user from being in step with all of its mail.
func (c *catalogue) behind(r catalogueRow) string {
	u, err := c.client.User(c.t.Context(), r.user(), r.email())
	if err != nil {
		return err.Error()
	}
	m := u.Messages
	if u.Status == string(migration.UserSynced) && m.Copied == r.messages() && m.Adopted+m.Skipped+m.Failed == 0 && u.Code == "" && u.Attempts == 0 && u.ResumesAt == nil {
		return ""
	}
	return fmt.Sprintf("it is %s with %q (%s), attempts %d, resumes at %v, %+v", u.Status, u.Code, u.Reason, u.Attempts, u.ResumesAt, m)
}

// pin trusts the certificate by the pin that the reason names.
func pin(c *catalogue, r catalogueRow) {
	e, err := c.client.Endpoint(c.t.Context(), r.user())
	if err != nil {
		c.t.Fatal(err)
	}
	found := regexp.MustCompile(`[0-9a-f]{64}`).FindString(e.Parked.Reason)
	c.cli("endpoint", "set", r.user(), "--tls-pin", found)
}

// syncAndEmpty brings the user in step, empties its INBOX at the source, and asks for a sync.
func syncAndEmpty(c *catalogue, r catalogueRow) {
	c.t.Helper()
	c.cli("batch", "start", r.user())
	c.await(r.name+" is in step before its INBOX is emptied", func() bool { return c.behind(r) == "" }, func() string { return c.behind(r) })
	emptied(c.t, c.old.Port(), r.user(), cataloguePassword)
	c.cli("batch", "sync", r.user())
}

// confirm gives the command that the reason names.
func confirm(c *catalogue, r catalogueRow) {
	c.t.Helper()
	u, err := c.client.User(c.t.Context(), r.user(), r.email())
	if err != nil {
		c.t.Fatal(err)
	}
	_, command, _ := strings.Cut(u.Reason, "to delete them: mailhaul ")
	if want := fmt.Sprintf("user confirm-deletions %s --batch %s --confirm %d", r.email(), r.user(), u.DeletionsAsked); command != want || u.DeletionsAsked == 0 {
		c.t.Fatalf("the reason names %q, want %q", command, want)
	}
	c.cli(strings.Fields(command)...)
	c.await(r.name+": what was confirmed is deleted", func() bool {
		now, err := c.client.User(c.t.Context(), r.user(), r.email())
		return err == nil && now.Messages.Deleted == u.DeletionsAsked && now.DeletionsAsked == 0
	}, func() string { return u.Reason })
}

// setEndpoint changes the row's endpoint: what waits for it goes on by itself.
func setEndpoint(args ...string) func(*catalogue, catalogueRow) {
	return func(c *catalogue, r catalogueRow) {
		c.cli(append([]string{"endpoint", "set", r.user()}, args...)...)
	}
}

// TestEveryCodeIsProvoked: no code that anything can say is without a row, or
// another test that is named below.
func TestEveryCodeIsProvoked(t *testing.T) {
	t.Parallel()
	known := map[migration.Code]bool{}
	for _, r := range catalogueRows {
		known[r.code] = true
	}
	for _, r := range refusals {
		known[r.code] = true
	}
	for code, test := range provokedElsewhere {
		if known[code] {
			t.Errorf("%s has a row, and is said to be provoked in %s alone", code, test)
		}
		known[code] = true
		dir, function, _ := strings.Cut(test, ".")
		files, err := filepath.Glob(filepath.Join("..", "..", dir, "*_test.go"))
		if err != nil || !slices.ContainsFunc(files, func(f string) bool {
			return bytes.Contains(read(t, f), []byte("\nfunc "+function+"("))
		}) {
			t.Errorf("%s: there is no %s (%v)", code, test, err)
		}
	}
	for _, code := range migration.Codes() {
		if !known[code] && !slices.Contains(unsaid, code) {
			t.Errorf("nothing provokes %s: give it a row in catalogueRows or refusals, or name its test", code)
		}
	}
}

// provokedElsewhere are codes that take more than one mailbox and one harm.
var provokedElsewhere = map[migration.Code]string{
	migration.LeftOutByPreset: "pkg/mailsync.TestFoldersLeftOutByDefault",
	migration.FolderNotWhole:  "pkg/mailsync.TestAFolderThatIsNotShownWhole",
}

// unsaid are codes of the move between two tenants, which cannot be made yet: the
// catalogue has their words.
var unsaid = []migration.Code{migration.SeatMissing, migration.MailboxOnHold, migration.NotAcceptedDomain}

// spoil writes rubbish over a user's sealed password: a fault of Mailhaul's own, as an
// operator would meet it.
func (c *catalogue) spoil(user string) {
	c.t.Helper()
	const spoil = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
db.execute("UPDATE users SET source_secret = x'00' WHERE email = ?", (sys.argv[2],))
db.commit()`
	if out, err := exec.Command("python3", "-c", spoil, c.database, user).CombinedOutput(); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
}
