package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// TestWhatIsSaidOfAFileReachesTheAPI: its name, its type, its encoding; its bytes as they
// are; and what the API warns of is said, beside the answer.
func TestWhatIsSaidOfAFileReachesTheAPI(t *testing.T) {
	const csv = "EmailAddress\n\xd3\xc3@example.com\n"
	file := filepath.Join(t.TempDir(), "wave 1.txt")
	if err := os.WriteFile(file, []byte(csv), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]struct {
		uri, spec string
		answer    any
		out, errs string
	}{
		"batch create --type crossTenant --encoding gbk --allow-unknown-columns --dry-run --source a --target b --csv": {
			"/v1/orgs/default/batches?dryRun=true", `{"type":"crossTenant","sourceEndpoint":"a","targetEndpoint":"b","encoding":"gbk","allowUnknownColumns":true}`,
			client.DryRun{DryRun: true, Name: "wave-1", Mailboxes: 2001, Warnings: []string{"too many"}},
			"MAILBOXES  2001\n", "nothing was stored\nwarning: too many\n",
		},
		"batch create pilot --source a --target b --csv": {
			"/v1/orgs/default/batches", `{"name":"pilot","type":"imap","sourceEndpoint":"a","targetEndpoint":"b"}`, client.Batch{Name: "pilot"}, "pilot", "",
		},
		"batch create late --source a --target b --include #Inbox# --since 2024-01-31 --before 2024-03-01T12:00:00Z --max-message-size 5K --bad-item-limit 0 --map-folder Projects/*=Work/* --map-folder a\\=b=c --csv": {
			"/v1/orgs/default/batches", `{"name":"late","type":"imap","sourceEndpoint":"a","targetEndpoint":"b","includeFolders":["#Inbox#"],"mapFolders":[{"from":"Projects/*","to":"Work/*"},{"from":"a=b","to":"c"}],` +
				`"since":"2024-01-31","before":"2024-03-01T12:00:00Z","maxMessageSize":5000,"badItemLimit":0}`,
			client.Batch{Name: "late", MaxMessageSize: 5000},
			"LARGEST", "",
		},
		"batch add-users pilot --encoding gbk --csv": {
			"/v1/orgs/default/batches/pilot/users", `{"encoding":"gbk"}`, client.Added{Created: 1, Unchanged: 2, Updated: 3}, "CREATED    1\nUPDATED    3\nUNCHANGED  2\n", "",
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			upload, head, err := r.FormFile("csv")
			if err != nil {
				t.Errorf("%s: %v", args, err)
				return
			}
			sent, _ := io.ReadAll(upload)
			if got := strings.TrimSpace(r.FormValue("spec")); r.URL.RequestURI() != want.uri || got != want.spec || head.Filename != "wave 1.txt" || string(sent) != csv {
				t.Errorf("%s: sent to %s as %q: %s and %q, want %s %s", args, r.URL.RequestURI(), head.Filename, got, sent, want.uri, want.spec)
			}
			_ = json.NewEncoder(w).Encode(want.answer)
		}))
		var out, errs bytes.Buffer
		g := &global{stdio: stdio{strings.NewReader(""), &out, &errs}}
		code := g.run(t.Context(), append(strings.Fields(args), file, "--api", server.URL), func(string) (string, bool) { return "", false })
		server.Close()
		if code != 0 || !strings.Contains(out.String(), want.out) || !strings.HasSuffix(errs.String(), want.errs) {
			t.Errorf("%s: code %d, out %q, said %q", args, code, out.String(), errs.String())
		}
	}
}

// TestABatchsListsAreEmptied: a list that is set is given in place of the one before, and
// "" is none.
func TestABatchsListsAreEmptied(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = strings.TrimSpace(string(body))
		_ = json.NewEncoder(w).Encode(client.Batch{Name: "pilot"})
	}))
	defer server.Close()
	var out bytes.Buffer
	g := &global{stdio: stdio{strings.NewReader(""), &out, &out}}
	args := []string{"batch", "set", "pilot", "--exclude", "", "--include", "a", "--include", "", "--notify", "", "--api", server.URL}
	if code := g.run(t.Context(), args, func(string) (string, bool) { return "", false }); code != 0 {
		t.Fatalf("code %d: %s", code, out.String())
	}
	if want := `{"excludeFolders":[],"includeFolders":["a",""],"notify":[]}`; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}
