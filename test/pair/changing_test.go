package pair_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// does gives a server commands, as the mailbox's user.
func does(t *testing.T, port int, commands ...string) {
	t.Helper()
	c, err := net.Dial("tcp", addr(port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	for i, command := range append([]string{"LOGIN " + user + " " + servers.Password}, commands...) {
		if _, err := fmt.Fprintf(c, "t%d %s\r\n", i, command); err != nil {
			t.Fatal(err)
		}
		for tag := fmt.Sprintf("t%d ", i); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v", command, err)
			}
			if answer, ours := strings.CutPrefix(line, tag); ours {
				if !strings.HasPrefix(answer, "OK") {
					t.Errorf("%s: %s", command, answer)
				}
				break
			}
		}
	}
}

// reading is a source that does something once, while the first message of a folder is
// read and the server has hundreds to send still.
type reading struct {
	open   mailbox.Opener
	folder string
	do     func()
	once   sync.Once
}

func (r *reading) Open(ctx context.Context) (mailbox.Session, error) {
	s, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	return &readSession{Session: s, r: r}, nil
}

type readSession struct {
	mailbox.Session
	r        *reading
	selected string
}

func (s *readSession) Select(ctx context.Context, name string, readOnly bool) (mailbox.Selected, error) {
	s.selected = name
	return s.Session.Select(ctx, name, readOnly)
}

func (s *readSession) Messages(ctx context.Context, set mailbox.UIDSet, each func(mailbox.Message) error) error {
	return s.Session.Messages(ctx, set, func(m mailbox.Message) error {
		if s.selected == s.r.folder {
			s.r.once.Do(s.r.do)
		}
		return each(m)
	})
}

// TestFolderChangesInMidPass: while a folder is read, or before it is its turn, its user
// renames it, deletes it, or makes another one of its name. The others are carried by
// this pass, and by the next everything that is still at the source, nothing twice.
func TestFolderChangesInMidPass(t *testing.T) {
	for name, x := range map[string]struct {
		at     string // the folder that is being read when it happens
		do     []string
		source int  // messages at the source afterwards
		twice  bool // what is moved between folders that stay is copied to both
	}{
		"renamed while it is read":   {"B", []string{"RENAME B C"}, 1200, false},
		"renamed before its turn":    {"A", []string{"RENAME B C"}, 1200, false},
		"deleted while it is read":   {"B", []string{"DELETE B"}, 600, true},
		"deleted before its turn":    {"A", []string{"DELETE B"}, 600, true},
		"made anew while it is read": {"B", []string{"DELETE B", "CREATE B"}, 600, true},
		"swapped while it is read":   {"B", []string{"RENAME B x", "RENAME A B", "RENAME x A"}, 1200, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, folder := range []string{"A", "B"} {
				var bodies []string
				for i := range 600 {
					bodies = append(bodies, fmt.Sprintf("Message-ID: <%s%d@x>\r\nSubject: %d\r\n\r\n%s", folder, i, i, strings.Repeat("words\r\n", 1500)))
				}
				put(t, w.source.Port, folder, bodies...)
			}
			source := accountOf(w.source.Port)
			source.Side = migration.Source
			records := mailsync.NewMemoryRecords()
			changing := &reading{open: imapmail.NewOpener(source, imapmail.Options{}), folder: x.at}
			done := false
			changing.do = func() { done = true; does(t, w.source.Port, x.do...) }
			job := mailsync.Job{Source: changing.Open, Target: imapmail.NewOpener(accountOf(w.target.Port), imapmail.Options{}), Records: records, Settle: settle}
			out, err := mailsync.Run(t.Context(), job)
			t.Logf("%+v, %v", out.Tally, err)
			if f := migration.AsFault(err); err != nil && (f.Scope != migration.ScopeFolder || f.Code != migration.SourceChanged) {
				t.Errorf("first pass: %v", err)
			}
			if !done {
				t.Fatal("nothing happened in the middle")
			}
			out, err = mailsync.Run(t.Context(), job)
			t.Logf("%+v, %v", out.Tally, err)
			if err != nil {
				t.Errorf("second pass: %v", err)
			}
			out, err = mailsync.Run(t.Context(), job)
			if err != nil || out.Tally.Copied+out.Tally.Adopted != 0 || out.Tally.Seen != int64(x.source) {
				t.Errorf("third pass: %+v, %v", out.Tally, err)
			}
			r, err := mailsync.Verify(t.Context(), mailsync.VerifyJob{Source: job.Source, Target: job.Target, Records: records})
			if err != nil || r.Missing+r.Altered+r.FoldersMissing != 0 {
				t.Errorf("verify: %+v, %v", r, err)
			}
			for _, d := range r.Differences {
				if d.Kind == "extra" && !x.twice {
					t.Errorf("doubled: %+v", d)
					break
				}
			}
		})
	}
}
