package mailboxtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Memory is a mailbox in memory. It passes the same suite as the real servers, so
// that what is shown with it holds for them.
type Memory struct {
	Caps   mailbox.Caps
	Naming mailbox.Naming
	Quota  mailbox.Room   // what it tells of its room
	Side   migration.Side // for faults
	// Refuse, if set, is asked for each message; an error refuses it.
	Refuse func(mailbox.Message, []byte) error
	// Step, if set, is told of each operation before it is done and decides its fate.
	Step func(op string) Fate

	mu      sync.Mutex
	folders map[string]*MemoryFolder
	next    mailbox.UIDValidity
	// Writes counts APPENDs and STOREs applied.
	Writes int
}

// Fate is what becomes of an operation.
type Fate int

// The fates of an operation. After all but Done the connection is gone.
const (
	Done Fate = iota
	Undo      // it is not done
	Mute      // it is done, and the answer lost
	Late      // it is not done now, but LateAfter later (an APPEND only; others: Undo)
)

// LateAfter is when an operation with the fate Late is applied after all.
const LateAfter = 6 * time.Second

// MemoryFolder is one folder, open to the test.
type MemoryFolder struct {
	Validity   mailbox.UIDValidity
	Next       mailbox.UID
	ModSeq     mailbox.ModSeq
	Role       mailbox.Role
	Subscribed bool
	Parent     bool // a name that only has children
	Messages   []*MemoryMessage
}

// MemoryMessage is one message.
type MemoryMessage struct {
	UID    mailbox.UID
	Flags  mailbox.Flags
	Date   time.Time
	Body   []byte
	ModSeq mailbox.ModSeq
	// Withheld messages are listed and never delivered.
	Withheld bool
}

// NewMemory returns a mailbox with an empty INBOX and all abilities.
func NewMemory() *Memory {
	m := &Memory{
		Caps: mailbox.Caps{
			LiteralPlus: true, MultiAppend: true, UIDPlus: true, CondStore: true, ListStatus: true,
			ListExtended: true, SpecialUse: true, CreateSpecialUse: true, Namespace: true, ESearch: true,
		},
		Naming:  mailbox.Naming{Delimiter: "/"},
		folders: map[string]*MemoryFolder{},
		next:    1000,
	}
	m.Make("INBOX")
	return m
}

// Make returns the named folder, made if need be.
func (m *Memory) Make(name string) *MemoryFolder {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.make(name)
}

func (m *Memory) make(name string) *MemoryFolder {
	f := m.folders[name]
	if f == nil || f.Parent {
		m.next++
		f = &MemoryFolder{Validity: m.next, Next: 1, ModSeq: 1}
		m.folders[name] = f
	}
	return f
}

// Delete removes the named folder.
func (m *Memory) Delete(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.folders, name)
}

