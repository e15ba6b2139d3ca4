package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// script is an API that gives its answers one after the other, the last one for ever.
type script struct {
	mu       sync.Mutex
	answers  []any // a *client.Problem, or what is answered with 200
	requests []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if p, ok := answer.(*client.Problem); ok {
		w.WriteHeader(p.Status)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// mailhaul runs the program against the script.
func mailhaul(t *testing.T, s *script, args ...string) (code int, out, errs string) {
	t.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	env := map[string]string{"MAILHAUL_API": server.URL, "MAILHAUL_TOKEN": "secret-token"}
	var o, e bytes.Buffer
	g := &global{stdio: stdio{strings.NewReader("from stdin\n"), &o, &e}, every: time.Millisecond}
	code = g.run(t.Context(), args, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if strings.Contains(o.String()+e.String(), "secret-token") {
		t.Errorf("the token is shown: %s %s", o.String(), e.String())
	}
	return code, o.String(), e.String()
}

func batch(status string, skipped int64) client.Batch {
	return client.Batch{Name: "b", Status: status, Counts: map[string]int{"total": 2, "synced": 1}, Messages: client.Messages{Copied: 5, Skipped: skipped}}
}

func TestExitCodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "b.csv")
	if err := os.WriteFile(file, []byte("EmailAddress\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	problem := func(status int, code string) *client.Problem {
		return &client.Problem{
			Status: status, Code: code, Detail: "said", Remedy: "do",
			Problems: []client.FieldProblem{{Line: 3, Column: "Email\x1b[2JAddress", Reason: "not an address"}}, More: 7,
		}
	}
	tested := func(code string) *client.Problem {
		return &client.Problem{Status: 422, Code: code, Stages: []client.Stage{{Name: "DNS", OK: true}, {Name: "there", Code: code}}}
	}
	test := func(code string) client.TestResult {
		return client.TestResult{OK: code == "", Stages: []client.Stage{{Name: "DNS", OK: true}, {Name: "there", Code: code, OK: code == ""}}}
	}
	tests := []struct {
		args string
		api  []any
		code int
		errs string // part of what is said
	}{
		{"batch get b", []any{batch("Synced", 0)}, 0, ""},
		{"batch get b", []any{problem(401, "Unauthorized")}, 11, "said"},
		{"batch get b", []any{problem(403, "Forbidden")}, 11, "do"},
		{"batch get b", []any{problem(404, "NotFound")}, 1, "said"},
		{"batch start b", []any{problem(409, "Conflict")}, 12, "said"},
		{"batch delete b", []any{problem(409, "NotReadyToRemove")}, 1, "said"},
		{"batch create --csv " + file, []any{problem(422, "CsvInvalid")}, 1, "line 3, Email[2JAddress: not an address\n  and 7 more\n"},
		{"batch create --csv " + file, []any{problem(409, "DuplicateInOtherBatch")}, 12, "said"},
		{"endpoint create e", []any{tested("ConnectionFailed")}, 10, "there: ConnectionFailed"},
		{"endpoint create e", []any{tested("CertificateInvalid")}, 10, "there"},
		{"endpoint create e", []any{tested("AuthFailed")}, 11, "there"},
		{"endpoint create e", []any{tested("Throttled")}, 1, "there"},
		{"endpoint test e", []any{test("")}, 0, ""},
		{"endpoint test e", []any{test("ConnectionFailed")}, 10, "the test failed at there"},
		{"endpoint test e", []any{test("AuthorizationMissing")}, 11, "the test failed at there"},
		{"endpoint create e", []any{problem(422, "InvalidArgument")}, 2, "said"},
		{"batch get b --api http://127.0.0.1:1", []any{nil}, 10, "cannot be reached"},
		{"batch get b --api nonsense", []any{nil}, 2, "URL"},
		{"batch get", []any{nil}, 2, "accepts 1 arg"},
		{"batch get b --colour red", []any{nil}, 2, "unknown flag"},
		{"batch get b --output xml", []any{nil}, 2, "--output"},
		{"batch", []any{nil}, 2, "needs a verb"},
		{"batch crate --csv x", []any{nil}, 2, "has no verb crate (did you mean create?)"},
		{"batch frob", []any{nil}, 2, "no verb frob"},
		{"frob", []any{nil}, 2, "unknown command"},
		{"batch create", []any{nil}, 2, "--csv"},
		{"batch create --csv /no/such/file", []any{nil}, 2, "no such file"},
		{"batch create --csv - --source a --target b", []any{nil}, 2, "give a NAME"},
		{"batch create --csv x --max-message-size 25X", []any{nil}, 2, "want bytes"},
		{"endpoint create e --host h --max-concurrent-migrations 0", []any{nil}, 2, "1 or more"},
		{"endpoint create e --host h --admin-user root", []any{client.Endpoint{Name: "e", AdminUser: "root"}}, 0, "is not proven: mailhaul endpoint test e --user MAILBOX"},
		{"user list", []any{nil}, 2, "--batch"},
		{"token create", []any{nil}, 2, "role"},

		{"batch wait b", []any{batch("Created", 0), batch("Syncing", 0), batch("Synced", 0)}, 0, ""},
		{"batch wait b", []any{batch("Synced", 1)}, 3, "messages skipped or failed: 1"},
		{"batch wait b", []any{batch("SyncedWithErrors", 0)}, 3, ""},
		{"batch wait b", []any{batch("Failed", 0)}, 1, "Failed"},
		{"batch wait b", []any{batch("Stopped", 0)}, 1, "stopped"},
		{"batch wait b --for Completed", []any{batch("Synced", 0), batch("Completing", 0), batch("Completed", 0)}, 0, ""},
		{"batch wait b --for Completed", []any{batch("SyncedWithErrors", 0), batch("CompletedWithErrors", 0)}, 3, ""},
		{"batch wait b --timeout 20ms", []any{batch("Syncing", 0)}, 1, "is not Synced after 20ms"},
		{"batch wait b --for Ready", []any{nil}, 2, "--for"},
		{"batch watch b", []any{batch("Syncing", 0), batch("Synced", 0)}, 0, ""},
		{"batch watch b", []any{batch("Syncing", 0), batch("SyncedWithErrors", 2)}, 3, "failed: 2 (mailhaul user list --batch b)"},
	}
	for _, tt := range tests {
		code, out, errs := mailhaul(t, &script{answers: tt.api}, strings.Fields(tt.args)...)
		if code != tt.code || !strings.Contains(errs, tt.errs) {
			t.Errorf("mailhaul %s: code %d, want %d; said %q, want %q; out %q", tt.args, code, tt.code, errs, tt.errs, out)
		}
	}
}

// TestTheOnlyProblemIsToldOnce: with two the first line tells only of the first.
func TestTheOnlyProblemIsToldOnce(t *testing.T) {
	p := &client.Problem{
		Status: 422, Code: "CsvInvalid", Detail: "the CSV file has a problem in line 2: EmailAddress: there is no @",
		Problems: []client.FieldProblem{{Line: 2, Column: "EmailAddress", Reason: "there is no @"}},
	}
	if _, _, errs := mailhaul(t, &script{answers: []any{p}}, "batch", "get", "b"); strings.Count(errs, "there is no @") != 1 {
		t.Errorf("said %q", errs)
	}
	p.More = 1
	if _, _, errs := mailhaul(t, &script{answers: []any{p}}, "batch", "get", "b"); strings.Count(errs, "there is no @") != 2 || !strings.Contains(errs, "and 1 more") {
		t.Errorf("said %q", errs)
	}
}

func TestAnInterruptIsCode130(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &script{answers: []any{batch("Syncing", 0)}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		cancel()
	}))
	defer server.Close()
	var out bytes.Buffer
	g := &global{stdio: stdio{strings.NewReader(""), &out, &out}, every: time.Millisecond}
	code := g.run(ctx, []string{"batch", "wait", "b", "--api", server.URL}, func(string) (string, bool) { return "", false })
	if code != exitInterrupted {
		t.Errorf("code %d: %s", code, out.String())
	}
}

