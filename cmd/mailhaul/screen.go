package main

import (
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vbauerster/mpb/v8/cwriter"
	"golang.org/x/text/width"
)

// window is how many cells and lines the terminal has now, to be asked before every
// page: people change it. 0: not known.
func (g *global) window() (columns, lines int) {
	f, ok := g.out.(*os.File)
	if !ok {
		return 0, 0
	}
	columns, lines, err := cwriter.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, lines
}

// fit clips a page to a terminal, for a line that wraps pushes the first ones out of
// sight. What has no room is told: by an ellipsis in a line, by a last line of a page.
func fit(page string, columns, lines int) string {
	all := strings.Split(strings.TrimSuffix(page, "\n"), "\n")
	// One line is the cursor's, one tells of the rest.
	if lines > 2 && len(all) > lines-1 {
		left := len(all) - (lines - 2)
		all = append(all[:lines-2], fmt.Sprintf("… %d lines more", left))
	}
	for i, line := range all {
		all[i] = clip(line, columns)
	}
	return strings.Join(all, "\n") + "\n"
}

func clip(line string, columns int) string {
	if columns <= 0 {
		return line
	}
	used, cut := 0, 0 // cut is where the ellipsis goes
	for i := 0; i < len(line); {
		r, n := utf8.DecodeRuneInString(line[i:])
		i += n
		if used += cells(r); used > columns {
			return line[:cut] + "…"
		}
		if used < columns {
			cut = i
		}
	}
	return line
}

// cells is how many cells of a terminal a character takes.
func cells(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
		return 2
	}
	return 1
}
