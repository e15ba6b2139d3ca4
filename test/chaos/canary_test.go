package chaos_test

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/canary"
)

// secrets are what a run may keep nowhere and tell nobody.
type secrets struct {
	oldPassword, newPassword string // of the mailboxes
	wrong                    string // a password that no server takes
	bootstrap, owner         string // tokens
	masterKey                string
	// told is every answer that the APIs and the workers gave.
	told *listener
}

func newSecrets(oldPassword string) secrets {
	return secrets{
		oldPassword: oldPassword, newPassword: canary.Secret("new"), wrong: canary.Secret("wrong"),
		bootstrap: canary.Secret("token"), masterKey: vault.GenerateKey(), told: &listener{},
	}
}

// token is what the API is called with.
func (s *secrets) token() string {
	if s.owner != "" {
		return s.owner
	}
	return s.bootstrap
}

func (s *secrets) all() []string {
	return []string{s.oldPassword, s.newPassword, s.wrong, s.bootstrap, s.owner, s.masterKey}
}

// listener is a transport that keeps what was answered.
type listener struct {
	mu   sync.Mutex
	kept bytes.Buffer
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/tokens") && res.StatusCode == http.StatusCreated {
		return res, nil // a token's value is told this once
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = res.Header.Write(&l.kept)
	l.kept.Write(body)
	return res, nil
}

// refused is the batch of users that no server lets in.
const refused = "refused"

// plant puts secrets also where errors come from: passwords that no server takes, in
// passes and in requests that are refused.
func (f *fleet) plant() {
	f.t.Helper()
	made, err := f.client(0).CreateToken(f.t.Context(), client.NewToken{Role: "owner"})
	if err != nil {
		f.t.Fatal(err)
	}
	f.owner = made.Value
	f.upload(refused, "EmailAddress,UserName,Password,TargetUserName,TargetPassword\n"+
		"r1@example.org,m0000,"+f.wrong+",r1,"+f.newPassword+"\nr2@example.org,m0000,"+f.oldPassword+",r2,"+f.wrong+"\n")
	if _, err := f.client(0).Do(f.t.Context(), refused, "start"); err != nil {
		f.t.Fatal(err)
	}
	const org = "/v1/orgs/default"
	csv := "EmailAddress,Password\\n" + f.wrong + "," + f.newPassword + "\\n"
	for path, body := range map[string]string{
		org + "/endpoints":                                        `{"name":"bad","host":"127.0.0.1","adminPassword":"` + f.wrong + `"}`,
		org + "/endpoints?skipTest=true":                          `{"name":"bad","adminPassword":["` + f.wrong + `"]}`,
		org + "/endpoints/new/test":                               `{"user":"r1","password":"` + f.wrong + `"}`,
		org + "/endpoints/none/test":                              `{"user":"r1","password":"` + f.wrong + `"}`,
		org + "/batches":                                          `{"name":"bad","sourceEndpoint":"old","targetEndpoint":"new","csv":"` + csv + `"}`,
		org + "/batches/pilot/users":                              `{"csv":"` + csv + `","password":"` + f.wrong + `"}`,
		org + "/batches/pilot/users/x@y/retry":                    f.wrong,
		org + "/batches/none/users/credentials":                   `{"password":"` + f.wrong,
		org + "/batches/refused/users/r1@example.org/credentials": `{"password":"` + f.wrong + `\n"}`,
	} {
		if status := f.ask(http.MethodPost, f.apis[1].address, path, f.owner, body); status == http.StatusInternalServerError {
			f.t.Errorf("POST %s: %d", path, status)
		}
	}
	f.ask(http.MethodGet, f.apis[1].address, org, f.bootstrap, "")
	f.ask(http.MethodGet, f.apis[1].address, org, f.wrong, "")
}

// ask makes a request whose answer is kept.
func (f *fleet) ask(method, address, path, token, body string) (status int) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := f.told.RoundTrip(req)
	if err != nil {
		f.t.Errorf("%s %s: %v", method, path, err)
		return 0
	}
	return res.StatusCode
}

// search looks for the secrets of a run in everything that it left behind, and
// returns how many bytes that was.
func (f *fleet) search() int64 {
	f.t.Helper()
	for _, n := range append(f.apis[:], f.workers[:]...) {
		if status := f.ask(http.MethodGet, n.address, "/metrics", f.owner, ""); status != http.StatusOK {
			f.t.Errorf("metrics of %s: %d", n.name, status)
		}
	}
	for _, path := range []string{"/batches/refused/users", "/batches/pilot/users?limit=100", "/batches/pilot/reports/errors?format=json", "/audit?limit=500", "/tokens"} {
		f.ask(http.MethodGet, f.apis[0].address, "/v1/orgs/default"+path, f.owner, "")
	}
	places := f.database.keeps(f.t)
	// What asynq keeps of a task, and that a server refused a password.
	places = append(places, canary.Files(f.t, "sync:pass", f.files(f.redis.Dir)...)...)
	places = append(places, canary.Files(f.t, "AuthFailed", f.files(f.dir)...)...)
	places = append(places,
		canary.Place{Name: "answers", Body: f.told.kept.Bytes(), Holds: "mailhaul_passes_total"},
		canary.Place{Name: "answers", Body: f.told.kept.Bytes(), Holds: "NeedsCredentials"})
	return canary.Look(f.t, places, f.all())
}

// files are all files below a directory.
func (f *fleet) files(dir string) (paths []string) {
	f.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return paths
}
