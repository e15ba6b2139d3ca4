package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/servers"
)

const (
	apis    = 2
	workers = 3
	limit   = 4 // passes at once at either endpoint
	// concurrency is so low that most accidents of a worker hit passes.
	concurrency = 2
)

const (
	token     = "a-token-of-the-chaos-test"
	batchName = "pilot"
)

// fleet is Mailhaul's processes over one database and one Redis, and what they move.
type fleet struct {
	t        *testing.T
	dir      string // of the logs
	env      []string
	redis    *servers.Restartable
	database keeper
	new      *servers.IMAP
	apis     [apis]*node
	workers  [workers]*node
}

// node is a place at which a program runs, one process after another.
type node struct {
	name    string // of the log files
	program string
	address string

	mu      sync.Mutex // held while one process makes room for the next
	process *servers.Process
	starts  int
	began   time.Time
}

// newborn is how long a process may not be able yet to take a signal.
const newborn = 2 * time.Second

// newFleet starts everything but the workers.
func newFleet(t *testing.T, old *servers.IMAP, database keeper, users int) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.TempDir(), redis: servers.RestartableRedis(t), database: database}
	f.new = servers.Dovecot(t, servers.DovecotConfig{Extra: writesLogged})
	f.env = append(os.Environ(), "MAILHAUL_DATABASE_URL="+database.URL(), "MAILHAUL_REDIS_URL="+f.redis.URL,
		"MAILHAUL_MASTER_KEY="+vault.GenerateKey(), "MAILHAUL_BOOTSTRAP_TOKEN="+token,
		"MAILHAUL_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8", "MAILHAUL_LOG_LEVEL=debug", "MAILHAUL_RESYNC_INTERVAL=24h",
		fmt.Sprint("MAILHAUL_CONCURRENCY=", concurrency))
	for i := range f.apis {
		f.apis[i] = &node{name: fmt.Sprintf("api-%d", i), program: "api", address: addr(servers.FreePort(t))}
		f.start(f.apis[i])
		f.await("the API is ready", 30*time.Second, f.apis[i].ready)
	}
	for i := range f.workers {
		f.workers[i] = &node{name: fmt.Sprintf("worker-%d", i), program: "worker", address: addr(servers.FreePort(t))}
	}
	f.create(old, users)
	return f
}

// create makes endpoints behind the delay, and the batch.
func (f *fleet) create(old *servers.IMAP, users int) {
	f.t.Helper()
	oldPort, newPort := servers.FreePort(f.t), servers.FreePort(f.t)
	servers.Program(f.t, newPort, exec.Command(filepath.Join(bin, "delayproxy"), "-delay", "25ms",
		addr(oldPort)+"="+addr(old.Port), addr(newPort)+"="+addr(f.new.Port)))
	c := f.client(0)
	for name, port := range map[string]int{"old": oldPort, "new": newPort} {
		_, err := c.CreateEndpoint(f.t.Context(), client.NewEndpoint{Name: name, EndpointSpec: client.EndpointSpec{
			Host: "127.0.0.1", Port: port, Security: "none", MaxConcurrentMigrations: limit,
		}}, true)
		if err != nil {
			f.t.Fatal(err)
		}
	}
	var csv strings.Builder
	csv.WriteString("EmailAddress,UserName,Password,TargetUserName,TargetPassword\n")
	for i := range users {
		fmt.Fprintf(&csv, "%s@example.org,%s,%s,%s,%s\n", mailboxName(i), sourceOf(i), servers.Password, mailboxName(i), servers.Password)
	}
	spec := client.BatchSpec{Name: batchName, SourceEndpoint: "old", TargetEndpoint: "new"}
	if _, err := c.CreateBatch(f.t.Context(), spec, "pilot.csv", []byte(csv.String())); err != nil {
		f.t.Fatal(err)
	}
}

func mailboxName(i int) string { return fmt.Sprintf("t%04d", i) }

// sourceOf is whose mail user i has: that of one of few, because the source is only
// read.
func sourceOf(i int) string { return fmt.Sprintf("m%04d", i%sources) }

func (f *fleet) client(api int) *client.Client {
	c, err := client.New(client.Config{URL: "http://" + f.apis[api].address, Token: migration.NewSecret(token)})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// start starts the node's next process.
func (f *fleet) start(n *node) {
	n.starts++
	log, err := os.Create(filepath.Join(f.dir, fmt.Sprintf("%s-%02d.log", n.name, n.starts)))
	if err != nil {
		f.t.Error(err)
		return
	}
	defer func() { _ = log.Close() }() // the process has its own
	cmd := exec.Command(filepath.Join(bin, n.program))
	cmd.Env = slices.Concat(f.env, []string{"MAILHAUL_LISTEN=" + n.address})
	cmd.Stdout, cmd.Stderr = log, log
	n.process, n.began = servers.Start(f.t, cmd), time.Now()
}

func (n *node) ready() bool {
	res, err := http.Get("http://" + n.address + "/readyz")
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
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

// replace ends the process of a node by a signal; after a while another takes its
// place. It tells when the signal was sent.
func (n *node) replace(f *fleet, s syscall.Signal, next time.Duration) (at time.Time, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at = time.Now()
	if err := n.process.Signal(s); err != nil {
		return at, fmt.Errorf("%s: %w", s, err)
	}
	code, err := n.process.Wait(30 * time.Second)
	if err != nil {
		return at, err
	}
	if s == syscall.SIGTERM && code != 0 && (code != -1 || at.Sub(n.began) > newborn) {
		err = fmt.Errorf("it exits with %d after SIGTERM", code)
	}
	pause(next)
	f.start(n)
	return at, err
}

// freeze stops a node's process for a time; it may be killed meanwhile.
func (n *node) freeze(lasts time.Duration) error {
	n.mu.Lock()
	frozen := n.process
	n.mu.Unlock()
	if err := frozen.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	pause(lasts)
	if err := frozen.Signal(syscall.SIGCONT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// pause is how long an accident lasts: nothing is waited for.
func pause(d time.Duration) { <-time.After(d) }

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
