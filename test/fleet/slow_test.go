package fleet_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/canary"
	"github.com/mailhaul/mailhaul/test/servers"
)

// TestSlowClients: one who sends slowly, or says more than it sends, is let go of,
// known or not.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := &service{t: t, dir: t.TempDir(), redis: servers.Redis(t), key: vault.GenerateKey(), bootstrap: canary.Secret("token")}
	s.token, s.database = s.bootstrap, s.dir+"/mailhaul.db"
	s.start("api")
	known := "Authorization: Bearer " + s.token + "\r\nHost: x\r\n"
	const body = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		head   string
		status int // 0: nothing has to be answered
	}{
		"headers that do not end": {"GET /v1/orgs HTTP/1.1\r\n" + known, 0},
		"a body":                  {"POST /v1/orgs HTTP/1.1\r\n" + known + body, http.StatusBadRequest},
		"a body in chunks":        {"POST /v1/orgs HTTP/1.1\r\n" + known + "Transfer-Encoding: chunked\r\n\r\n5\r\n", http.StatusBadRequest},
		"a stranger's body":       {"POST /v1/orgs HTTP/1.1\r\nHost: x\r\n" + body, 0},
		"a body for a probe":      {"POST /livez HTTP/1.1\r\nHost: x\r\n" + body, 0},
		"a body for a document":   {"POST /openapi.json HTTP/1.1\r\nHost: x\r\n" + body, 0},
	} {
		all.Go(func() {
			begun := time.Now()
			answer, err := s.dribble(c.head, 90*time.Second)
			took := time.Since(begun).Round(100 * time.Millisecond)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: it is still held after %s", name, took)
			}
			if c.status != 0 && !strings.HasPrefix(answer, fmt.Sprintf("HTTP/1.1 %d ", c.status)) {
				t.Errorf("%s: answered %q, want %d", name, answer, c.status)
			}
			t.Logf("%s: let go of after %s: %.40q", name, took, answer)
		})
	}
	all.Wait()
	if code, _ := s.get(s.api + "/livez"); code != http.StatusOK {
		t.Errorf("it lives: %d", code)
	}
}

// dribble sends a head, then a byte a second, until the server closes the connection.
func (s *service) dribble(head string, patience time.Duration) (answer string, err error) {
	c, err := net.Dial("tcp", strings.TrimPrefix(s.api, "http://"))
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, head); err != nil {
		return "", err
	}
	over := make(chan struct{})
	defer close(over)
	go func() {
		for tick := time.Tick(time.Second); ; {
			select {
			case <-over:
				return
			case <-tick:
				_, _ = io.WriteString(c, "x") // until nobody takes it
			}
		}
	}()
	b, err := io.ReadAll(bufio.NewReader(c))
	return string(b), err
}
