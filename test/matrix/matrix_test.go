// Package matrix_test copies awkward mail with the built `mailhaul sync` between every
// ordered pair of real servers, and with capabilities switched off. The judge is
// bench/verify.py, which shares no line with it: what it still calls a fault after it
// gave the same message to the target in a plain APPEND fails the test. Beside it mbsync
// and mutt read both sides, and find the same folders and messages (readers_test.go).
//
// `go test` runs the short form, `make matrix` all of it and prints the table.
package matrix_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/test/corpus"
	"github.com/mailhaul/mailhaul/test/servers"
)

var whole = flag.Bool("matrix.whole", false, "every pair and every capability, instead of a round of them")

// bin is the directory of the built programs.
var bin string

func TestMain(m *testing.M) {
	os.Exit(servers.Main(m, &bin, "../../cmd/mailhaul"))
}

// source is a server whose user u0000 has mail.
type source struct {
	kind
	port     int
	messages int // what the harness put there, and what the server kept of the rest
}

// fill puts the harness's corpus and the awkward messages into the source.
func fill(t *testing.T, k kind, port, messages int, awkward map[string][]byte) source {
	t.Helper()
	args := []string{bench("corpus.py"), "--port", strconv.Itoa(port), "--users", "1", "--messages", strconv.Itoa(messages), "--folders", "16"}
	if k.nul {
		args = append(args, "--nul")
	}
	if k.prefix != "" {
		args = append(args, "--ns-prefix", k.prefix)
	}
	if out, err := exec.Command("python3", args...).CombinedOutput(); err != nil {
		t.Fatalf("fill %s: %v\n%s", k.name, err, out)
	}
	refused := corpus.Put(t, account(port), awkward)
	t.Logf("%s refuses %d of %d awkward messages itself", k.name, len(refused), len(awkward))
	return source{k, port, messages}
}

// pass is what `mailhaul sync` says of itself.
type pass struct {
	Seen, Unchanged, Copied, Adopted, Skipped, Failed int
	Items                                             []struct {
		Folder, Code, Reason string
		UID                  int
	}
	Renamed []struct{ From, To string }
}

// sync runs one pass. Its exit code is 3 where messages were skipped.
func (s source) sync(t *testing.T, port int, user, state string) pass {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "mailhaul"), "sync", "--source", "imap+plain://u0000@"+address(s.port), "--target", "imap+plain://"+user+"@"+address(port),
		"--state", state, "--output", "json")
	cmd.Env = append(os.Environ(), "MAILHAUL_SOURCE_PASSWORD="+servers.Password, "MAILHAUL_TARGET_PASSWORD="+servers.Password)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 3) {
		t.Fatalf("sync: %v\n%s%s", err, out, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var p pass
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &p); err != nil {
		t.Fatalf("sync: %v in %q", err, out)
	}
	if p.Seen != p.Unchanged+p.Copied+p.Adopted+p.Skipped+p.Failed || p.Failed != 0 {
		t.Errorf("the pass does not add up: %+v", p)
	}
	return p
}

// verdict is the judge's.
type verdict struct {
	OK                          bool
	Target, Normalised, Refused int
	Messages                    map[string][]string // by what the target does with them
}

