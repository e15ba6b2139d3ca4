package fleet_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/servers"
)

const token = "a-token-of-the-fleet-bench"

// programs are bin/api and bin/worker over one database and one Redis.
type programs struct {
	b      *testing.B
	dir    string
	env    []string
	api    string // HOST:PORT
	client *client.Client
}

// newPrograms starts an API over a database.
func newPrograms(b *testing.B, database string) *programs {
	b.Helper()
	p := &programs{b: b, dir: b.TempDir()}
	p.env = append(os.Environ(), "MAILHAUL_DATABASE_URL="+database, "MAILHAUL_REDIS_URL="+servers.Redis(b),
		"MAILHAUL_MASTER_KEY="+vault.GenerateKey(), "MAILHAUL_BOOTSTRAP_TOKEN="+token, "MAILHAUL_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8")
	p.api = p.start("api")
	var err error
	if p.client, err = client.New(client.Config{URL: "http://" + p.api, Token: migration.NewSecret(token)}); err != nil {
		b.Fatal(err)
	}
	return p
}

// start starts a program and returns its address once it is ready.
func (p *programs) start(name string, env ...string) string {
	p.b.Helper()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(servers.FreePort(p.b)))
	cmd := exec.Command(filepath.Join(bin, name))
	cmd.Env = slices.Concat(p.env, []string{"MAILHAUL_LISTEN=" + address}, env)
	servers.Start(p.b, cmd)
	await(p.b, name+" is ready", 20*time.Second, func() bool {
		res, err := http.Get("http://" + address + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return address
}

// batch makes a batch of n users; row makes the lines of the file.
func (p *programs) batch(ctx context.Context, name string, n int, row func(i int) string) {
	p.b.Helper()
	var csv strings.Builder
	csv.WriteString("EmailAddress,UserName,Password,TargetUserName,TargetPassword\n")
	for i := range n {
		csv.WriteString(row(i) + "\n")
	}
	spec := client.BatchSpec{Name: name, SourceEndpoint: "old", TargetEndpoint: "new"}
	if _, err := p.client.CreateBatch(ctx, spec, name+".csv", []byte(csv.String())); err != nil {
		p.b.Fatal(err)
	}
}

// logStamped makes a Dovecot's log tell the time to the microsecond.
const logStamped = `log_timestamp = "%s.%{usecs} "` + "\n"

var (
	loginLine = regexp.MustCompile(`^(\d+)\.(\d{6}) imap-login: Info: Login: user=<([^>]*)>.* session=<([^>]*)>`)
	leaveLine = regexp.MustCompile(`^(\d+)\.(\d{6}) imap\(([^)]*)\)<\d+><([^>]*)>: Info: (Disconnected|Connection closed)`)
)

// change is a moment at which users came or went.
type change struct {
	at    time.Time
	users int // with a connection, from now on
}

// occupancy tells from a Dovecot's log how many users had connections, and when.
func occupancy(b *testing.B, path string) (changes []change) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	type event struct {
		at   time.Time
		user string
		by   int
	}
	var events []event
	known := map[string]bool{} // sessions that have logged in
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if m := loginLine.FindStringSubmatch(lines.Text()); m != nil {
			known[m[4]] = true
			events = append(events, event{stamp(m), m[3], 1})
		} else if m := leaveLine.FindStringSubmatch(lines.Text()); m != nil && known[m[4]] {
			events = append(events, event{stamp(m), m[3], -1})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at.UnixMicro(), b.at.UnixMicro()) })
	connections := map[string]int{}
	for _, e := range events {
		if connections[e.user] += e.by; connections[e.user] == 0 {
			delete(connections, e.user)
		}
		changes = append(changes, change{e.at, len(connections)})
	}
	return changes
}

func stamp(m []string) time.Time {
	s, _ := strconv.ParseInt(m[1], 10, 64)
	us, _ := strconv.ParseInt(m[2], 10, 64)
	return time.UnixMicro(s*1e6 + us)
}

// within returns the most users at once and the mean between two times.
func within(changes []change, from, to time.Time) (most int, mean float64) {
	now, since := 0, from
	for _, c := range changes {
		if c.at.After(to) {
			break
		}
		if c.at.After(from) {
			mean += float64(now) * c.at.Sub(since).Seconds()
			most, since = max(most, now), c.at
		}
		now = c.users
	}
	mean += float64(now) * to.Sub(since).Seconds()
	return max(most, now), mean / to.Sub(from).Seconds()
}

// lastRise is when the last user came: after that fewer are left than there is room
// for.
func lastRise(changes []change) time.Time {
	for i := len(changes) - 1; i > 0; i-- {
		if changes[i].users > changes[i-1].users {
			return changes[i].at
		}
	}
	return time.Time{}
}

func userRow(i int) string {
	return fmt.Sprintf("t%05d@example.org,m%04d,%s,t%05d,%s", i, i%4, servers.Password, i, servers.Password)
}
