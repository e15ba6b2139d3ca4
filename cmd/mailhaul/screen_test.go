package main

import (
	"strings"
	"testing"
)

func TestAPageFitsItsTerminal(t *testing.T) {
	for _, row := range []struct {
		story          string
		page           string
		columns, lines int
		want           string
	}{
		{"it fits", "ab\ncd\n", 2, 3, "ab\ncd\n"},
		{"a terminal of unknown size", strings.Repeat("x", 500) + "\n", 0, 0, strings.Repeat("x", 500) + "\n"},
		{"a long line", "abcdef\nxy\n", 4, 9, "abc…\nxy\n"},
		{"letters of two cells", "日本語\n", 6, 9, "日本語\n"},
		{"and one too many", "日本語\n", 5, 9, "日本…\n"},
		{"and one that is cut in two", "a日本語\n", 5, 9, "a日…\n"},
		{"marks take none", "e\u0301e\u0301e\u0301\n", 3, 9, "e\u0301e\u0301e\u0301\n"},
		{"marks belong to their letter", "e\u0301e\u0301e\u0301\n", 2, 9, "e\u0301…\n"},
		{"bytes that are no text", "\xff\xff\xff\n", 2, 9, "\xff…\n"},
		{"many lines", "1\n2\n3\n4\n5\n", 80, 5, "1\n2\n3\n… 2 lines more\n"},
		{"and a narrow terminal", "1\n2\n3\n4\n5\n", 5, 4, "1\n2\n… 3 …\n"},
		{"a terminal of one line", "1\n2\n", 80, 1, "1\n2\n"},
	} {
		if got := fit(row.page, row.columns, row.lines); got != row.want {
			t.Errorf("%s: got %q, want %q", row.story, got, row.want)
		}
	}
}