// judge compares the two mailboxes; a folder that the target cannot hold by its name
// is looked for under the one it was given.
func (s source) judge(t *testing.T, to kind, port int, user string, p pass) verdict {
	t.Helper()
	args := []string{bench("verify.py"), "--src", address(s.port), "--dst", address(port), "--user", "u0000", "--dst-user", user, "--prove", "--json", "--show", "20"}
	if s.prefix != "" {
		args = append(args, "--src-prefix", s.prefix)
	}
	if to.prefix != "" {
		args = append(args, "--dst-prefix", to.prefix)
	}
	for _, r := range p.Renamed { // the judge leaves the namespace's prefix out
		args = append(args, "--map", r.From+"="+strings.TrimPrefix(r.To, "INBOX."))
	}
	cmd := exec.Command("python3", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var v verdict
	if jsonErr := json.Unmarshal(out, &v); jsonErr != nil {
		t.Fatalf("verify: %v, %v\n%s%s", err, jsonErr, out, stderr.String())
	}
	if !v.OK {
		t.Errorf("the mailboxes differ:\n%s%s", out, stderr.String())
	}
	for what, where := range v.Messages {
		for _, w := range where {
			t.Logf("the target's own doing: %s: %s", what, w)
		}
	}
	return v
}

// row is a line of the table.
type row struct {
	from, to      string
	seen, changed int
	skipped       map[string]int
	again         int
}

// copied copies s into a fresh user's mailbox twice, and has it judged, and read by the
// readers named.
func copied(t *testing.T, s source, to kind, port int, user string, read ...string) row {
	t.Helper()
	state := filepath.Join(t.TempDir(), "state")
	first := s.sync(t, port, user, state)
	v := s.judge(t, to, port, user, first)
	s.readersAgree(t, to, port, user, first, v, read)
	r := row{from: s.name, to: to.name, seen: first.Seen, changed: v.Normalised, skipped: map[string]int{}}
	for _, i := range first.Items {
		r.skipped[i.Code]++
		t.Logf("skipped: %s uid %d: %s: %s", i.Folder, i.UID, i.Code, i.Reason)
	}
	if first.Seen < s.messages {
		t.Errorf("seen %d messages, want %d at least", first.Seen, s.messages)
	}
	// What the pass skipped is exactly what the target refuses in a plain APPEND.
	if first.Skipped != v.Refused || v.Target != first.Copied {
		t.Errorf("skipped %d, refused %d; copied %d, found %d", first.Skipped, v.Refused, first.Copied, v.Target)
	}
	second := s.sync(t, port, user, state)
	if r.again = second.Copied + second.Adopted; r.again != 0 || second.Unchanged != first.Copied {
		t.Errorf("second pass: %+v", second)
	}
	return r
}

func table(title string, rows []row) {
	fmt.Printf("\n%-44s %8s %8s %10s %12s  %s\n", title, "messages", "same", "normalised", "second pass", "skipped")
	for _, r := range rows {
		skipped, codes := 0, ""
		for _, code := range slices.Sorted(maps.Keys(r.skipped)) {
			skipped += r.skipped[code]
			codes += fmt.Sprintf("%d %s ", r.skipped[code], code)
		}
		fmt.Printf("%-44s %8d %8d %10d %12d  %s\n", r.from+" -> "+r.to, r.seen, r.seen-skipped-r.changed, r.changed, r.again, codes)
	}
}

// TestMatrix copies between pairs of servers: each with each, or in the short form each
// with the next.
func TestMatrix(t *testing.T) {
	awkward := corpus.Awkward(t, "../..")
	messages, read := 60, []string{"mbsync"}
	if *whole {
		messages, read = 300, []string{"mbsync", "mutt"}
	}
	users := []string{"u0000"}
	for i := range kinds {
		users = append(users, "from"+strconv.Itoa(i))
	}
	ports := make([]int, len(kinds))
	sources := make([]source, len(kinds))
	for i, k := range kinds {
		ports[i] = k.start(t, users)
		sources[i] = fill(t, k, ports[i], messages, awkward)
	}
	var rows []row
	for i, s := range sources {
		for j, to := range kinds {
			if *whole || j == (i+1)%len(kinds) {
				t.Run(s.name+" to "+to.name, func(t *testing.T) {
					rows = append(rows, copied(t, s, to, ports[j], "from"+strconv.Itoa(i), read...))
				})
			}
		}
	}
	table("pair", rows)
}

// TestCapabilities copies where either side lacks what it usually has: one capability
// at a time and all of them at once, or in the short form only the latter.
func TestCapabilities(t *testing.T) {
	awkward := corpus.Awkward(t, "../..")
	all := strings.Fields(switched)
	bare := [...]kind{
		dovecot("dovecot bare", servers.DovecotConfig{Capability: without(all...)}),
		cyrus("cyrus bare", servers.CyrusConfig{Suppress: switched + " QRESYNC"}),
		courier("courier bare", servers.CourierConfig{Capability: "IMAP4rev1"}),
	}
	bare[1].prefix, bare[2].prefix = "INBOX.", "INBOX."
	type pair struct{ from, to kind }
	pairs := []pair{{bare[0], bare[1]}, {bare[1], bare[2]}, {bare[2], bare[0]}}
	if *whole {
		for _, word := range all {
			off := dovecot("dovecot without "+word, servers.DovecotConfig{Capability: without(word)})
			less := cyrus("cyrus without "+word, servers.CyrusConfig{Suppress: word})
			if word == "NAMESPACE" {
				less.prefix = "INBOX."
			}
			pairs = append(pairs, pair{off, off}, pair{off, less}, pair{less, off})
		}
	}
	var rows []row
	for _, p := range pairs {
		t.Run(p.from.name+" to "+p.to.name, func(t *testing.T) {
			users := []string{"u0000", "to"}
			from, to := p.from.start(t, users), p.to.start(t, users)
			rows = append(rows, copied(t, fill(t, p.from, from, 60, awkward), p.to, to, "to"))
		})
	}
	table("capabilities switched off", rows)
}
