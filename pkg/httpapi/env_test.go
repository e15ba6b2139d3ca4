package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/discover"
	"github.com/mailhaul/mailhaul/pkg/httpapi"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/store"
	"github.com/mailhaul/mailhaul/pkg/store/storetest"
	"github.com/mailhaul/mailhaul/pkg/vault"
)

const bootstrap = "bootstrap-token-of-the-tests"

// env is the API over a real store and a real vault; mail servers are played.
type env struct {
	t      *testing.T
	dir    string
	store  *store.Store
	key    string // of the vault
	server *httptest.Server
	mail   *servers
	log    *lockedBuffer
	owner  string
	kicks  chan struct{}
	steps  []discover.Step // what a discovery asks and is told
	ahead  atomic.Int64    // how far the API's clock is ahead, as a time.Duration
}

// newEnv is the API over a new SQLite database.
func newEnv(t *testing.T) *env {
	t.Helper()
	return newEnvOver(t, "")
}

// newEnvOver is the API over an empty database.
func newEnvOver(t *testing.T, database string) *env {
	t.Helper()
	e := &env{t: t, dir: t.TempDir(), mail: &servers{}, log: &lockedBuffer{}, owner: bootstrap, kicks: make(chan struct{}, 1000)}
	if database == "" {
		database = storetest.SQLite(t, filepath.Join(e.dir, "m.db"))
	}
	var err error
	if e.store, err = store.Open(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	e.key = vault.GenerateKey()
	sealer, err := vault.Open(e.key)
	if err != nil {
		t.Fatal(err)
	}
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(e.log), zap.DebugLevel))
	c := control.New(control.Config{Store: e.store, Vault: sealer, Tester: e.mail, Discoverer: e, Dispatcher: kicker(e.kicks), Log: log})
	closing := make(chan struct{})
	e.server = httptest.NewServer(httpapi.New(httpapi.Config{
		Control: c, Store: e.store, Bootstrap: migration.NewSecret(bootstrap), Log: log,
		EventsEvery: 5 * time.Millisecond, Closing: closing,
		Now: func() time.Time { return time.Now().UTC().Add(time.Duration(e.ahead.Load())) },
	}))
	t.Cleanup(func() {
		close(closing)
		e.server.Close()
		if err := e.store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return e
}

// Steps plays the finder of mail servers.
func (e *env) Steps(context.Context, discover.Question) iter.Seq[discover.Step] {
	return slices.Values(e.steps)
}

type kicker chan struct{}

func (k kicker) Kick() { k <- struct{}{} }

// lockedBuffer takes a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// servers plays mail servers: every login is taken unless it is a made-up one.
type servers struct {
	mu   sync.Mutex
	open bool             // takes the administrator for anybody
	down *migration.Fault // nothing listens
	// downAt is a host where nothing listens.
	downAt string
	seen   []control.Probe
}

func (s *servers) Test(_ context.Context, p control.Probe) []control.Stage {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, p)
	if s.down != nil {
		return []control.Stage{{Name: "DNS", OK: true}, {Name: "TCP", Fault: s.down}}
	}
	out := []control.Stage{{Name: "DNS", OK: true}, {Name: "TCP", OK: true}, {Name: "greeting", OK: true}}
	if p.Host == s.downAt {
		f := migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, "", "connect: refused", nil)
		return append(out[:1], control.Stage{Name: "TCP", Fault: f})
	}
	if p.User == "" {
		return out
	}
	if !s.open && strings.Contains(p.User+p.AuthorizationID, "mailhaul-") {
		f := migration.NewFault(migration.AuthFailed, migration.ScopeUser, "", "NO authentication failed", nil)
		return append(out, control.Stage{Name: "login", Fault: f})
	}
	return append(out, control.Stage{Name: "login", OK: true}, control.Stage{Name: "LIST", OK: true})
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("status %d, not JSON: %v: %s", a.status, err, a.body)
	}
	return v
}

// request is one to be made; body is JSON unless it has a content type.
type request struct {
	method, path, token string
	body                any
	contentType         string
	header              map[string]string
}

