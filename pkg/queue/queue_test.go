package queue

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap/zaptest"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

func newClient(t *testing.T, url string) *Client {
	t.Helper()
	c, err := NewClient(url, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// serve runs a server until the test ends or stop is called, which returns what Run
// answered.
func serve(t *testing.T, url string, concurrency int, handle func(context.Context, Task)) (s *Server, stop func() error) {
	t.Helper()
	s, err := NewServer(url, concurrency, handle, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var result error
	ended := false
	stop = func() error {
		cancel()
		if !ended {
			result, ended = <-done, true
		}
		return result
	}
	t.Cleanup(func() { _ = stop() })
	return s, stop
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(time.Minute):
		t.Fatal("nothing came for a minute")
		panic("unreachable")
	}
}

func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !met(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestATaskRunsOnceAndCarriesTwoNumbers(t *testing.T) {
	url := servers.Redis(t)
	c := newClient(t, url)
	task := Task{UserID: 7, Token: 42, Kind: migration.Resync}
	for range 2 { // doubled: the second is the same task
		if err := c.Enqueue(t.Context(), task); err != nil {
			t.Fatal(err)
		}
	}
	info, err := c.inspector.GetTaskInfo("resync", "7:42")
	if err != nil || string(info.Payload) != `{"user":7,"token":42}` {
		t.Errorf("payload %q, error %v", info.Payload, err)
	}
	depths, err := c.Depths(t.Context())
	if err != nil || len(depths) != 5 || depths[1].Queue != "resync" || depths[1].Waiting != 1 {
		t.Errorf("depths %+v, error %v", depths, err)
	}
	got := make(chan Task, 2)
	serve(t, url, 3, func(_ context.Context, t Task) { got <- t })
	if first := receive(t, got); first.UserID != 7 || first.Token != 42 {
		t.Errorf("handled %+v", first)
	}
	eventually(t, "the worker's capacity is known", func() bool {
		n, err := c.Capacity(t.Context())
		return err == nil && n == 3
	})
	if len(got) != 0 {
		t.Errorf("handled a second time: %+v", <-got)
	}
}

func TestAFlushIsNoticedAndMended(t *testing.T) {
	url := servers.Redis(t)
	c := newClient(t, url)
	tasks := []Task{{UserID: 1, Token: 1, Kind: migration.FirstSync}, {UserID: 2, Token: 2, Kind: migration.LastSync}}
	enqueue := func() {
		t.Helper()
		for _, task := range tasks {
			if err := c.Enqueue(t.Context(), task); err != nil {
				t.Fatal(err)
			}
		}
	}
	missing := func() int {
		t.Helper()
		m, err := c.Missing(t.Context(), tasks)
		if err != nil {
			t.Fatal(err)
		}
		return len(m)
	}
	enqueue()
	if n := missing(); n != 0 {
		t.Errorf("%d missing before the flush", n)
	}
	if err := c.rdb.(*redis.Client).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if n := missing(); n != 2 {
		t.Errorf("%d missing after the flush, want 2", n)
	}
	enqueue()
	if n := missing(); n != 0 {
		t.Errorf("%d missing after they were enqueued again", n)
	}
}

func TestATakenTaskIsMissing(t *testing.T) {
	url := servers.Redis(t)
	c := newClient(t, url)
	begun, end := make(chan Task), make(chan struct{})
	serve(t, url, 1, func(context.Context, Task) { begun <- Task{}; <-end })
	task := Task{UserID: 1, Token: 1, Kind: migration.FirstSync}
	if err := c.Enqueue(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	receive(t, begun)
	if m, err := c.Missing(t.Context(), []Task{task}); err != nil || len(m) != 1 {
		t.Errorf("missing %v, error %v", m, err)
	}
	close(end)
}

func TestHandlersEndInTheirOwnTime(t *testing.T) {
	url := servers.Redis(t)
	c := newClient(t, url)
	begun, end := make(chan context.Context), make(chan struct{})
	_, stop := serve(t, url, 2, func(ctx context.Context, _ Task) {
		begun <- ctx
		<-end
	})
	if err := c.Enqueue(t.Context(), Task{UserID: 1, Token: 1}); err != nil {
		t.Fatal(err)
	}
	ctx := receive(t, begun)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	eventually(t, "an ending server offers no capacity", func() bool {
		n, err := c.Capacity(context.Background())
		return err == nil && n == 0
	})
	if ctx.Err() != nil {
		t.Error("the handler's context ended with the server's")
	}
	close(end)
	if err := receive(t, stopped); err != nil {
		t.Error(err)
	}
}

func TestAHandlerThatDoesNotEndIsEnded(t *testing.T) {
	url := servers.Redis(t)
	c := newClient(t, url)
	begun, cause := make(chan Task), make(chan error, 1)
	s, stop := serve(t, url, 1, func(ctx context.Context, t Task) {
		begun <- t
		<-ctx.Done()
		cause <- context.Cause(ctx)
	})
	s.drainTime = 50 * time.Millisecond
	if err := c.Enqueue(t.Context(), Task{UserID: 1, Token: 1}); err != nil {
		t.Fatal(err)
	}
	receive(t, begun)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := receive(t, cause); !errors.Is(err, migration.ErrDraining) {
		t.Errorf("cause is %v", err)
	}
}

func TestRedisURLs(t *testing.T) {
	rows := []struct{ url, want string }{
		{"redis://u:canary@h:1/2", ""},
		{"rediss://:canary@h:1", ""},
		{"redis-sentinel://u:canary@a:1,b:2/3?master=m&tls=true", ""},
		{"redis-sentinel://a:1", "?master=NAME"},
		{"redis-sentinel://a?master=m", "HOST:PORT"},
		{"redis://u:can%ary@h:1", "percent-encoded"},
		{"redis://canary@h:1/x", "database"},
		{"http://canary@h", "scheme"},
	}
	for _, row := range rows {
		c, err := Connect(row.url, ours)
		switch {
		case err == nil && row.want == "":
			_ = c.Close()
		case err == nil:
			t.Errorf("%s is taken, want an error with %q", row.url, row.want)
		case row.want == "" || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "canary"):
			t.Errorf("%s: error %q, want one with %q and no secret", row.url, err, row.want)
		}
	}
}
