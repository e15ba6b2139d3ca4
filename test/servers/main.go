package servers

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Main is a TestMain's work where tests run programs of ours: it builds them into a
// temporary directory, *bin, and runs the tests. It returns the process's exit code.
// build is what go build is told, packages and flags.
func Main(m *testing.M, bin *string, build ...string) int {
	dir, err := os.MkdirTemp("", "mailhaul-bin-")
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	*bin = dir
	if out, err := exec.Command("go", append([]string{"build", "-o", dir}, build...)...).CombinedOutput(); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
