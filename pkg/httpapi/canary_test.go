package httpapi_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/httpapi"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/store"
	"github.com/mailhaul/mailhaul/pkg/vault"
)

// TestNoSecretIsEverTold plants passwords wherever one can be given, in the right
// places and in wrong ones, and looks for them in every answer, the log, and the
// bytes of the database.
func TestNoSecretIsEverTold(t *testing.T) {
	const canary = "canary-7f3a-Passw0rd"
	e := newEnv(t)
	admin := e.token("default", migration.Admin)
	var told []answer
	post := func(path string, body any) answer {
		a := e.do(request{method: "POST", path: inDefault + path, token: admin, body: body, header: map[string]string{"Idempotency-Key": path}})
		told = append(told, a)
		return a
	}
	file := "EmailAddress,UserName,Password,TargetPassword\nann@example.com,ann," + canary + "," + canary + "\n"
	post("/endpoints", map[string]any{"name": "old", "host": "x.example.com", "loginTemplate": "{user}*{admin}", "adminUser": "root", "adminPassword": canary})
	post("/endpoints", map[string]any{"name": "bad", "host": "x.example.com", "adminPassword": canary})
	post("/endpoints?a", map[string]any{"name": "bad", "host": "x.example.com", "adminPasswort": canary})
	post("/endpoints?b", `{"name":"bad","adminPassword":`+`["`+canary+`"]}`)
	post("/endpoints?c", `{"name":"bad","adminPassword":"`+canary)
	post("/endpoints?skipTest=true", map[string]any{"name": "new", "host": "y.example.com"})
	post("/endpoints/new/test", map[string]any{"user": "ann", "password": canary})
	e.mail.down = migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, "", "refused", nil)
	post("/endpoints/old/test", map[string]any{"user": "ann", "password": canary})
	post("/batches", map[string]any{"name": "b", "sourceEndpoint": "old", "targetEndpoint": "new", "csv": file, "password": canary})
	post("/batches?a", map[string]any{"name": "b", "sourceEndpoint": "old", "targetEndpoint": "new", "csv": []string{file}})
	post("/batches?b", map[string]any{"name": "b", "sourceEndpoint": "old", "targetEndpoint": "new", "csv": strings.Replace(file, "ann@example.com", "nonsense", 1)})
	post("/batches?c", map[string]any{"name": "b", "sourceEndpoint": "old", "targetEndpoint": "new", "csv": file + "eve@example.com," + canary + "\n"})
	if a := post("/batches?d", map[string]any{"name": "b", "sourceEndpoint": "old", "targetEndpoint": "new", "autoStart": true, "csv": file}); a.status != 201 {
		t.Fatalf("create batch: %d %s", a.status, a.body)
	}
	told = append(told, e.upload(admin, inDefault+"/batches/b/users", "", "x.csv", file))
	post("/batches/b/users/ann@example.com/credentials", map[string]any{"password": canary, "targetPassword": canary})
	post("/batches/b/users/nobody@example.com/credentials", map[string]any{"password": canary})
	post("/batches/b/users/ann@example.com/credentials?a", map[string]any{"password": canary + "\n"})
	for _, path := range []string{"/endpoints", "/batches", "/batches/b", "/batches/b/users", "/batches/b/reports/statistics", "/batches/b/reports/errors?format=json", "/audit"} {
		told = append(told, e.do(request{method: "GET", path: inDefault + path, token: admin}))
	}
	for _, a := range told {
		if strings.Contains(a.body, canary) {
			t.Errorf("an answer tells the password: %d %s", a.status, a.body)
		}
	}
	token := e.as(admin, "POST", inDefault+"/tokens", map[string]any{"role": "viewer"}, 201)["token"].(string)
	made := post("/tokens", map[string]any{"role": "viewer"}).json(t)["token"].(string)
	for _, secret := range []string{canary, admin, token, made} {
		if strings.Contains(e.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
		e.searchFiles(secret)
	}
	e.server.Close() // also what is written at the end
	e.searchFiles(canary)
}

