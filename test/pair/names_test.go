package pair_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/test/servers"
)

// onDisk makes folders of one message each in a maildir, under names that the server
// would let nobody make.
func onDisk(t *testing.T, maildir string, names ...string) {
	t.Helper()
	owner, err := os.Stat(filepath.Dir(maildir))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(maildir, "."+name, sub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		text := "Subject: " + string(rune('a'+i)) + "\n\nbody\n"
		// Courier takes two files of one name for the same message, whatever their folders.
		file := fmt.Sprintf("1600000000.M%dP1.host:2,S", i)
		if err := os.WriteFile(filepath.Join(maildir, "."+name, "cur", file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err = filepath.WalkDir(maildir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return chownLike(path, owner)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func folderNames(t *testing.T, open mailbox.Opener) []string {
	t.Helper()
	s, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	folders, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range folders {
		if f.Status != nil && f.Status.Messages > 0 {
			out = append(out, f.Name)
		}
	}
	slices.Sort(out)
	return out
}

// TestNamesThatAreNoNames: Courier keeps UTF-8 on its disk, so that there can be folders
// of every name, also of what looks like modified UTF-7 and is none; each arrives by
// itself. Neither it nor Dovecot ever lists one that is no modified UTF-7: those are in
// imapmail's tests.
func TestNamesThatAreNoNames(t *testing.T) {
	t.Parallel()
	w := &world{t: t, source: servers.Courier(t, servers.CourierConfig{}), target: servers.Dovecot(t, servers.DovecotConfig{})}
	w.sourcePort, w.targetPort, w.state = w.source.Port, w.target.Port, filepath.Join(t.TempDir(), "state")
	w.source.AddUsers(t, user)
	onDisk(t, filepath.Join(w.source.MailDir, user, "Maildir"), "ä", "&AOQ-", "&AOQ", "&AGE-", "a", "x\x01y", "ä.ö")
	if r := w.run("sync"); r.Copied != 7 {
		t.Errorf("first pass: %+v", r)
	}
	want := []string{"&AGE-", "&AOQ", "&AOQ-", "a", "x=01y", "ä", "ä/ö"}
	if got := folderNames(t, imapmail.NewOpener(accountOf(w.target.Port), imapmail.Options{})); !slices.Equal(got, want) {
		t.Errorf("at the target %q\nwant          %q", got, want)
	}
	// Courier may number a folder anew that nobody has opened: its mail is adopted then, in
	// the next pass where it does so in the middle of one.
	r, code := w.try()
	for range 10 {
		if r.Code != "SourceChanged" {
			break
		}
		r, code = w.try()
	}
	if code != 0 || r.Copied != 0 || r.Unchanged+r.Adopted != 7 {
		t.Errorf("second pass: %+v, exit code %d", r, code)
	}
	if r := w.run("verify"); r.Missing+r.Altered+r.FoldersMissing != 0 {
		t.Errorf("verify: %+v", r)
	}
}
