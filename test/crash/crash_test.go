// Package crash_test kills `mailhaul sync` at each of the points named in package
// failpoint, lets it finish, and has bench/verify.py, which shares no line with it,
// say what is lost and what is there twice. In `make test` each point has its turn
// once, in `make crash` twenty times, each time at another of its occurrences.
package crash_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

var (
	seeds = flag.Int("crash.seeds", 1, "how many times each point has its turn")
	first = flag.Uint64("crash.seed", 1, "the first seed")
)

// bin is the directory of the built programs.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(servers.Main(m, &bin, "-tags", "failpoints", "../../cmd/mailhaul"))
}

// A later case is a pass of the next day: new mail, other flags, a folder renamed. A
// mirroring one finds messages deleted at the source instead (deletions_test.go). Users
// are named after it.
const (
	firstDay  = "f"
	later     = "l"
	mirroring = "m"
)

// occurrences are how often a pass here comes by a point at least, and which pass.
var occurrences = map[string]struct {
	times int
	day   string
}{
	failpoint.FolderRenamed: {1, later}, failpoint.RecordMoved: {2, later}, failpoint.FoldersCreated: {1, firstDay},
	failpoint.BeforeWriting: {8, firstDay}, failpoint.WritingMarked: {8, firstDay}, failpoint.MidLiteral: {4, firstDay},
	failpoint.WindowSent: {6, firstDay}, failpoint.WindowAnswered: {6, firstDay}, failpoint.MidCommit: {24, firstDay}, failpoint.Committed: {6, firstDay},
	failpoint.BeforeFlags: {3, later}, failpoint.FlagsStored: {3, later}, failpoint.BeforeFinish: {6, firstDay}, failpoint.Finished: {6, firstDay},
	failpoint.BeforeExpunge: {folders, mirroring}, failpoint.CopiesMarked: {folders, mirroring}, failpoint.Expunged: {folders, mirroring},
	failpoint.Forgotten: {folders, mirroring}, failpoint.MidCompaction: {1, later},
}

// outcome is a row of the table: sums over the seeds.
type outcome struct {
	killed, alive, lost, doubled, redelivered, surplus, adopted, copied, deleted, again int
}

// world is two Dovecots with mailboxes for all cases.
type world struct {
	t              *testing.T
	source, target *servers.IMAP
	dir            string // of the state files
	mu             sync.Mutex
	rows           map[string]*outcome
	own            map[string]mailbox.UID // by user and folder, see tidyUp
}

// kase is one death: its user is its alone.
type kase struct {
	point, user, day string
	n                int
}

func TestDeathAtEachPoint(t *testing.T) {
	w := &world{
		t: t, source: servers.Dovecot(t, servers.DovecotConfig{}), target: servers.Dovecot(t, servers.DovecotConfig{}),
		dir: t.TempDir(), rows: map[string]*outcome{}, own: map[string]mailbox.UID{},
	}
	cases := w.cases()
	w.prepare(cases)
	w.each(cases, w.die)
	var table strings.Builder
	fmt.Fprintf(&table, "%-16s %6s %5s %5s %7s %11s %7s %7s %6s %7s %6s\n", "point", "killed", "alive", "lost", "doubled", "redelivered", "surplus", "adopted", "copied", "deleted", "again")
	for _, name := range failpoint.Names() {
		r := w.rows[name]
		fmt.Fprintf(&table, "%-16s %6d %5d %5d %7d %11d %7d %7d %6d %7d %6d\n", name, r.killed, r.alive, r.lost, r.doubled, r.redelivered, r.surplus, r.adopted, r.copied, r.deleted, r.again)
		if r.killed == 0 || r.alive > *seeds/2 {
			t.Errorf("%s: killed %d times in %d", name, r.killed, *seeds)
		}
		if r.lost+r.doubled+r.redelivered+r.surplus+r.again != 0 {
			t.Errorf("%s: %+v", name, *r)
		}
	}
	t.Logf("%d cases, seeds from %d; adopted, copied and deleted by the pass after the death, again by one more\n%s", len(cases), *first, table.String())
}

