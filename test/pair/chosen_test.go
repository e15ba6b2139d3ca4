package pair_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/test/servers"
)

// subjects reads a mailbox in its own way: for each folder that holds messages, by its
// name as the server spells it, the subjects of them.
func subjects(t *testing.T, port int) map[string]string {
	t.Helper()
	c, err := net.Dial("tcp", addr(port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	r, n := bufio.NewReader(c), 0
	ask := func(command string) (lines []string) {
		t.Helper()
		n++
		tag := fmt.Sprintf("s%d ", n)
		if _, err := fmt.Fprintf(c, "%s%s\r\n", tag, command); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v", command, err)
			}
			if answer, ours := strings.CutPrefix(line, tag); ours {
				if !strings.HasPrefix(answer, "OK") {
					t.Fatalf("%s: %s", command, answer)
				}
				return lines
			}
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	ask("LOGIN " + user + " " + servers.Password)
	out := map[string]string{}
	for _, line := range ask(`LIST "" "*"`) {
		_, name, is := strings.Cut(line, ` "/" `)
		if !is || strings.Contains(line, `\Noselect`) {
			continue
		}
		name = strings.Trim(name, `"`)
		ask(`EXAMINE "` + name + `"`)
		var have []string
		for _, line := range ask("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])") {
			if s, is := strings.CutPrefix(line, "Subject: "); is {
				have = append(have, s)
			}
		}
		if slices.Sort(have); len(have) > 0 {
			out[name] = strings.Join(have, " ")
		}
	}
	return out
}

// letterOf is a message with a subject, of a time.
func letterOf(subject string, date time.Time) mailbox.Message {
	body := "Subject: " + subject + "\r\n\r\ntext of " + subject + "\r\n"
	return mailbox.Message{Body: strings.NewReader(body), Size: int64(len(body)), Date: date}
}

// refused runs a verb that fails and returns what it said and its exit code.
func (w *world) refused(verb string, more ...string) (said string, code int) {
	w.t.Helper()
	cmd := w.command(w.t.Context(), verb, more...)
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err := cmd.Run()
	if failed := (*exec.ExitError)(nil); !errors.As(err, &failed) {
		w.t.Fatalf("%s: %v\n%s", verb, err, both.String())
	}
	return both.String(), cmd.ProcessState.ExitCode()
}

// TestFoldersGoWhereRulesSay between two servers: what two rules would make one is left
// out and told, before anything is copied too; with other rules it is carried, and what
// was begun stays where it is, whatever rules say later.
func TestFoldersGoWhereRulesSay(t *testing.T) {
	w := newWorld(t)
	w.source.AddUsers(t, user)
	w.target.AddUsers(t, user)
	for i, name := range []string{"INBOX", "Old Stuff", "Old Stuff/a", "Projects/x", "Projects/x/y", "Archive", "Gesendet"} {
		putMessages(t, w.source.Port, name, letterOf(fmt.Sprint("s", i), time.Unix(1_600_000_000, 0)))
	}
	rules := []string{"--map-folder", "old stuff=Archive", "--map-folder", "Projects/*=Work/R&D/*", "--map-folder", "#Sent#=Sent/Before"}
	for _, more := range [][]string{{"--dry-run"}, nil} {
		said, code := w.refused("sync", append(more, rules...)...)
		if code != 1 || !strings.Contains(said, "FolderNameCollision") || !strings.Contains(said, `\"Old Stuff\"`) || !strings.Contains(said, `\"Archive\"`) || !strings.Contains(said, "rule old stuff=Archive") {
			t.Fatalf("two that become one: code %d\n%s", code, said)
		}
	}
	want := map[string]string{"INBOX": "s0", "Old Stuff/a": "s2", "Work/R&-D/x": "s3", "Work/R&-D/x/y": "s4", "Sent/Before": "s6"}
	if got := subjects(t, w.target.Port); !maps.Equal(got, want) {
		t.Fatalf("without the two: %v, want %v", got, want)
	}
	rules[1] = "old stuff=Archive/Old"
	if r := w.run("sync", rules...); r.Copied != 2 || r.Unchanged != 5 {
		t.Errorf("with another rule: %+v", r)
	}
	want["Archive"], want["Archive/Old"] = "s5", "s1"
	if got := subjects(t, w.target.Port); !maps.Equal(got, want) {
		t.Errorf("with another rule: %v, want %v", got, want)
	}
	if r := w.run("verify", rules...); r.Missing+r.Altered+r.WrongDate+r.WrongFlags+r.FoldersMissing != 0 {
		t.Errorf("verify: %+v", r)
	}
	putMessages(t, w.source.Port, "Old Stuff", letterOf("s7", time.Unix(1_700_000_000, 0)))
	if r := w.run("sync", "--map-folder", "*=Elsewhere/*"); r.Copied != 1 || len(r.Kept) != 7 {
		t.Errorf("with rules of quite another kind: %+v", r)
	}
	want["Archive/Old"] = "s1 s7"
	if got := subjects(t, w.target.Port); !maps.Equal(got, want) {
		t.Errorf("in the end: %v, want %v", got, want)
	}
	if said, code := w.refused("sync", "--map-folder", "a=", "--map-folder", "b/*=c", "--map-folder", "b"); code != 2 || !strings.Contains(said, "is no rule") {
		t.Errorf("no rule: code %d\n%s", code, said)
	}
	if said, code := w.refused("sync", "--map-folder", "a=", "--map-folder", "b/*=c"); code != 2 || !strings.Contains(said, "rule 1 (a=)") || !strings.Contains(said, "rule 2 (b/*=c)") {
		t.Errorf("two rules that are wrong: code %d\n%s", code, said)
	}
}

// TestOnlyMailOfATime between two servers, whose own times are those of INTERNALDATE:
// what is in it is carried, a wider time brings the rest and nothing twice, with the
// records and without them.
func TestOnlyMailOfATime(t *testing.T) {
	w := newWorld(t)
	w.source.AddUsers(t, user)
	w.target.AddUsers(t, user)
	day := func(y, d int) time.Time { return time.Date(y, 1, d, 0, 0, 0, 0, time.UTC) }
	putMessages(t, w.source.Port, "INBOX", letterOf("a2019", day(2019, 5)), letterOf("b2020-0", day(2020, 1).Add(-time.Second)), letterOf("c2020", day(2020, 1)),
		letterOf("d2022", day(2022, 3)), letterOf("e2023-0", day(2023, 1).Add(-time.Second)), letterOf("f2023", day(2023, 1)))
	putMessages(t, w.source.Port, "Old", letterOf("g2018", day(2018, 5)), letterOf("h2021", day(2021, 5)))
	step := func(copied, adopted int, inbox, old string, more ...string) {
		t.Helper()
		r := w.run("sync", more...)
		if r.Copied != copied || r.Adopted != adopted || r.Skipped+r.Failed != 0 {
			t.Errorf("%v: %+v, want %d copied, %d adopted", more, r, copied, adopted)
		}
		if got := subjects(t, w.target.Port); got["INBOX"] != inbox || got["Old"] != old {
			t.Errorf("%v: at the target %v, want INBOX %s, Old %s", more, got, inbox, old)
		}
		if r := w.run("verify", more...); r.Missing+r.Altered+r.WrongDate+r.WrongFlags+r.FoldersMissing != 0 {
			t.Errorf("%v: verify: %+v", more, r)
		}
	}
	step(4, 0, "c2020 d2022 e2023-0", "h2021", "--since", "2020-01-01", "--before", "2023-01-01T01:00:00+01:00")
	step(0, 0, "c2020 d2022 e2023-0", "h2021", "--since", "2020-01-01", "--before", "2023-01-01")
	step(2, 0, "b2020-0 c2020 d2022 e2023-0 f2023", "h2021", "--since", "2019-12-31")
	w.state += "-lost"
	step(0, 5, "b2020-0 c2020 d2022 e2023-0 f2023", "h2021", "--since", "2020-01-01")
	step(2, 1, "a2019 b2020-0 c2020 d2022 e2023-0 f2023", "g2018 h2021")
	step(0, 0, "a2019 b2020-0 c2020 d2022 e2023-0 f2023", "g2018 h2021")
	w.same()
}
