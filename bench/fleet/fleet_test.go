// Package fleet_test measures how a fleet shares out its work: limits by the mail
// server's own log, fairness, and what scheduling costs. Each benchmark runs its
// scenario once and adds a line to a table that has the target beside what was
// measured. It is a measurement: a target that is missed on a slow or busy machine is
// marked and fails nothing.
//
//	make bench-fleet          everything, some ten minutes
//	go test ./bench/fleet -run ^$ -bench Fair -benchtime 1x
//
// Where it says so, passes do nothing but wait: then the parts of a worker and of an
// API run in this process, over a real Redis and a real database, with the engine
// replaced. Elsewhere the built programs run.
package fleet_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/mailhaul/mailhaul/test/servers"
)

// bin is the directory of the built programs.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.bench"); f == nil || f.Value.String() == "" {
		os.Exit(m.Run())
	}
	code := servers.Main(m, &bin, "../../cmd/...", "../delayproxy")
	printTable()
	os.Exit(code)
}

// row is one line of the table.
type row struct {
	what, measured, target string
	met                    bool
}

var (
	rowsMu sync.Mutex
	rows   []row
)

// report adds a line to the table; an empty target is one that nothing is asked of.
func report(b *testing.B, met bool, what, target, format string, args ...any) {
	b.Helper()
	r := row{what: what, measured: fmt.Sprintf(format, args...), target: target, met: met}
	rowsMu.Lock()
	rows = append(rows, r)
	rowsMu.Unlock()
}

func printTable() {
	wide := 0
	for _, r := range rows {
		wide = max(wide, len(r.what))
	}
	fmt.Printf("\n%-*s  %-44s %s\n%s\n", wide, "", "measured", "target", strings.Repeat("-", wide+80))
	for _, r := range rows {
		verdict := ""
		switch {
		case r.target == "":
		case r.met:
			verdict = "met"
		default:
			verdict = "MISSED"
		}
		fmt.Printf("%-*s  %-44s %-34s %s\n", wide, r.what, r.measured, r.target, verdict)
	}
}