// cases draws which occurrence of its point each process dies at.
func (w *world) cases() []kase {
	var out []kase
	counts := map[string]int{}
	for _, name := range failpoint.Names() {
		o, known := occurrences[name]
		if !known {
			w.t.Fatalf("the point %s is not tested", name)
		}
		w.rows[name] = &outcome{}
		for i := range *seeds {
			r := rand.New(rand.NewPCG(*first+uint64(i), uint64(len(out))))
			c := kase{point: name, day: o.day, n: 1 + r.IntN(o.times)}
			c.user = fmt.Sprintf("%s%04d", c.day, counts[c.day])
			counts[c.day]++
			out = append(out, c)
		}
	}
	for day, users := range counts {
		w.python("corpus.py", "--port", strconv.Itoa(w.source.Port), "--users", strconv.Itoa(users), "--messages", "60", "--prefix", day)
	}
	return out
}

// prepare brings the mailboxes of later passes in step, and lets a day go by.
func (w *world) prepare(cases []kase) {
	counts := map[string]int{}
	known := slices.DeleteFunc(slices.Clone(cases), func(c kase) bool { return c.day == firstDay })
	for _, c := range known {
		counts[c.day]++
	}
	w.each(known, func(c kase) {
		w.in(w.source, c, func(s mailbox.Session) error { return travel(w.t.Context(), s) })
		w.sync(c, "")
	})
	for day, users := range counts {
		w.python("corpus.py", "--port", strconv.Itoa(w.source.Port), "--users", strconv.Itoa(users), "--prefix", day, "--mutate", "--new", "15", "--flags", "15")
	}
	w.each(known, func(c kase) {
		if c.day == mirroring {
			w.tidyUp(c)
			return
		}
		w.in(w.source, c, func(s mailbox.Session) error { return s.Rename(w.t.Context(), "Trips", "Old & gone") })
		if c.point == failpoint.MidCompaction {
			w.lengthen(c)
		}
	})
}

// in does something in a mailbox of a server's, as its user.
func (w *world) in(server *servers.IMAP, c kase, do func(mailbox.Session) error) {
	s, err := imapmail.NewOpener(imapmail.Account{
		Host: server.Host, Port: server.Port, Security: migration.Plain, User: c.user, Password: migration.NewSecret(servers.Password),
	}, imapmail.Options{})(w.t.Context())
	if err == nil {
		err = errors.Join(do(s), s.Close())
	}
	if err != nil {
		w.t.Errorf("%+v: change a mailbox: %v", c, err)
	}
}

// travel makes the folders that are renamed afterwards.
func travel(ctx context.Context, s mailbox.Session) error {
	err := errors.Join(s.Create(ctx, []mailbox.NewFolder{{Name: "Trips"}, {Name: "Trips/2019"}})...)
	for _, name := range []string{"Trips", "Trips/2019"} {
		a, openErr := s.Append(ctx, name, mailbox.AppendMode{})
		if err = errors.Join(err, openErr); err != nil {
			return err
		}
		for i := range 3 {
			body := fmt.Sprintf("Subject: day %d\r\nMessage-ID: <%d@%s>\r\n\r\nrain\r\n", i, i, name)
			err = errors.Join(err, a.Add(ctx, mailbox.NewMessage{Message: mailbox.Message{Date: time.Unix(1_600_000_000, 0), Size: int64(len(body)), Body: strings.NewReader(body)}}))
		}
		err = errors.Join(err, a.Flush(ctx))
		_, answerErr := a.Receive(ctx)
		err = errors.Join(err, answerErr, a.Close())
	}
	return err
}