func TestFormsOfOutput(t *testing.T) {
	users := client.Page[client.User]{Items: []client.User{{EmailAddress: "=a@example.com", Status: "Failed", Reason: "line\none"}, {EmailAddress: "b@example.com", Status: "Synced"}}}
	for form, want := range map[string]string{
		"csv":    "EMAIL,STATUS,SEEN,COPIED,SKIPPED,BYTES,CODE,REASON,REMEDY\n'=a@example.com,Failed,0,0,0,0 B,,\"line\none\",\n",
		"table":  "EMAIL           STATUS  SEEN  COPIED  SKIPPED  BYTES  CODE  REASON    REMEDY\n=a@example.com  Failed  0     0       0        0 B          line one  \n",
		"ndjson": `{"emailAddress":"=a@example.com"`,
		"json":   "[\n  {\n    \"emailAddress\": \"=a@example.com\"",
	} {
		code, out, errs := mailhaul(t, &script{answers: []any{users}}, "user", "list", "--batch", "b", "--output", form)
		if code != 0 || !strings.HasPrefix(out, want) || errs != "" {
			t.Errorf("%s: code %d, got\n%s\nwant\n%s\n%s", form, code, out, want, errs)
		}
	}
	code, out, errs := mailhaul(t, &script{answers: []any{client.CreatedToken{Token: client.Token{ID: "1"}, Value: "mht_x"}}}, "token", "create", "--role", "viewer", "--expires", "30d")
	if code != 0 || out != "mht_x\n" || !strings.Contains(errs, "not shown again") {
		t.Errorf("token: %d %q %q", code, out, errs)
	}
}

