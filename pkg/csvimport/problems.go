package csvimport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// MaxProblems bounds Problems.List; what goes beyond is counted.
const MaxProblems = 1000

// Problem is one thing to mend in the file.
type Problem struct {
	Line   int    `json:"line"` // of the file, from 1; 0 for the file as a whole
	Column string `json:"column,omitempty"`
	Reason string `json:"reason"`
}

func (p Problem) String() string {
	s := p.Reason
	if p.Column != "" {
		s = p.Column + ": " + s
	}
	if p.Line > 0 {
		s = fmt.Sprintf("line %d: %s", p.Line, s)
	}
	return s
}

// Problems is the error for a file that cannot be taken: all that is wrong with it,
// in the order of the lines.
type Problems struct {
	List []Problem
	More int            // how many there are beyond the List
	Code migration.Code // CsvInvalid, or CsvEncoding
}

// Error tells all problems, one a line.
func (p *Problems) Error() string {
	var b strings.Builder
	for i, problem := range p.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(problem.String())
	}
	if p.More > 0 {
		fmt.Fprintf(&b, "\nand %s more", thousands(int64(p.More)))
	}
	return b.String()
}

// Unwrap returns the fault that callers act on.
func (p *Problems) Unwrap() error {
	reason := "no problem is listed"
	if len(p.List) > 0 {
		reason = p.List[0].String()
	}
	if n := len(p.List) + p.More; n > 1 {
		reason = fmt.Sprintf("%s problems; the first: %s", thousands(int64(n)), reason)
	}
	return migration.NewFault(p.Code, migration.ScopeUser, "", reason, nil)
}

func (p *Problems) add(line int, column, reason string) {
	if len(p.List) == MaxProblems {
		p.More++
		return
	}
	p.List = append(p.List, Problem{line, column, reason})
}

// insert adds a problem that was found before its line's turn. It has a place in the list
// however long that is: it may explain the others.
func (p *Problems) insert(line int, reason string) {
	at := len(p.List)
	for at > 0 && line > 0 && p.List[at-1].Line >= line {
		at--
	}
	p.List = slices.Insert(p.List, at, Problem{Line: line, Reason: reason})
	if len(p.List) > MaxProblems {
		p.List = p.List[:MaxProblems]
		p.More++
	}
}

func (p *Problems) none() bool { return len(p.List) == 0 }

// thousands writes n as 50,000.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
