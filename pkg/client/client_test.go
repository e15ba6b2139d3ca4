package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestARefusedConnectionIsTriedAgain lets the server come up while the client waits:
// the POST goes out under one Idempotency-Key.
func TestARefusedConnectionIsTriedAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	held, err := net.Dial("tcp", address) // as long as this lives nobody else is given the port
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = accepted.Close() }()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var keys []string
	up := func(context.Context) error {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"name":"acme"}`))
		})}}
		s.Start()
		t.Cleanup(s.Close)
		return nil
	}
	c, err := client.New(client.Config{URL: "http://" + address, Wait: up})
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.CreateOrg(t.Context(), "acme")
	if err != nil || o.Name != "acme" || len(keys) != 1 || keys[0] == "" {
		t.Errorf("got %+v, %v, keys %q", o, err, keys)
	}
}

func TestNobodyThereIsUnreachable(t *testing.T) {
	tries := 0
	c, err := client.New(client.Config{URL: "http://127.0.0.1:1", Wait: func(context.Context) error { tries++; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Orgs(t.Context()); !errors.Is(err, client.ErrUnreachable) || tries != 2 {
		t.Errorf("%v after %d waits", err, tries)
	}
}

func TestErrorsOfTheAPIAndOfOthers(t *testing.T) {
	answers := map[string]struct {
		status int
		body   string
		want   string
	}{
		"problem":         {409, `{"code":"Conflict","detail":"there is one"}`, "Conflict: there is one"},
		"another program": {404, `<html>`, "Internal: no Mailhaul API answers there: HTTP status 404 Not Found"},
		"a redirect":      {302, ``, "Internal: no Mailhaul API answers there: HTTP status 302 Found"},
	}
	for name, tt := range answers {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer t" || r.URL.EscapedPath() != "/v1/orgs/default/batches/b/users/a%2Fb@example.com" {
					t.Errorf("request %s with %v", r.URL.EscapedPath(), r.Header)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			defer s.Close()
			c, err := client.New(client.Config{URL: s.URL + "/", Token: migration.NewSecret("t")})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.User(t.Context(), "b", "a/b@example.com")
			var p *client.Problem
			if !errors.As(err, &p) || p.Status != tt.status || err.Error() != tt.want {
				t.Errorf("got %v", err)
			}
		})
	}
	for _, url := range []string{"", "localhost:8080", "ftp://x", "http://"} {
		if _, err := client.New(client.Config{URL: url}); err == nil {
			t.Errorf("%q was taken for the API's URL", url)
		}
	}
}
