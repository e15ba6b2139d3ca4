// Package fleet_test runs the built programs as an operator would: API and workers
// as processes of their own on a real Redis, two real Dovecots, the command line.
// Whether mail arrived is judged by bench/verify.py, which shares no line with them;
// whether a secret did, by everything that any of them ever wrote (canary_test.go).
package fleet_test

import (
	"flag"
	"os"
	"testing"

	"github.com/mailhaul/mailhaul/test/servers"
)

// bin is the directory of the built programs.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	// All of them wait, most of the time, for processes that wait for each other.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(servers.Main(m, &bin, "../../cmd/...", "../../bench/delayproxy"))
}
