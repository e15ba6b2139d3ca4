package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dataDir is a directory that belongs to one process at a time.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir makes the directory where it is missing and locks it. The lock ends
// with the process, however that ends.
func openDataDir(path string) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of data directory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is in use by another process: end that one, or give another directory", path)
		}
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	return &dataDir{path: path, lock: lock}, nil
}

func (d *dataDir) close() error { return d.lock.Close() }

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// secret reads a file of the directory, or makes it with what make returns, for its
// owner alone.
func (d *dataDir) secret(name string, generate func() string) (string, error) {
	body, err := os.ReadFile(d.file(name))
	if err == nil {
		if v := strings.TrimSpace(string(body)); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("%s is empty: put back what was in it (or remove it, and what it protected is lost)", d.file(name))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	v := generate()
	if err := writeNew(d.file(name), v+"\n"); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return v, nil
}

// writeNew writes a file whole or not at all: a key that was half written would
// lock its owner out.
func writeNew(path, body string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(body)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// newToken makes a token's value: 256 bits.
func newToken() string { return "mh_" + rand.Text() + rand.Text() }
