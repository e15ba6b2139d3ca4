package statefile

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

var pair = Pair{Source: "a@example.org", Target: "b@example.net"}

func mustOpen(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path, pair)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// story is a series of windows, and what is known after each.
func story() (windows []migration.Window, known []string) {
	records := map[string]*migration.FolderRecord{}
	for i := range 400 {
		w := migration.Window{Folder: fmt.Sprint("folder ", i%3), Head: fmt.Appendf(nil, `{"n":%d}`, i), Append: []byte{byte(i), '\n', 0, 0xff}}
		w.Replace = i%50 > 46
		w.Drop = i == 77
		windows = append(windows, w)
		w.Apply(records)
		known = append(known, render(records))
	}
	return windows, known
}

func render(records map[string]*migration.FolderRecord) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(records)) {
		fmt.Fprintf(&b, "%s %s %x\n", k, records[k].Head, records[k].Journal)
	}
	return b.String()
}

func TestEveryWindowSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	f := mustOpen(t, path)
	windows, known := story()
	ends := make([]int64, len(windows)) // of the file after each window
	for i, w := range windows {
		if err := f.Commit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = st.Size()
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := ends[0]; cut <= ends[len(ends)-1]; cut += 7 {
		last := 0
		for last+1 < len(ends) && ends[last+1] <= cut {
			last++
		}
		short := filepath.Join(t.TempDir(), "cut")
		if err := os.WriteFile(short, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		g := mustOpen(t, short)
		if got := render(g.records); got != known[last] {
			t.Fatalf("cut at byte %d: got\n%s\nwant\n%s", cut, got, known[last])
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A damaged line and what comes after it count as never written, also once more is written.
func TestADamagedLineEndsWhatIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	f := mustOpen(t, path)
	windows, known := story()
	for _, w := range windows[:3] {
		if err := f.Commit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The second window's folder gets another name; the third line stays whole.
	damaged := strings.Replace(string(text), "folder 1", "folder 7", 1)
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	f = mustOpen(t, path)
	if got := render(f.records); got != known[0] {
		t.Errorf("got\n%s\nwant\n%s", got, known[0])
	}
	if err := f.Commit(t.Context(), windows[1]); err != nil { // as long as the damaged line
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = mustOpen(t, path)
	if got := render(f.records); got != known[1] {
		t.Errorf("after one more\n%s\nwant\n%s", got, known[1])
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	f := mustOpen(t, path)
	windows, known := story()
	for range 5 {
		for _, w := range windows {
			if err := f.Commit(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, r := range f.records { // as mailsync does when a folder is finished
		first := r.Journal[0]
		for i := range 3 { // and goes on
			if err := f.Commit(t.Context(), migration.Window{Folder: r.Folder, Append: slices.Concat(first, []byte{byte(i)}), Replace: i == 0}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := render(f.records)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if after.Size()*10 > before.Size() {
		t.Errorf("the file has %d bytes after compaction, %d before", after.Size(), before.Size())
	}
	g := mustOpen(t, path)
	if got := render(g.records); got != want || got == known[0] {
		t.Errorf("after compaction\n%s\nwant\n%s", got, want)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	f := mustOpen(t, path)
	if _, err := Open(path, pair); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second process: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, other := range []Pair{{"c", pair.Target}, {pair.Source, "d"}} {
		if _, err := Open(path, other); err == nil || !strings.Contains(err.Error(), "belongs to a@example.org") {
			t.Errorf("%v: %v", other, err)
		}
	}
	other := filepath.Join(dir, "letter.txt")
	if err := os.WriteFile(other, []byte("Dear all,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(other, pair); err == nil || !strings.Contains(err.Error(), "not a state file") {
		t.Errorf("another file: %v", err)
	}
	if b, err := os.ReadFile(other); err != nil || string(b) != "Dear all,\n" {
		t.Errorf("the other file was touched: %q %v", b, err)
	}
}
