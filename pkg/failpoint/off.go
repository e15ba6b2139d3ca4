//go:build !failpoints

package failpoint

// Reach does nothing.
func Reach(string) {}

// Due is false.
func Due(string) bool { return false }

// Die does nothing: nothing is due.
func Die() {}
