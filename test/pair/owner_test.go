package pair_test

import (
	"os"
	"syscall"
)

// chownLike gives a file to whom another one is.
func chownLike(path string, like os.FileInfo) error {
	owner := like.Sys().(*syscall.Stat_t)
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}
