//go:build clients

package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/test/servers"
)

// The generators, and what their clients need.
var (
	goTools  = []string{"github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"}
	goNeeds  = []string{"github.com/oapi-codegen/runtime@v1.8.0", "github.com/oapi-codegen/oapi-codegen/v2@v2.8.2"}
	npmNeeds = []string{"openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3", "@types/node@20.19.0"}
)

var bin string

func TestMain(m *testing.M) { os.Exit(servers.Main(m, &bin, "../../cmd/mailhaul")) }

// client is a generated one: the commands that make it, and the one that runs it, in a
// directory that has the OpenAPI document and the program.
type client struct {
	program string
	make    [][]string
	run     []string
}

var generated = map[string]client{
	"go": {
		"go/main.go",
		[][]string{
			{"go", "mod", "init", "example.com/generated"},
			append([]string{"go", "get", "-tool"}, goTools...),
			append([]string{"go", "get"}, goNeeds...),
			{"mkdir", "api"},
			{"go", "tool", "oapi-codegen", "-package", "api", "-generate", "types,client", "-o", "api/api.go", "openapi.json"},
			{"go", "get", "./..."},
			{"go", "vet", "./..."},
		},
		[]string{"go", "run", "."},
	},
	"go, of OpenAPI 3.0": {
		"go/main.go",
		[][]string{
			{"go", "mod", "init", "example.com/generated"},
			append([]string{"go", "get", "-tool"}, goTools...),
			append([]string{"go", "get"}, goNeeds...),
			{"mkdir", "api"},
			{"go", "tool", "oapi-codegen", "-package", "api", "-generate", "types,client", "-o", "api/api.go", "openapi-3.0.json"},
			{"go", "get", "./..."},
		},
		[]string{"go", "run", "."},
	},
	"typescript": {
		"typescript/main.ts",
		[][]string{
			{"npm", "init", "--yes"},
			{"npm", "pkg", "set", "type=module"},
			append([]string{"npm", "install", "--no-fund", "--no-audit", "--save-exact"}, npmNeeds...),
			{"npx", "openapi-typescript", "openapi.json", "-o", "api.d.ts"},
			{"npx", "tsc", "--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "main.ts"},
		},
		[]string{"node", "main.js"},
	},
}

func TestGeneratedClients(t *testing.T) {
	old, new := servers.Dovecot(t, servers.DovecotConfig{}), servers.Dovecot(t, servers.DovecotConfig{})
	corpus := exec.Command("python3", "../../bench/corpus.py", "--port", fmt.Sprint(old.Port), "--prefix", "m", "--users", "3", "--messages", "30")
	if out, err := corpus.CombinedOutput(); err != nil {
		t.Fatalf("corpus.py: %v\n%s", err, out)
	}
	data := filepath.Join(t.TempDir(), "data")
	port := servers.FreePort(t)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	servers.Program(t, port, exec.Command(filepath.Join(bin, "mailhaul"), "up", "--data", data, "--listen", strings.TrimPrefix(url, "http://")))
	token, err := os.ReadFile(filepath.Join(data, "token"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range generated {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in := func(env []string, command ...string) string {
				cmd := exec.Command(command[0], command[1:]...)
				cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
				}
				return string(out)
			}
			program, err := os.ReadFile(filepath.Join("testdata", c.program))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(c.program)), program, 0o644); err != nil {
				t.Fatal(err)
			}
			for _, document := range []string{"openapi.json", "openapi-3.0.json"} {
				in(nil, "curl", "-sSf", "-o", document, url+"/"+document)
			}
			for _, command := range c.make {
				in(nil, command...)
			}
			t.Log(in([]string{
				"MAILHAUL_API=" + url, "MAILHAUL_TOKEN=" + strings.TrimSpace(string(token)),
				fmt.Sprintf("OLD_PORT=%d", old.Port), fmt.Sprintf("NEW_PORT=%d", new.Port), "PASSWORD=" + servers.Password,
			}, c.run...))
		})
	}
}