func (e *env) do(r request) answer {
	e.t.Helper()
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	case []byte:
		body = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			e.t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(e.t.Context(), r.method, e.server.URL+r.path, body)
	if err != nil {
		e.t.Fatal(err)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.contentType == "" {
		r.contentType = "application/json"
	}
	if body != nil {
		req.Header.Set("Content-Type", r.contentType)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	res, err := e.server.Client().Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	a := answer{res.StatusCode, res.Header, string(text)}
	openAPI().keepsTo(e.t, r.method, r.path, a)
	return a
}

// as makes a request and fails the test unless the status is want.
func (e *env) as(token, method, path string, body any, want int) map[string]any {
	e.t.Helper()
	a := e.do(request{method: method, path: path, token: token, body: body})
	if a.status != want {
		e.t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, want, a.body)
	}
	if a.body == "" {
		return nil
	}
	return a.json(e.t)
}

func (e *env) upload(token, path, spec, fileName, csv string) answer {
	e.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if spec != "" {
		if err := form.WriteField("spec", spec); err != nil {
			e.t.Fatal(err)
		}
	}
	part, err := form.CreateFormFile("csv", fileName)
	if err != nil {
		e.t.Fatal(err)
	}
	_, _ = io.WriteString(part, csv)
	if err := form.Close(); err != nil {
		e.t.Fatal(err)
	}
	return e.do(request{method: http.MethodPost, path: path, token: token, body: body.Bytes(), contentType: form.FormDataContentType()})
}

// token makes a token of an organisation.
func (e *env) token(org string, role migration.Role) string {
	e.t.Helper()
	// The first token ends the bootstrap token: make an owner's before all others.
	if e.owner == bootstrap {
		e.owner = e.as(bootstrap, "POST", "/v1/orgs/default/tokens", map[string]any{"role": "owner"}, 201)["token"].(string)
	}
	return e.as(e.owner, "POST", "/v1/orgs/"+org+"/tokens", map[string]any{"role": string(role)}, 201)["token"].(string)
}

// endpoints makes the two endpoints of an organisation.
func (e *env) endpoints(token, org string) {
	e.t.Helper()
	for _, name := range []string{"old", "new"} {
		e.as(token, "POST", "/v1/orgs/"+org+"/endpoints", map[string]any{"name": name, "host": name + ".example.com"}, 201)
	}
}

const (
	spec  = `{"sourceEndpoint":"old","targetEndpoint":"new"}`
	users = "EmailAddress,UserName,Password,TargetPassword\n" +
		"ann@example.com,ann,one,1\nbob@example.com,bob,two,2\neve@example.com,eve,three,3\n"
)

// batch makes the batch "pilot" of three users.
func (e *env) batch(token, org string) {
	e.t.Helper()
	if a := e.upload(token, "/v1/orgs/"+org+"/batches", spec, "pilot.csv", users); a.status != 201 {
		e.t.Fatalf("create batch: %d %s", a.status, a.body)
	}
}

// pass runs a pass of every user that is due, and lets it end with fault.
func (e *env) pass(fault *migration.Fault) {
	e.t.Helper()
	ctx, now := e.t.Context(), time.Now().UTC()
	leases, err := e.store.Admit(ctx, now, 100)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, l := range leases {
		if _, err := e.store.Claim(ctx, l.Token, "worker"); err != nil {
			e.t.Fatal(err)
		}
		u, err := e.store.UserByID(ctx, l.UserID)
		if err != nil {
			e.t.Fatal(err)
		}
		tally := migration.Tally{Folders: 1, FoldersDone: 1, Seen: 10, Copied: 9, Skipped: 1, Bytes: 900, BytesTotal: 1000}
		items := []migration.Item{{Folder: "INBOX", UID: 7, MessageID: "<7@x>", Size: 100, Code: migration.MessageTooLarge, Reason: "too large"}}
		if fault != nil {
			tally, items = migration.Tally{}, nil
		}
		res := migration.Result{Kind: l.Kind, Tally: tally, Progress: fault == nil, Fault: fault}
		next := migration.Advance(u.ID, u.UserState, res, migration.Schedule{Interval: time.Hour}, now)
		totals := u.Totals.Add(tally)
		if err := e.store.Finish(ctx, l.Token, next, totals, tally, items, nil); err != nil {
			e.t.Fatal(err)
		}
	}
}
