package servers

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
	"testing"
)

// account is another user of the system.
type account struct{ uid, gid uint32 }

// ordinary is the account for a server that refuses to run as root: nil where the
// test is an ordinary user itself, else the first of names that there is.
func ordinary(t testing.TB, names ...string) *account {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uerr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gerr := strconv.ParseUint(u.Gid, 10, 32)
		if uerr == nil && gerr == nil {
			return &account{uint32(uid), uint32(gid)}
		}
	}
	t.Fatalf("the test runs as root and there is none of the users %v for a server that must not", names)
	return nil
}

func (a *account) become(attr *syscall.SysProcAttr) {
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
}

func (a *account) own(t testing.TB, path string) {
	t.Helper()
	if a == nil {
		return
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		t.Fatalf("give a server its directory: %v", err)
	}
}