// searchFiles looks for a secret in all files of the database.
func (e *env) searchFiles(secret string) {
	e.t.Helper()
	files, err := filepath.Glob(filepath.Join(e.dir, "*"))
	if err != nil || len(files) == 0 {
		e.t.Fatalf("no database files: %v", err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			e.t.Fatal(err)
		}
		if strings.Contains(string(content), secret) {
			e.t.Errorf("%s holds the secret", filepath.Base(f))
		}
	}
}

func TestAfterARotationTheOldKeyIsNotNeeded(t *testing.T) {
	e := newEnv(t)
	e.endpoints(e.owner, "default")
	e.batch(e.owner, "default")
	fresh := vault.GenerateKey()
	both, err := vault.Open(fresh + "," + e.key)
	if err != nil {
		t.Fatal(err)
	}
	c := control.New(control.Config{Store: e.store, Vault: both})
	if n, err := c.RotateKeys(t.Context(), control.Actor{Role: migration.Owner}); err != nil || n == 0 {
		t.Fatalf("rotated %d, %v", n, err)
	}
	alone, err := vault.Open(fresh)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.store.BatchByName(t.Context(), orgID(t, e, "default"), "pilot")
	if err != nil {
		t.Fatal(err)
	}
	u, err := e.store.UserByEmail(t.Context(), b.ID, "ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for want, sealed := range map[string][]byte{"one": u.SourceSecret, "1": u.TargetSecret} {
		if got, err := alone.Open(sealed, control.SecretOfOrg(u.OrgID)); err != nil || got.Reveal() != want {
			t.Errorf("open after the rotation: %v", err)
		}
	}
}

// TestAMissingMasterKeyIsToldAsThat: it is the operator's to mend, and no fault of
// Mailhaul that is to be reported with a trace id.
func TestAMissingMasterKeyIsToldAsThat(t *testing.T) {
	e := newEnv(t)
	lost, err := vault.Open(vault.GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	c := control.New(control.Config{Store: e.store, Vault: lost, Tester: e.mail})
	spec := migration.EndpointSpec{Host: "x.example.com", LoginTemplate: "{user}*{admin}", AdminUser: "root"}
	if _, err := c.CreateEndpoint(t.Context(), control.Actor{Role: migration.Owner}, "default", "old", spec, migration.NewSecret("x"), true); err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]any{"/v1/vault/rotate": nil, inDefault + "/endpoints/old/test": map[string]any{"user": "ann"}} {
		p := e.as(e.owner, "POST", path, body, 409)
		if p["code"] != "Conflict" || !strings.Contains(p["detail"].(string), "): add it to MAILHAUL_MASTER_KEY of every process") || p["traceId"] != nil {
			t.Errorf("%s: %v", path, p)
		}
	}
}

// fullDisk is a vault at which a rotation meets a full disk.
type fullDisk struct{ *vault.Vault }

func (fullDisk) Rewrap([]byte) ([]byte, error) { return nil, fmt.Errorf("write: %w", store.ErrNoRoom) }

// TestAFullDiskIsToldAsThat: nobody reports it with a trace id.
func TestAFullDiskIsToldAsThat(t *testing.T) {
	e := newEnv(t)
	e.endpoints(e.owner, "default")
	e.batch(e.owner, "default")
	c := control.New(control.Config{Store: e.store, Vault: fullDisk{}})
	closing := make(chan struct{})
	defer close(closing)
	full := httptest.NewServer(httpapi.New(httpapi.Config{
		Control: c, Store: e.store, Bootstrap: migration.NewSecret(bootstrap), Log: zap.NewNop(), EventsEvery: time.Second, Closing: closing,
		Now: func() time.Time { return time.Now().UTC() },
	}))
	defer full.Close()
	e.server.Close()
	e.server = full
	p := e.as(e.owner, "POST", "/v1/vault/rotate", nil, 503)
	if !strings.Contains(p["detail"].(string), "the disk of the database is full") || !strings.Contains(p["remedy"].(string), "Make room") || p["traceId"] != nil {
		t.Errorf("got %v", p)
	}
}