// Rename gives a folder another name, and what lies below it with it, as another
// client would.
func (m *Memory) Rename(from, to string) {
	s := &memorySession{m: &Memory{Naming: m.Naming, Side: m.Side, folders: m.folders}, killed: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := s.Rename(context.Background(), from, to); err != nil {
		panic(err)
	}
}

// Folder returns the named folder or nil. Touch it only while no pass runs.
func (m *Memory) Folder(name string) *MemoryFolder {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.folders[name]
}

// Messages returns what the named folder holds at this moment.
func (m *Memory) Messages(name string) []MemoryMessage {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.folders[name]
	if f == nil {
		return nil
	}
	out := make([]MemoryMessage, len(f.Messages))
	for i, x := range f.Messages {
		out[i] = *x
	}
	return out
}

// Names returns the folders' names, sorted.
func (m *Memory) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := make([]string, 0, len(m.folders))
	for n := range m.folders {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Deliver adds a message to the named folder, as a mail server would.
func (m *Memory) Deliver(name string, body []byte, date time.Time, flags ...string) mailbox.UID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deliver(m.make(name), mailbox.Message{Flags: mailbox.NewFlags(flags...), Date: date}, body)
}

func (m *Memory) deliver(f *MemoryFolder, msg mailbox.Message, body []byte) mailbox.UID {
	f.ModSeq++
	u := f.Next
	f.Next++
	if msg.Date.IsZero() {
		msg.Date = time.Now()
	}
	f.Messages = append(f.Messages, &MemoryMessage{UID: u, Flags: msg.Flags, Date: msg.Date, Body: body, ModSeq: f.ModSeq})
	return u
}

// SetFlags replaces a message's flags, as another client would.
func (m *Memory) SetFlags(name string, u mailbox.UID, flags ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.folders[name]
	if f == nil {
		return
	}
	for _, x := range f.Messages {
		if x.UID == u {
			f.ModSeq++
			x.Flags, x.ModSeq = mailbox.NewFlags(flags...), f.ModSeq
		}
	}
}

// Expunge removes messages for good.
func (m *Memory) Expunge(name string, uids ...mailbox.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.folders[name]
	if f == nil {
		return
	}
	f.ModSeq++
	f.Messages = slices.DeleteFunc(f.Messages, func(x *MemoryMessage) bool { return slices.Contains(uids, x.UID) })
}

// Open is a mailbox.Opener.
func (m *Memory) Open(context.Context) (mailbox.Session, error) {
	if m.fate("open") != Done {
		return nil, m.cut("open")
	}
	return &memorySession{m: m, killed: make(chan struct{})}, nil
}

func (m *Memory) fate(op string) Fate {
	if m.Step == nil {
		return Done
	}
	return m.Step(op)
}

func (m *Memory) cut(op string) error {
	return migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, m.Side, "the connection was cut at "+op, io.ErrUnexpectedEOF)
}

func (m *Memory) missing(name string) error {
	return migration.NewFault(migration.SourceChanged, migration.ScopeFolder, m.Side, fmt.Sprintf("folder %q is not there", name), nil)
}

type memorySession struct {
	m      *Memory
	mu     sync.Mutex
	dead   error
	killed chan struct{} // closed with dead
	folder *MemoryFolder
}

// do performs one operation with the fate that the test has in store for it.
func (s *memorySession) do(ctx context.Context, op string, f func() error) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	fate := s.m.fate(op)
	if fate == Undo || fate == Late {
		s.Kill(s.m.cut(op))
		return s.m.cut(op)
	}
	s.m.mu.Lock()
	err := f()
	s.m.mu.Unlock()
	if fate == Mute {
		s.Kill(s.m.cut(op))
		return s.m.cut(op)
	}
	return err
}

func (s *memorySession) alive(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil {
		s.Kill(cause)
		return cause
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

func (s *memorySession) Caps() mailbox.Caps     { return s.m.Caps }
func (s *memorySession) Naming() mailbox.Naming { return s.m.Naming }

func (s *memorySession) List(ctx context.Context) (out []mailbox.Folder, err error) {
	err = s.do(ctx, "list", func() error {
		for name, f := range s.m.folders {
			x := mailbox.Folder{Name: name, Path: s.m.path(name), Role: f.Role, Selectable: !f.Parent, Subscribed: f.Subscribed}
			if name == "INBOX" {
				x.Role = mailbox.RoleInbox
			}
			if !f.Parent {
				st := s.m.status(f)
				x.Status = &st
			}
			out = append(out, x)
		}
		slices.SortFunc(out, func(a, b mailbox.Folder) int { return strings.Compare(a.Name, b.Name) })
		return nil
	})
	return out, err
}

func (m *Memory) path(name string) []string {
	if name == "INBOX" || m.Naming.Delimiter == "" {
		return []string{name}
	}
	return strings.Split(strings.TrimPrefix(name, m.Naming.Prefix), m.Naming.Delimiter)
}

func (m *Memory) status(f *MemoryFolder) mailbox.Status {
	st := mailbox.Status{Messages: uint32(len(f.Messages)), UIDNext: f.Next, UIDValidity: f.Validity}
	if m.Caps.CondStore {
		st.HighestModSeq = f.ModSeq
	}
	for _, x := range f.Messages {
		st.Size += int64(len(x.Body))
	}
	return st
}

func (s *memorySession) Create(ctx context.Context, folders []mailbox.NewFolder) []error {
	errs := make([]error, len(folders))
	for i, n := range folders {
		errs[i] = s.do(ctx, "create", func() error {
			f := s.m.make(n.Name)
			if s.m.Caps.CreateSpecialUse && f.Role == "" {
				f.Role = n.Role
			}
			s.m.parents(n.Name)
			return nil
		})
	}
	return errs
}

// parents makes the names above a folder that are not there.
func (m *Memory) parents(name string) {
	path := m.path(name)
	for k := 1; k < len(path); k++ {
		parent := m.Naming.Join(path[:k])
		if m.folders[parent] == nil {
			m.folders[parent] = &MemoryFolder{Parent: true}
		}
	}
}

func (s *memorySession) Rename(ctx context.Context, from, to string) error {
	return s.do(ctx, "rename", func() error {
		folders := s.m.folders
		switch {
		case folders[from] == nil:
			return s.m.missing(from)
		case folders[to] != nil || from == "INBOX":
			return migration.NewFault(migration.SourceChanged, migration.ScopeFolder, s.m.Side, fmt.Sprintf("NO folder %q cannot be renamed to %q", from, to), nil)
		}
		for name, f := range maps.Clone(folders) {
			if below, ok := strings.CutPrefix(name, from); ok && (below == "" || s.m.Naming.Delimiter != "" && strings.HasPrefix(below, s.m.Naming.Delimiter)) {
				delete(folders, name)
				folders[to+below] = f
			}
		}
		s.m.parents(to)
		return nil
	})
}

func (s *memorySession) Subscribe(ctx context.Context, names []string, subscribed bool) []error {
	errs := make([]error, len(names))
	for i, n := range names {
		errs[i] = s.do(ctx, "subscribe", func() error {
			f := s.m.folders[n]
			if f == nil {
				return s.m.missing(n)
			}
			f.Subscribed = subscribed
			return nil
		})
	}
	return errs
}

func (s *memorySession) Select(ctx context.Context, name string, readOnly bool) (sel mailbox.Selected, err error) {
	err = s.do(ctx, "select", func() error {
		f := s.m.folders[name]
		if f == nil || f.Parent {
			return s.m.missing(name)
		}
		s.folder = f
		sel.Status = s.m.status(f)
		sel.Size = -1
		if !readOnly {
			sel.Permanent = mailbox.NewFlags(mailbox.Answered, mailbox.Deleted, mailbox.Draft, mailbox.Flagged, mailbox.Seen)
			sel.AnyKeyword = true
		}
		return nil
	})
	return sel, err
}

func (s *memorySession) Peek(ctx context.Context, names []string) ([]mailbox.Selected, []error) {
	out, errs := make([]mailbox.Selected, len(names)), make([]error, len(names))
	for i, name := range names {
		out[i], errs[i] = s.Select(ctx, name, false)
	}
	return out, errs
}

// Foresee is nothing here: there is no way to wait for.
func (s *memorySession) Foresee([]mailbox.Foreseen) {}

// fetch calls each for a snapshot of the messages of set in the open folder.
func (s *memorySession) fetch(ctx context.Context, op string, set mailbox.UIDSet, each func(MemoryMessage) error) error {
	var found []MemoryMessage
	if err := s.do(ctx, op, func() error {
		for _, x := range s.folder.Messages {
			if set.Contains(x.UID) {
				found = append(found, *x)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, x := range found {
		if err := s.do(ctx, op+" message", func() error { return nil }); err != nil {
			return err
		}
		if err := each(x); err != nil {
			s.Kill(err)
			return err
		}
	}
	return nil
}

func (s *memorySession) Sizes(ctx context.Context, set mailbox.UIDSet, each func(mailbox.UID, int64, time.Time) error) error {
	return s.fetch(ctx, "sizes", set, func(x MemoryMessage) error { return each(x.UID, int64(len(x.Body)), x.Date) })
}

func (s *memorySession) Room(ctx context.Context) (room mailbox.Room, err error) {
	err = s.do(ctx, "room", func() error {
		room = s.m.Quota
		return nil
	})
	return room, err
}

func (s *memorySession) Metas(ctx context.Context, set mailbox.UIDSet, each func(mailbox.Meta) error) error {
	return s.fetch(ctx, "metas", set, func(x MemoryMessage) error {
		return each(mailbox.Meta{UID: x.UID, Flags: x.Flags, Date: x.Date, Size: int64(len(x.Body)), Header: wantedFields(x.Body)})
	})
}

// wantedFields returns the header fields that a Meta holds.
func wantedFields(body []byte) []byte {
	head, _, _ := bytes.Cut(body, []byte("\r\n\r\n"))
	var out []byte
	keep := false
	for _, line := range bytes.SplitAfter(slices.Concat(head, []byte("\r\n")), []byte("\n")) {
		if len(line) > 0 && line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			keep = slices.Contains([]string{"message-id", "from", "to", "date", "subject"}, strings.ToLower(string(name)))
		}
		if keep {
			out = append(out, line...)
		}
	}
	return append(out, "\r\n"...)
}

func (s *memorySession) Flags(ctx context.Context, set mailbox.UIDSet, since mailbox.ModSeq, each func(mailbox.UID, mailbox.Flags) error) error {
	return s.fetch(ctx, "flags", set, func(x MemoryMessage) error {
		if x.ModSeq <= since {
			return nil
		}
		return each(x.UID, x.Flags)
	})
}

func (s *memorySession) Messages(ctx context.Context, set mailbox.UIDSet, each func(mailbox.Message) error) error {
	return s.fetch(ctx, "messages", set, func(x MemoryMessage) error {
		if x.Withheld {
			return nil
		}
		return each(mailbox.Message{UID: x.UID, Flags: x.Flags, Date: x.Date, Size: int64(len(x.Body)), Body: bytes.NewReader(x.Body)})
	})
}

func (s *memorySession) Store(ctx context.Context, changes []mailbox.FlagChange) error {
	for _, c := range changes {
		if err := s.do(ctx, "store", func() error {
			f := s.folder
			for _, x := range f.Messages {
				if c.Set.Contains(x.UID) {
					f.ModSeq++
					x.ModSeq = f.ModSeq
					x.Flags = mailbox.NewFlags(append(x.Flags.Without(c.Remove), c.Add...)...)
				}
			}
			s.m.Writes++
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// Expunge is two steps, as on the wire.
func (s *memorySession) Expunge(ctx context.Context, set mailbox.UIDSet) error {
	if !s.m.Caps.UIDPlus {
		return migration.NewFault(migration.TargetNotPrepared, migration.ScopeUser, s.m.Side, "no UIDPLUS", nil)
	}
	if err := s.Store(ctx, []mailbox.FlagChange{{Set: set, Add: mailbox.Flags{mailbox.Deleted}}}); err != nil {
		return err
	}
	return s.do(ctx, "expunge", func() error {
		f := s.folder
		f.ModSeq++
		f.Messages = slices.DeleteFunc(f.Messages, func(x *MemoryMessage) bool { return set.Contains(x.UID) && x.Flags.Has(mailbox.Deleted) })
		s.m.Writes++
		return nil
	})
}

func (s *memorySession) Append(ctx context.Context, name string, mode mailbox.AppendMode) (mailbox.Appender, error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	if mode.Open != 0 {
		if sel, err := s.Select(ctx, name, false); err != nil || sel.UIDValidity != mode.Open {
			err = migration.NewFault(migration.ConnectionFailed, migration.ScopeEndpoint, s.m.Side, "the folder is another one", err)
			s.Kill(err)
			return nil, err
		}
	}
	return &memoryAppender{s: s, name: name, mode: mode, answers: make(chan mailbox.Answer, 1024)}, nil
}

func (s *memorySession) Close() error {
	s.Kill(io.ErrClosedPipe)
	return nil
}

func (s *memorySession) Kill(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead == nil {
		s.dead = cause
		close(s.killed)
	}
}
