package statefile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// FuzzOpen: a file that says anything at all is refused or read as far as it is whole;
// what is then written to it is there the next time.
func FuzzOpen(f *testing.F) {
	header := `{"mailhaul":"state","version":1,"source":"a@example.org","target":"b@example.net"}` + "\n"
	good, err := encode(migration.Window{Folder: "INBOX", Head: []byte(`{"v":1}`), Append: []byte{1, 2}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(header + string(good)))
	f.Add([]byte(header + string(good[:9])))
	f.Add([]byte(header + "00000000 \n"))
	f.Add([]byte("{}\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, pair)
		if err != nil {
			if left, _ := os.ReadFile(path); string(left) != string(text) {
				t.Fatal("a file that is refused was changed")
			}
			return
		}
		if err := s.Commit(t.Context(), migration.Window{Folder: "new", Head: []byte(`{"v":1}`)}); err != nil {
			t.Fatal(err)
		}
		want := render(s.records)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again := mustOpen(t, path)
		defer func() { _ = again.Close() }()
		if got := render(again.records); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	})
}
