package chaos_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

const (
	apis    = 2
	workers = 3
	limit   = 4 // passes at once at either endpoint
	// concurrency is so low that most accidents of a worker hit passes.
	concurrency = 2
)

const batchName = "pilot"

// fleet is Mailhaul's processes over one database and one Redis, and what they move.
type fleet struct {
	t        *testing.T
	dir      string // of the logs
	env      []string
	redis    *servers.Restartable
	database keeper
	old, new *servers.IMAP
	// newPort is where the workers reach the target.
	newPort int
	apis    [apis]*node
	workers [workers]*node

	aim    time.Duration // how long an accident waits for a pass that it can hit
	aiming sync.Mutex
	looked time.Time // for mailboxes on the brink; the one who aims holds it
	secrets
}

// newFleet starts everything but the workers.
func newFleet(t *testing.T, old *oldServer, database keeper, z size) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.TempDir(), redis: servers.RestartableRedis(t), database: database, old: old.IMAP, aim: z.aim}
	f.secrets = newSecrets(old.password)
	f.new = servers.Dovecot(t, servers.DovecotConfig{Extra: writesLogged + accepts(f.newPassword)})
	f.env = append(os.Environ(), "MAILHAUL_DATABASE_URL="+database.URL(), "MAILHAUL_REDIS_URL="+f.redis.URL,
		"MAILHAUL_MASTER_KEY="+f.masterKey, "MAILHAUL_BOOTSTRAP_TOKEN="+f.bootstrap,
		"MAILHAUL_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8", "MAILHAUL_LOG_LEVEL=debug", "MAILHAUL_RESYNC_INTERVAL=24h",
		fmt.Sprint("MAILHAUL_CONCURRENCY=", concurrency))
	for i := range f.apis {
		f.apis[i] = &node{name: fmt.Sprintf("api-%d", i), program: "api", address: addr(servers.FreePort(t))}
		f.start(f.apis[i])
		f.await("the API is ready", patience, f.apis[i].ready)
	}
	for i := range f.workers {
		f.workers[i] = &node{name: fmt.Sprintf("worker-%d", i), program: "worker", address: addr(servers.FreePort(t))}
	}
	f.create(z)
	return f
}

// create makes endpoints behind the delay, and the batch.
func (f *fleet) create(z size) {
	f.t.Helper()
	oldPort := servers.FreePort(f.t)
	f.newPort = servers.FreePort(f.t)
	args := []string{"-delay", "25ms"}
	if z.window > 0 {
		args = append(args, "-window", fmt.Sprint(z.window))
	}
	args = append(args, addr(oldPort)+"="+addr(f.old.Port), addr(f.newPort)+"="+addr(f.new.Port))
	servers.Program(f.t, f.newPort, exec.Command(filepath.Join(bin, "delayproxy"), args...))
	c := f.client(0)
	for name, port := range map[string]int{"old": oldPort, "new": f.newPort} {
		_, err := c.CreateEndpoint(f.t.Context(), client.NewEndpoint{Name: name, EndpointSpec: client.EndpointSpec{
			Host: "127.0.0.1", Port: port, Security: "none", MaxConcurrentMigrations: limit,
		}}, true)
		if err != nil {
			f.t.Fatal(err)
		}
	}
	var csv strings.Builder
	csv.WriteString("EmailAddress,UserName,Password,TargetUserName,TargetPassword\n")
	for i := range z.users {
		fmt.Fprintf(&csv, "%s@example.org,%s,%s,%s,%s\n", mailboxName(i), sourceOf(i), f.oldPassword, mailboxName(i), f.newPassword)
	}
	f.upload(batchName, csv.String())
}

// upload makes a batch of a CSV file.
func (f *fleet) upload(name, csv string) {
	f.t.Helper()
	spec := client.BatchSpec{Name: name, SourceEndpoint: "old", TargetEndpoint: "new"}
	if _, err := f.client(0).CreateBatch(f.t.Context(), spec, name+".csv", []byte(csv)); err != nil {
		f.t.Fatal(err)
	}
}

func mailboxName(i int) string { return fmt.Sprintf("t%04d", i) }

// sourceOf is whose mail user i has: that of one of few, because the source is only
// read.
func sourceOf(i int) string { return fmt.Sprintf("m%04d", i%sources) }

func (f *fleet) client(api int) *client.Client {
	c, err := client.New(client.Config{
		URL: "http://" + f.apis[api].address, Token: migration.NewSecret(f.token()), HTTP: &http.Client{Transport: f.told},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// batch asks any API that answers for the batch.
func (f *fleet) batch() (b client.Batch, err error) {
	for i := range f.apis {
		ctx, cancel := context.WithTimeout(f.t.Context(), 3*time.Second)
		b, err = f.client(i).Batch(ctx, batchName)
		cancel()
		if err == nil {
			return b, nil
		}
	}
	return b, err
}

func (f *fleet) await(what string, patience time.Duration, met func() bool) {
	f.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !met(); <-tick.C {
		if time.Now().After(deadline) {
			f.t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// redisDo sends one command to the Redis.
func (f *fleet) redisDo(command string) error {
	u, err := url.Parse(f.redis.URL)
	if err != nil {
		return err
	}
	c, err := net.DialTimeout("tcp", u.Host, time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprint(c, command+"\r\n"); err != nil {
		return err
	}
	answer := make([]byte, 512)
	n, err := c.Read(answer)
	if err == nil && answer[0] == '-' {
		return fmt.Errorf("%s: %s", command, answer[:n])
	}
	return err
}

func addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
