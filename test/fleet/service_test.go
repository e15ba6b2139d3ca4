package fleet_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/canary"
	"github.com/mailhaul/mailhaul/test/servers"
)

// service is Mailhaul's processes over one database and one Redis.
type service struct {
	t          *testing.T
	mail       *mail
	dir        string // of the logs
	database   string // file
	redis, key string
	bootstrap  string
	api, token string // URL of the API, and with what it is called
	plane      *server

	mu   sync.Mutex
	told bytes.Buffer // every answer of the API, every output of the command line
	logs []string     // files
}

// newService starts a Redis and an API that resyncs after interval.
func newService(t *testing.T, m *mail, interval time.Duration) *service {
	t.Helper()
	return newServiceOn(t, m, servers.Redis(t), interval)
}

// newServiceOn is newService on a Redis that runs.
func newServiceOn(t *testing.T, m *mail, redis string, interval time.Duration) *service {
	t.Helper()
	s := &service{t: t, mail: m, dir: t.TempDir(), redis: redis, key: vault.GenerateKey(), bootstrap: canary.Secret("token")}
	s.token, s.database = s.bootstrap, filepath.Join(s.dir, "mailhaul.db")
	s.plane = s.start("api", "MAILHAUL_RESYNC_INTERVAL="+interval.String())
	return s
}

// server is a process of ours with its health address.
type server struct {
	*servers.Process
	url string
}

// start starts bin/api or bin/worker and waits until it is ready.
func (s *service) start(program string, env ...string) *server {
	s.t.Helper()
	address := addr(servers.FreePort(s.t))
	cmd := exec.Command(filepath.Join(bin, program))
	cmd.Env = append(os.Environ(), "MAILHAUL_DATABASE_URL=sqlite://"+s.database, "MAILHAUL_REDIS_URL="+s.redis,
		"MAILHAUL_MASTER_KEY="+s.key, "MAILHAUL_BOOTSTRAP_TOKEN="+s.bootstrap, "MAILHAUL_LISTEN="+address,
		"MAILHAUL_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8", "MAILHAUL_LOG_LEVEL=debug")
	cmd.Env = append(cmd.Env, env...)
	p := s.run(program, cmd, "http://"+address)
	if program == "api" {
		s.api = p.url
	}
	return p
}

// run starts a process that writes its log to a file, and waits until it is ready.
func (s *service) run(name string, cmd *exec.Cmd, url string) *server {
	s.t.Helper()
	log, err := os.CreateTemp(s.dir, name+"-*.log")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the process has its own
	s.logs = append(s.logs, log.Name())
	s.t.Cleanup(func() {
		if body, err := os.ReadFile(log.Name()); s.t.Failed() && err == nil {
			s.t.Logf("%s ends with:\n%s", log.Name(), body[max(0, len(body)-4000):])
		}
	})
	cmd.Stdout, cmd.Stderr = log, log
	p := &server{servers.Start(s.t, cmd), url}
	s.await(name+" is ready", func() bool {
		select {
		case <-p.Ended():
			s.t.Fatalf("%s ended at once", name)
		default:
		}
		code, _ := s.get(url + "/readyz")
		return code == http.StatusOK
	})
	return p
}

// kill ends a process as a crash would.
func (s *service) kill(p *server) {
	s.t.Helper()
	must(s.t, p.Signal(syscall.SIGKILL))
	if _, err := p.Wait(10 * time.Second); err != nil {
		s.t.Fatal(err)
	}
}

// terminate asks a process to end; it must exit with 0, and cut no request off.
func (s *service) terminate(p *server, within time.Duration) {
	s.t.Helper()
	begun := time.Now()
	must(s.t, p.Signal(syscall.SIGTERM))
	code, err := p.Wait(within)
	if code != 0 || err != nil {
		s.t.Fatalf("%s after SIGTERM: exit code %d, %v; want 0 within %s", p.url, code, err, within)
	}
	if n := s.logged("requests were cut off"); n > 0 {
		s.t.Errorf("%d times requests were cut off at the end", n)
	}
	s.t.Logf("%s ended %s after SIGTERM", p.url, time.Since(begun).Round(time.Millisecond))
}

// cli runs the command line and returns what it wrote to stdout; it must exit with 0.
func (s *service) cli(args ...string) string {
	s.t.Helper()
	out, code := s.try(args...)
	if code != 0 {
		s.t.Fatalf("mailhaul %v exits with %d:\n%s", args, code, out)
	}
	return out
}

func (s *service) try(args ...string) (stdout string, code int) {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "mailhaul"), args...)
	cmd.Env = append(os.Environ(), "MAILHAUL_API="+s.api, "MAILHAUL_TOKEN="+s.token)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		s.t.Errorf("mailhaul %v: %v", args, err)
		return "", -1
	}
	s.hear(out.Bytes())
	s.hear(stderr.Bytes())
	if code = cmd.ProcessState.ExitCode(); code != 0 {
		out.Write(stderr.Bytes())
	}
	return out.String(), code
}

// hear keeps what a process told, for the canary.
func (s *service) hear(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told.Write(b)
}

// get asks for a page; code 0 means that nobody answers.
func (s *service) get(url string) (code int, body string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	s.hear(b)
	return res.StatusCode, string(b)
}

// batch asks the API for the batch.
func (s *service) batch() (b client.Batch) {
	s.t.Helper()
	code, body := s.get(s.api + "/v1/orgs/default/batches/" + batchName)
	if err := json.Unmarshal([]byte(body), &b); code != http.StatusOK || err != nil {
		s.t.Errorf("batch: %d %s", code, body)
	}
	return b
}

const batchName = "pilot"

// endpoints makes the two endpoints.
func (s *service) endpoints() {
	s.t.Helper()
	for name, port := range map[string]int{"old": s.mail.oldPort, "new": s.mail.newPort} {
		s.cli("endpoint", "create", name, "--host", "127.0.0.1", "--port", fmt.Sprint(port), "--security", "none")
	}
}

// create makes endpoints and batch, and starts the batch.
func (s *service) create(more ...string) {
	s.t.Helper()
	s.endpoints()
	s.cli(append([]string{"batch", "create", batchName, "--csv", s.mail.csv(), "--source", "old", "--target", "new"}, more...)...)
}

// await waits until a condition is met that other processes bring about.
func (s *service) await(what string, met func() bool) {
	s.t.Helper()
	await(s.t, what, met)
}

// awaitCopying waits until the batch is in mid-copy.
func (s *service) awaitCopying() {
	s.t.Helper()
	s.await("messages are being copied", func() bool {
		b := s.batch()
		if b.Status != "Created" && b.Status != "Syncing" {
			s.t.Fatalf("the batch is %s before anything could be disturbed", b.Status)
		}
		return b.Messages.Copied > 0
	})
}

// awaitSynced waits until the batch is in step, and has the mailboxes compared.
func (s *service) awaitSynced() {
	s.t.Helper()
	s.cli("batch", "wait", batchName, "--timeout", patience.String())
	s.mail.same()
}

// patience is how long a test waits for what is to come; a machine that runs all of them
// at once takes its time.
const patience = 3 * time.Minute

func await(t *testing.T, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !met(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// logged counts the lines of all logs that hold text.
func (s *service) logged(text string) (n int) {
	s.t.Helper()
	for _, path := range s.logs {
		body, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		n += strings.Count(string(body), text)
	}
	return n
}
