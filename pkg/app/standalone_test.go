package app

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func standaloneConfig(dir string) config.Standalone {
	return config.Standalone{
		HTTP: config.HTTP{Listen: "127.0.0.1:0"}, ResyncInterval: time.Hour, Concurrency: 2, Slice: time.Minute, DataDir: dir,
	}
}

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(body)
}

// TestTheDirectorysTokenLasts: whoever makes a second token is not locked out.
func TestTheDirectorysTokenLasts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for range 2 { // and again on the same directory
		s, err := NewStandalone(t.Context(), standaloneConfig(dir), zaptest.NewLogger(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		owner := control.Actor{Role: migration.Owner}
		if _, err := s.api.control.CreateToken(t.Context(), owner, migration.DefaultOrg, migration.Viewer, 0, ""); err != nil {
			t.Error(err)
		}
		if code, body := get(t, s.URL()+"/v1/orgs", s.Token()); code != http.StatusOK || !strings.Contains(body, "default") {
			t.Errorf("after another token was made: %d %q", code, body)
		}
		stored, err := s.base.store.TokenByHash(t.Context(), control.HashToken(s.Token()))
		if err != nil || stored.Role != migration.Owner {
			t.Errorf("the directory's token is stored as %+v, error %v", stored, err)
		}
		cancel()
		must(t, <-done)
	}
}

func TestEverythingInOneProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := NewStandalone(t.Context(), standaloneConfig(dir), zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()

	for path, want := range map[string]string{"/livez": "ok", "/readyz?verbose": "redis: ok", "/metrics": "mailhaul_build_info"} {
		if code, body := get(t, s.URL()+path, ""); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	if code, _ := get(t, s.URL()+"/v1/orgs", ""); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", code)
	}
	if code, body := get(t, s.URL()+"/v1/orgs", s.Token()); code != http.StatusOK || !strings.Contains(body, "default") {
		t.Errorf("with the token: %d %q", code, body)
	}
	for _, name := range []string{"master.key", "token", "mailhaul.db"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, error %v", name, info.Mode(), err)
		}
	}
	if _, err := NewStandalone(t.Context(), standaloneConfig(dir), zap.NewNop()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second process on the directory: %v", err)
	}
	cancel()
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(time.Minute):
		t.Fatal("not ended in a minute")
	}

	// Again on the same directory: the same token, and nobody holds the lock.
	again, err := NewStandalone(t.Context(), standaloneConfig(dir), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if again.Token() != s.Token() {
		t.Error("another token")
	}
	must(t, again.api.closeListeners())
	must(t, again.close())
}
