// Package statefile keeps the records of one mailbox pair in one file, for
// `mailhaul sync --state FILE`.
//
// The file is text, only ever added to: a first line that says what it is, then one
// line a window, each with a checksum. A window counts from the moment that its line
// is written whole, so a process may be killed at any point: a line cut short at the
// end is left out by the next one. When a pass has ended and the file has grown to
// several times what it has to say, it is written anew beside itself and renamed.
//
// It is not flushed to disk with every window. What a power cut takes away is found
// again at the target, as if the record had been lost.
package statefile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Pair says whose records a file holds.
type Pair struct {
	Source string `json:"source"` // the source's login
	Target string `json:"target"` // the target's login
}

// header is the first line.
type header struct {
	Mailhaul string `json:"mailhaul"` // "state"
	Version  int    `json:"version"`
	Pair
}

const version = 1

// compactFrom lines the file is written anew if most of them say nothing any more.
const compactFrom = 256

// File is an open state file. It is a mailsync.Records.
type File struct {
	path string
	mu   sync.Mutex
	f    *os.File
	pair Pair
	// records mirrors what the file says, lines counts what it takes to say so.
	records map[string]*migration.FolderRecord
	lines   int
	failed  error
}

// line is one window.
type line struct {
	Folder  string          `json:"f"`
	Head    json.RawMessage `json:"h,omitempty"`
	Append  []byte          `json:"a,omitempty"`
	Replace bool            `json:"r,omitempty"`
	Drop    bool            `json:"d,omitempty"`
}

// Open opens or makes the file and locks it. It refuses a file that another process
// has open, that is not a state file, or that belongs to other mailboxes.
func Open(path string, pair Pair) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open state file: %w", err)
	}
	s := &File{path: path, f: f, pair: pair, records: map[string]*migration.FolderRecord{}}
	if err := s.load(); err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("state file %s: %w", path, err)
	}
	return s, nil
}

func (s *File) load() error {
	if err := syscall.Flock(int(s.f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return errors.New("another process is using it: let that one end first")
		}
		return fmt.Errorf("lock: %w", err)
	}
	if err := s.stillThere(); err != nil {
		return err
	}
	r := bufio.NewReaderSize(s.f, 1<<16)
	good := int64(0) // bytes of whole lines
	for n := 0; ; n++ {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // a line cut short counts as never written
		}
		if err != nil {
			return err
		}
		if n == 0 {
			if err := s.checkHeader(text); err != nil {
				return err
			}
		} else if !s.replay(text) {
			break
		}
		good += int64(len(text))
		s.lines = n
	}
	if err := s.f.Truncate(good); err != nil {
		return err
	}
	if _, err := s.f.Seek(good, io.SeekStart); err != nil {
		return err
	}
	if good == 0 {
		return s.writeHeader(s.f)
	}
	return nil
}

// stillThere refuses a file that was replaced between opening and locking it.
func (s *File) stillThere() error {
	mine, err := s.f.Stat()
	if err != nil {
		return err
	}
	theirs, err := os.Stat(s.path)
	if err != nil || !os.SameFile(mine, theirs) {
		return errors.New("it was replaced just now by another process: try again")
	}
	return nil
}

func (s *File) checkHeader(text []byte) error {
	var h header
	if err := json.Unmarshal(text, &h); err != nil || h.Mailhaul != "state" {
		return errors.New("this is not a state file of mailhaul: name another file")
	}
	if h.Version != version {
		return fmt.Errorf("it has version %d, this program knows %d: use the newer program", h.Version, version)
	}
	if h.Pair != s.pair {
		return fmt.Errorf("it belongs to %s -> %s, not to %s -> %s: name another file", h.Source, h.Target, s.pair.Source, s.pair.Target)
	}
	return nil
}

func (s *File) writeHeader(w io.Writer) error {
	b, err := json.Marshal(header{"state", version, s.pair})
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// replay applies one line; false where it is damaged.
func (s *File) replay(text []byte) bool {
	sum, body, ok := bytes.Cut(bytes.TrimSuffix(text, []byte("\n")), []byte(" "))
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if !ok || err != nil || crc32.Checksum(body, castagnoli) != uint32(want) {
		return false
	}
	var l line
	if json.Unmarshal(body, &l) != nil {
		return false
	}
	w := migration.Window{Folder: l.Folder, Head: l.Head, Append: l.Append, Replace: l.Replace, Drop: l.Drop}
	w.Apply(s.records)
	return true
}

func encode(w migration.Window) ([]byte, error) {
	body, err := json.Marshal(line{w.Folder, w.Head, w.Append, w.Replace, w.Drop})
	if err != nil {
		return nil, err
	}
	out := fmt.Appendf(make([]byte, 0, len(body)+10), "%08x ", crc32.Checksum(body, castagnoli))
	return append(append(out, body...), '\n'), nil
}

// Records returns what the file holds.
func (s *File) Records(context.Context) ([]migration.FolderRecord, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]migration.FolderRecord, 0, len(s.records))
	for _, r := range s.records {
		out = append(out, *r)
	}
	return out, nil
}

// Commit adds one window. After an error (a full disk) every further one fails too,
// so that the file never skips a window.
func (s *File) Commit(_ context.Context, w migration.Window) error {
	if w.Folder == "" {
		return nil
	}
	b, err := encode(w)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	if failpoint.Due(failpoint.MidCommit) {
		_, _ = s.f.Write(b[:len(b)/2])
		failpoint.Die()
	}
	if _, err := s.f.Write(b); err != nil {
		s.failed = fmt.Errorf("write state file: %w", err)
		return s.failed
	}
	s.lines++
	w.Apply(s.records)
	return nil
}

// Close compacts the file if that pays, flushes it to disk and unlocks it.
func (s *File) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.failed
	if err == nil {
		err = s.f.Sync()
	}
	if err == nil && s.lines > compactFrom && s.lines > 4*s.entries() {
		err = s.compact()
	}
	return errors.Join(err, s.f.Close())
}

// entries is how many lines it takes to say what is known.
func (s *File) entries() int {
	n := 0
	for _, r := range s.records {
		n += max(1, len(r.Journal))
	}
	return n
}

// compact writes the file anew. Whoever opens the path meanwhile gets the old file,
// still locked by us, or the new one, which we do not touch any more.
func (s *File) compact() error {
	tmp, err := os.OpenFile(s.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("compact state file: %w", err)
	}
	w := bufio.NewWriter(tmp)
	err = s.writeHeader(w)
	for _, r := range s.records {
		windows := []migration.Window{{Folder: r.Folder, Head: r.Head}}
		for i, entry := range r.Journal {
			if i > 0 {
				windows = append(windows, migration.Window{Folder: r.Folder})
			}
			windows[i].Append = entry
		}
		for _, x := range windows {
			b, encodeErr := encode(x)
			err = errors.Join(err, encodeErr)
			if err == nil {
				_, err = w.Write(b)
			}
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	failpoint.Reach(failpoint.MidCompaction)
	if err == nil {
		err = os.Rename(tmp.Name(), s.path)
	}
	if err != nil {
		return fmt.Errorf("compact state file: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}
