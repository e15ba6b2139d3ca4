package fleet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/canary"
	"github.com/mailhaul/mailhaul/test/servers"
)

// importRows is what a part is on PostgreSQL, twenty times; SQLite writes them one by one.
const importRows, importPart = 5_000, 250

// TestAPIDiesWhileItImports: an API that dies at twenty places of writing a file's users,
// the last before it commits them, leaves nothing of the batch; nor does one that dies
// while it adds users to one.
func TestAPIDiesWhileItImports(t *testing.T) {
	t.Parallel()
	build := exec.Command("go", "build", "-tags", "failpoints", "-o", filepath.Join(bin, "api-failpoints"), "../../cmd/api")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var onSQLite, onPostgres []int
	for i := range 19 {
		onSQLite = append(onSQLite, 1+i*importPart)
	}
	onSQLite = append(onSQLite, importRows+1)
	onPostgres = append(onPostgres, 1, 10, importRows/importPart+1)
	t.Run("sqlite", func(t *testing.T) { dieImporting(t, "", onSQLite) })
	t.Run("postgres", func(t *testing.T) { dieImporting(t, servers.Postgres(t).URL, onPostgres) })
}

func dieImporting(t *testing.T, database string, places []int) {
	t.Parallel()
	s := &service{t: t, dir: t.TempDir(), redis: servers.Redis(t), key: vault.GenerateKey(), bootstrap: canary.Secret("token")}
	s.token, s.database = s.bootstrap, filepath.Join(s.dir, "mailhaul.db")
	var env []string
	if database != "" {
		env = append(env, "MAILHAUL_DATABASE_URL="+database)
	}
	whole := s.start("api", env...)
	for _, name := range []string{"old", "new"} {
		s.cli("endpoint", "create", name, "--host", "127.0.0.1", "--no-test")
	}
	die := func(path string, rows, place int) {
		t.Helper()
		api := s.start("api-failpoints", append(env, fmt.Sprintf("MAILHAUL_FAILPOINT=%s:%d", failpoint.ImportPart, place))...)
		if status, body := s.send(api.url+path, importOf(rows)); status != 0 {
			t.Errorf("who was to die at part %d answers %d %s", place, status, body)
		}
		if code, err := api.Wait(patience); err != nil || code != -1 {
			t.Fatalf("who was to die at part %d: exit code %d, %v", place, code, err)
		}
	}
	const batches = "/v1/orgs/default/batches"
	for _, place := range places {
		die(batches, importRows, place)
		if code, body := s.get(whole.url + batches); code != http.StatusOK || !strings.Contains(body, `"items":[]`) {
			t.Fatalf("after a death at part %d: %d %s", place, code, body)
		}
	}
	if status, body := s.send(whole.url+batches, importOf(importRows)); status != http.StatusCreated {
		t.Fatalf("in the end: %d %s", status, body)
	}
	die(batches+"/"+batchName+"/users", 2*importRows, places[1])
	die(batches+"/"+batchName+"/users", 2*importRows, places[len(places)-1])
	if n := s.batch().Counts["total"]; n != importRows {
		t.Errorf("%d users, want %d and none of those whose import died", n, importRows)
	}
	status, body := s.send(whole.url+batches+"/"+batchName+"/users", importOf(2*importRows))
	var added client.Added
	if err := json.Unmarshal([]byte(body), &added); err != nil || added != (client.Added{Created: importRows, Unchanged: importRows}) {
		t.Errorf("added in the end: %d %s", status, body)
	}
	s.terminate(whole, 25*time.Second)
}

// importOf is a request for a batch of so many users.
func importOf(rows int) any {
	var csv strings.Builder
	csv.WriteString("EmailAddress,UserName,Password,TargetPassword\n")
	for i := range rows {
		fmt.Fprintf(&csv, "user%d@example.org,user%d,secret,secret\n", i, i)
	}
	return map[string]any{"name": batchName, "sourceEndpoint": "old", "targetEndpoint": "new", "csv": csv.String()}
}

// send posts JSON; status 0 means that there was no answer.
func (s *service) send(url string, body any) (status int, answer string) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(b)
}
