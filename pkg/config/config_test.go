package config

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func sources(env, files map[string]string) Sources {
	return Sources{
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		ReadFile: func(path string) ([]byte, error) {
			if body, ok := files[path]; ok {
				return []byte(body), nil
			}
			return nil, fs.ErrNotExist
		},
	}
}

func required(more ...string) map[string]string {
	env := map[string]string{
		"MAILHAUL_DATABASE_URL": "sqlite:///d/m.db",
		"MAILHAUL_REDIS_URL":    "redis://127.0.0.1:6379",
		"MAILHAUL_MASTER_KEY":   "k1",
	}
	for i := 0; i < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	return env
}

func TestWhereAValueComesFrom(t *testing.T) {
	files := map[string]string{"/f": "127.0.0.1:3\n", "/key": "first\nsecond\n"}
	rows := []struct {
		story string
		args  []string
		env   map[string]string
		want  string
	}{
		{"nothing said: the default", nil, required(), "127.0.0.1:8080"},
		{"a file", nil, required("MAILHAUL_LISTEN_FILE", "/f"), "127.0.0.1:3"},
		{"the environment beats the file", nil, required("MAILHAUL_LISTEN_FILE", "/f", "MAILHAUL_LISTEN", "127.0.0.1:2"), "127.0.0.1:2"},
		{"the flag beats both", []string{"--listen", "127.0.0.1:1"}, required("MAILHAUL_LISTEN_FILE", "/f", "MAILHAUL_LISTEN", "127.0.0.1:2"), "127.0.0.1:1"},
		{"an empty variable is none", nil, required("MAILHAUL_LISTEN", ""), "127.0.0.1:8080"},
	}
	for _, row := range rows {
		flags := pflag.NewFlagSet("api", pflag.ContinueOnError)
		APIFlags(flags)
		if err := flags.Parse(row.args); err != nil {
			t.Fatal(err)
		}
		got, err := LoadAPI(flags, sources(row.env, files))
		if err != nil || got.Listen != row.want {
			t.Errorf("%s: listen %q, error %v; want %q", row.story, got.Listen, err, row.want)
		}
		if got.ResyncInterval != 24*time.Hour || got.LogFormat != "json" {
			t.Errorf("%s: defaults are %v, %q", row.story, got.ResyncInterval, got.LogFormat)
		}
	}
	env := required("MAILHAUL_MASTER_KEY_FILE", "/key")
	delete(env, "MAILHAUL_MASTER_KEY")
	got, err := LoadWorker(nil, sources(env, files))
	if err != nil || got.MasterKey.Reveal() != "first\nsecond" {
		t.Errorf("key file: %v, error %v", got.MasterKey.Reveal(), err)
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]int64{"": 128e6, "0": 0, "500000": 500_000, "64m": 64e6, "2G": 2e9} {
		w, err := LoadWorker(nil, sources(required("MAILHAUL_BYTE_BUDGET", text), nil))
		if err != nil || w.ByteBudget != want {
			t.Errorf("%q: %d bytes, error %v; want %d", text, w.ByteBudget, err, want)
		}
	}
	for _, text := range []string{"much", "-1", "1.5G", "9999999999G", "M"} {
		if _, err := LoadWorker(nil, sources(required("MAILHAUL_BYTE_BUDGET", text), nil)); err == nil || !strings.Contains(err.Error(), "MAILHAUL_BYTE_BUDGET") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecretsHaveNoFlag(t *testing.T) {
	for process, define := range map[string]func(*pflag.FlagSet){"api": APIFlags, "worker": WorkerFlags, "up": StandaloneFlags} {
		flags := pflag.NewFlagSet(process, pflag.ContinueOnError)
		define(flags)
		for _, name := range []string{"database-url", "redis-url", "master-key", "bootstrap-token", "smtp-url"} {
			if flags.Lookup(name) != nil {
				t.Errorf("%s has a flag --%s", process, name)
			}
		}
	}
}

func TestProblems(t *testing.T) {
	rows := []struct {
		story string
		env   map[string]string
		want  []string // in the error, and nothing of the canaries
	}{
		{"nothing set: all that is missing, and how to get it", nil, []string{"MAILHAUL_DATABASE_URL is not set", "MAILHAUL_REDIS_URL is not set", "mailhaul vault keygen"}},
		{"open to others without TLS", required("MAILHAUL_LISTEN", "0.0.0.0:80"), []string{"MAILHAUL_LISTEN", "MAILHAUL_PLAIN_HTTP=true"}},
		{"half of TLS", required("MAILHAUL_TLS_CERT", "/c"), []string{"belong together"}},
		{"a short token", required("MAILHAUL_BOOTSTRAP_TOKEN", "canary"), []string{"at least 20"}},
		{"another database", required("MAILHAUL_DATABASE_URL", "mysql://u:canary@h/d"), []string{`begins with "mysql://"`}},
		{"no URL", required("MAILHAUL_REDIS_URL", "canary"), []string{"is no URL"}},
		{"no duration", required("MAILHAUL_RESYNC_INTERVAL", "daily"), []string{"no duration"}},
		{"no file", required("MAILHAUL_LISTEN_FILE", "/nowhere"), []string{`no file "/nowhere"`}},
		{"no port", required("MAILHAUL_LISTEN", "127.0.0.1:99999"), []string{"no port"}},
		{"no level", required("MAILHAUL_LOG_LEVEL", "loud"), []string{"none of debug"}},
	}
	for _, row := range rows {
		_, err := LoadAPI(nil, sources(row.env, nil))
		if err == nil {
			t.Errorf("%s: no error", row.story)
			continue
		}
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", row.story, err, want)
			}
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %q tells a secret", row.story, err)
		}
	}
}

func TestASecretNeverPrints(t *testing.T) {
	w := Worker{Common: Common{MasterKey: NewSecret("canary")}}
	body, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s %q", w, w, w, w.MasterKey, w.MasterKey), string(body)} {
		if strings.Contains(s, "canary") {
			t.Errorf("printed: %s", s)
		}
	}
}

func TestStandaloneNeedsOnlyADirectory(t *testing.T) {
	s, err := LoadStandalone(nil, sources(map[string]string{"MAILHAUL_DATA": "/d"}, nil))
	if err != nil || s.DataDir != "/d" || !s.DatabaseURL.Empty() || s.AllowPrivateNetworks != "true" || s.Concurrency != 16 {
		t.Errorf("got %+v, error %v", s, err)
	}
}