func TestWatchTellsEveryChangeOnce(t *testing.T) {
	s := &script{answers: []any{batch("Syncing", 0), batch("Syncing", 0), batch("Syncing", 1), batch("Synced", 1)}}
	_, out, _ := mailhaul(t, s, "batch", "watch", "b")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "Syncing: 1/2 users in step") {
		t.Errorf("got %q", lines)
	}
	s = &script{answers: []any{batch("Syncing", 0), batch("Synced", 0)}}
	_, out, _ = mailhaul(t, s, "batch", "watch", "b", "--output", "ndjson")
	for l := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		if !json.Valid([]byte(l)) {
			t.Errorf("not JSON: %s", l)
		}
	}
}

func TestPasswordsComeFromFilesAndStdin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(file, []byte("in a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &global{stdio: stdio{in: strings.NewReader(" from stdin \n")}}
	for name, want := range map[string]string{file: "in a file", "-": " from stdin ", "": ""} {
		if got, err := g.secret(name); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", name, got, err, want)
		}
	}
	if _, err := g.secret("-"); err == nil { // read to its end above
		t.Error("an empty password was taken")
	}
}

func TestDeleteWaitsForPassesThatAreEnding(t *testing.T) {
	var n atomic.Int64 // looks since the removal was answered
	var answered atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			defer answered.Store(true)
			if r.URL.RawQuery != "force=true&keepReport=true" {
				t.Errorf("query %q", r.URL.RawQuery)
			}
			w.WriteHeader(http.StatusAccepted)
			return
		}
		if answered.Load() && n.Add(1) >= 3 {
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(client.Problem{Code: "NotFound"})
			return
		}
		_ = json.NewEncoder(w).Encode(batch("Removing", 0))
	}))
	defer server.Close()
	var out, errs bytes.Buffer
	g := &global{stdio: stdio{strings.NewReader(""), &out, &errs}, every: time.Millisecond}
	code := g.run(t.Context(), []string{"batch", "delete", "b", "--force", "--keep-report", "--api", server.URL}, func(string) (string, bool) { return "", false })
	if code != 0 || n.Load() < 3 || !strings.Contains(errs.String(), "batch b removed") {
		t.Errorf("code %d after %d looks: %s", code, n.Load(), errs.String())
	}
}

// TestFormsOfAReport: the API has three, --output has four, and what is given wins.
func TestFormsOfAReport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("format") == "json" {
			_, _ = w.Write([]byte(`{"batch":"b","items":[{"emailAddress":"a","seen":7},{"emailAddress":"b","seen":8}]}`))
			return
		}
		if r.URL.Query().Get("format") == "html" {
			_, _ = w.Write([]byte("<!DOCTYPE html>"))
			return
		}
		_, _ = w.Write([]byte("EmailAddress,Reason\r\na,\"line\r\none\"\r\nbob,\r\n"))
	}))
	defer server.Close()
	const asCSV, asJSON = "EmailAddress,Reason\r\n", `{"batch":"b"`
	for flags, want := range map[string]string{
		"":                             asCSV,
		"--output csv":                 asCSV,
		"--output json":                asJSON,
		"--output table":               "EmailAddress  Reason\na             line one\nbob           \n",
		"--output ndjson":              "{\"emailAddress\":\"a\",\"seen\":7}\n{\"emailAddress\":\"b\",\"seen\":8}\n",
		"--format json":                asJSON,
		"--format html":                "<!DOCTYPE html>",
		"--format csv --output table":  asCSV,
		"--format json --output table": asJSON,
	} {
		var out, errs bytes.Buffer
		g := &global{stdio: stdio{strings.NewReader(""), &out, &errs}}
		code := g.run(t.Context(), append(strings.Fields("report statistics b --api "+server.URL), strings.Fields(flags)...), func(string) (string, bool) { return "", false })
		if code != 0 || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s: code %d %s, got %q, want %q", flags, code, errs.String(), out.String(), want)
		}
	}
}
