package store

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestFolderNamesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a", "Entw\xfcrfe", "\x00", escape, "ü", "00", "\xff", "\uFFFD"})).Draw(t, "name"), "")
		text := folderText(name)
		if got := folderName(text); got != name || !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			t.Fatalf("%q is stored as %q and comes back as %q", name, text, got)
		}
	})
}