// lengthen repeats what the state file says last, so that it is worth compacting.
func (w *world) lengthen(c kase) {
	path := w.state(c)
	b, err := os.ReadFile(path)
	if err == nil {
		lines := strings.SplitAfter(strings.TrimSuffix(string(b), "\n")+"\n", "\n")
		last := lines[len(lines)-2]
		if strings.Contains(last, `"a":`) {
			w.t.Errorf("the last line of the state file is no mere head: %s", last)
		}
		err = os.WriteFile(path, []byte(string(b)+strings.Repeat(last, 600)), 0o600)
	}
	if err != nil {
		w.t.Error(err)
	}
}

// die kills one process, lets another finish, and has the outcome judged.
func (w *world) die(c kase) {
	_, died := w.sync(c, fmt.Sprintf("%s:%d", c.point, c.n))
	left := w.held(c)
	after, _ := w.sync(c, "")
	again, _ := w.sync(c, "")
	w.judgeDeletions(c, left, after)
	told, err := w.script("verify.py", "--src", addr(w.source), "--dst", addr(w.target), "--user", c.user, "--show", "5")
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rows[c.point]
	if died {
		r.killed++
	} else {
		r.alive++
	}
	if err != nil || !strings.HasPrefix(told, "SAME") {
		r.lost += count(told, "missing") + count(told, "altered") + count(told, "wrong_flags") + count(told, "folders_missing")
		r.doubled += count(told, "duplicate") + count(told, "extra") + count(told, "folders_extra")
		w.t.Errorf("%+v: %v\n%s", c, err, told)
	}
	r.redelivered += after.Redelivered
	r.surplus += after.Surplus
	r.adopted += after.Adopted
	r.copied += after.Copied
	r.deleted += after.Deleted
	r.again += again.Copied + again.Adopted + again.FlagsUpdated + again.Deleted
}

func count(told, what string) int {
	found := regexp.MustCompile(`\b` + what + `=(\d+)`).FindStringSubmatch(told)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

type result struct {
	Seen, Unchanged, Copied, Adopted, Skipped, Failed, Redelivered, Surplus, FlagsUpdated, Deleted, KeptAtTarget int
}

// sync runs a pass, which dies at a point if one is named.
func (w *world) sync(c kase, point string) (r result, died bool) {
	url := func(s *servers.IMAP) string { return "imap+plain://" + c.user + "@" + addr(s) }
	cmd := exec.CommandContext(w.t.Context(), filepath.Join(bin, "mailhaul"), "sync", "--source", url(w.source), "--target", url(w.target), "--state", w.state(c), "--output", "json")
	if c.day == mirroring {
		cmd.Args = append(cmd.Args, "--deletions", "mirror")
	}
	cmd.Env = append(os.Environ(), "MAILHAUL_SOURCE_PASSWORD="+servers.Password, "MAILHAUL_TARGET_PASSWORD="+servers.Password, "MAILHAUL_FAILPOINT="+point)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && point != "" && st.Signaled() && st.Signal() == syscall.SIGKILL {
		return r, true
	}
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err == nil && r.Seen != r.Unchanged+r.Copied+r.Adopted || r.Skipped+r.Failed != 0 {
		err = errors.New("messages are left out")
	}
	if err != nil {
		w.t.Errorf("%+v: sync: %v\n%s%s", c, err, out, stderr.String())
	}
	return r, false
}

func (w *world) state(c kase) string { return filepath.Join(w.dir, c.user) }

// each does something for all cases, several at a time: most of them wait for a folder
// to settle.
func (w *world) each(cases []kase, do func(kase)) {
	var all sync.WaitGroup
	turns := make(chan struct{}, 16)
	for _, c := range cases {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			do(c)
		})
	}
	all.Wait()
}

func (w *world) python(name string, args ...string) {
	w.t.Helper()
	if out, err := w.script(name, args...); err != nil {
		w.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func (w *world) script(name string, args ...string) (string, error) {
	out, err := exec.CommandContext(w.t.Context(), "python3", append([]string{"../../bench/" + name}, args...)...).CombinedOutput()
	return string(out), err
}

func addr(s *servers.IMAP) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }
