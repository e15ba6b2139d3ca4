package fleet_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mailhaul/mailhaul/test/canary"
)

// monitor is everything that is ever sent to a Redis.
type monitor struct {
	mu   sync.Mutex
	seen bytes.Buffer
}

func (m *monitor) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen.Write(p)
}

func (m *monitor) bytes() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.seen.Bytes())
}

// watchRedis keeps every command from now on.
func watchRedis(t *testing.T, url string) *monitor {
	t.Helper()
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	m, done := &monitor{}, make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(m, c)
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return m
}

// canaries looks for secrets in everything that was written anywhere.
type canaries struct {
	s       *service
	redis   *monitor
	secrets []string
}

// look fails the test for every secret that it finds.
func (c *canaries) look() {
	t := c.s.t
	t.Helper()
	c.s.mu.Lock()
	told := bytes.Clone(c.s.told.Bytes())
	c.s.mu.Unlock()
	places := []canary.Place{
		{Name: "redis", Body: c.redis.bytes(), Holds: "sync:pass"},
		{Name: "answers and outputs", Body: told, Holds: "m0000@example.org"},
	}
	for _, path := range c.s.logs {
		places = append(places, canary.Place{Name: path, Body: read(t, path), Holds: " runs"})
	}
	files, err := filepath.Glob(c.s.database + "*")
	if err != nil {
		t.Fatal(err)
	}
	canary.Look(t, append(places, canary.Files(t, "SQLite format", files...)...), c.secrets)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// query asks the database a question from outside of Mailhaul.
func (s *service) query(question string) (rows [][]any) {
	s.t.Helper()
	const ask = `import json, sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True, timeout=20)
print(json.dumps([[v.hex() if isinstance(v, bytes) else v for v in row] for row in db.execute(sys.argv[2])]))`
	out, err := exec.Command("python3", "-c", ask, s.database, question).Output()
	if err != nil {
		s.t.Fatalf("%s: %v", question, err)
	}
	must(s.t, json.Unmarshal(out, &rows))
	return rows
}

// count is the answer to a question after a number.
func (s *service) count(question string) int {
	s.t.Helper()
	rows := s.query(question)
	if len(rows) != 1 {
		s.t.Fatalf("%s answers %v", question, rows)
	}
	n, ok := rows[0][0].(float64)
	if !ok {
		s.t.Fatalf("%s answers %v", question, rows)
	}
	return int(n)
}

// sealed returns the sealed secrets of all users as they lie in the database.
func (s *service) sealed() (blobs [][]byte) {
	s.t.Helper()
	for _, row := range s.query(`SELECT source_secret, target_secret FROM users`) {
		for _, v := range row {
			b, err := hex.DecodeString(fmt.Sprint(v))
			if err != nil || len(b) == 0 {
				s.t.Fatalf("a user without a sealed secret: %v", row)
			}
			blobs = append(blobs, b)
		}
	}
	return blobs
}

// remains tells whether a database file still holds one of blobs.
func (s *service) remains(blobs [][]byte) bool {
	s.t.Helper()
	files, err := filepath.Glob(s.database + "*")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			continue // gone between looking and reading
		}
		for _, b := range blobs {
			if bytes.Contains(body, b) {
				return true
			}
		}
	}
	return false
}
