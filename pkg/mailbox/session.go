package mailbox

import (
	"context"
	"errors"
	"time"
)

// Opener makes a new authenticated connection to one mailbox. It may be called
// again at any time; each call is a connection of its own.
type Opener func(ctx context.Context) (Session, error)

// Session is one authenticated connection to one mailbox. Except for Kill, and
// for Receive beside Add and Flush on an Appender, it is for one caller at a time.
// After an error whose Fault has scope endpoint the connection is gone: every
// further call fails, and a new one has to be opened.
type Session interface {
	Caps() Caps
	Naming() Naming

	// List returns the folders of the personal namespace with their numbers,
	// sorted by Name, in as few round trips as the server allows.
	List(ctx context.Context) ([]Folder, error)

	// Create makes folders, pipelined. It answers one error a request, nil where
	// the folder is there afterwards, also where it existed before. May have
	// happened although an error came back.
	Create(ctx context.Context, folders []NewFolder) []error

	// Rename gives a folder another name, and what lies below it with it (RFC 9051
	// section 6.3.6). It may have happened although an error came back. It is refused
	// where the new name is taken. Some servers (Courier) number the folder anew.
	Rename(ctx context.Context, from, to string) error

	// Subscribe changes subscriptions, pipelined, one error a name as in Create.
	Subscribe(ctx context.Context, names []string, subscribed bool) []error

	// Room tells what the mailbox has room for.
	Room(ctx context.Context) (Room, error)

	// Select opens a folder: read-only (EXAMINE) or for writing. It replaces the
	// folder opened before. A missing folder is Fault{SourceChanged, folder}.
	Select(ctx context.Context, name string, readOnly bool) (Selected, error)

	// Peek opens folders for writing, all in one round trip, and tells what Select would
	// of each, or its error. Which of them is open afterwards is not said.
	Peek(ctx context.Context, names []string) ([]Selected, []error)

	// Metas calls each for the messages of set in the open folder that exist, in
	// any order, each once. An error of each ends it and is returned; the
	// connection is then gone.
	Metas(ctx context.Context, set UIDSet, each func(Meta) error) error

	// Sizes is Metas for UIDs, sizes in bytes and dates alone.
	Sizes(ctx context.Context, set UIDSet, each func(uid UID, size int64, received time.Time) error) error

	// Flags is Metas for UIDs and flags alone; with since not 0 only for messages
	// that the server reports as changed after it (CONDSTORE): it may report more
	// than changed, never less.
	Flags(ctx context.Context, set UIDSet, since ModSeq, each func(UID, Flags) error) error

	// Messages is Metas with whole bodies, streamed: nothing is marked as read, and
	// memory does not grow with a message's size. A UID that exists may be left out
	// where the server does not deliver it: compare what was asked for.
	Messages(ctx context.Context, set UIDSet, each func(Message) error) error

	// Foresee says which folders will be opened next (read-only), in this order, and
	// what will be read of them, so that a server far away can be asked before. It is
	// no promise: calls that differ from it answer as ever, at the price of what was
	// asked for in vain.
	Foresee(folders []Foreseen)

	// Store applies flag changes in the open folder. Doing it twice is harmless; it
	// may have happened in part although an error came back. Messages that are gone
	// are passed over in silence.
	Store(ctx context.Context, changes []FlagChange) error

	// Expunge deletes the messages of set, and no other, from the open folder for good,
	// whatever else is marked as deleted there (RFC 4315 section 2.1). Messages that are
	// gone are passed over in silence. It may have happened in part although an error came
	// back, or have left messages of set marked. Without Caps.UIDPlus it is refused.
	Expunge(ctx context.Context, set UIDSet) error

	// Append lends the connection to an Appender for the named folder; until all that it
	// was given is flushed no other method but Kill may be called. From then on they may,
	// another Append too, but List: the server answers in the order it was asked. The folder need
	// not be open, but many servers are faster when it is.
	Append(ctx context.Context, name string, mode AppendMode) (Appender, error)

	// Close logs out and closes. Kill closes at once; calls under way end with cause.
	Close() error
	Kill(cause error)
}

// Room is what a mailbox has room for; what the server does not tell is 0.
type Room struct {
	// Limit is how many bytes it may hold (RFC 9208), Used what it holds of them.
	Limit, Used int64
	// AppendLimit is the largest message in bytes that INBOX takes (RFC 7889).
	AppendLimit int64
}

// NewFolder asks for a folder; Role is passed on where the server takes one
// (RFC 6154 CREATE-SPECIAL-USE).
type NewFolder struct {
	Name string
	Role Role
}

// Foreseen is a folder that will be opened, and what will be read of it, in order.
type Foreseen struct {
	Folder string
	Reads  []Read
}

// Read is a call to come: Messages of Set (or of a part of it) where it is Whole, else
// Flags of Set since Since.
type Read struct {
	Set   UIDSet
	Since ModSeq
	Whole bool
}

// FlagChange adds and removes flags of the messages in Set, and leaves all others.
type FlagChange struct {
	Set         UIDSet
	Add, Remove Flags
}

// AppendMode is how carefully an Appender writes.
type AppendMode struct {
	// Single writes each message in an APPEND of its own, so that each gets its own
	// answer, also where the server has MULTIAPPEND.
	Single bool
	// Synchronous waits before each literal until the server asks for it: after a
	// server answered BAD, so that a message is never read as commands.
	Synchronous bool
	// Open has the Appender open the folder first, without waiting for the answer. It is
	// the UIDVALIDITY that Peek told: where the folder has another by now, or is gone,
	// the connection ends before any answer to what was sent is told. 0: the folder is
	// left as it is.
	Open UIDValidity
}

// ErrBad is in the chain of an Appender's error where the server answered BAD: it may
// have read a message's lines as commands, so the connection was closed at once. The
// folder goes on with AppendMode.Synchronous.
var ErrBad = errors.New("the server could not read the command")

// Appender writes messages into one folder, many on their way at once.
//
// Messages added since the last Flush are one window. Where the server has
// MULTIAPPEND a window is one command, stored or refused as a whole; elsewhere it
// is as many commands, pipelined where the server has LITERAL+.
//
// Add, Store and Flush are for one goroutine, Receive for another. An error of any of
// them means that the connection is gone and that every window without an Answer
// is unsure: it may be stored, or be stored later.
type Appender interface {
	// Add sends one message, reading its whole Body. It may block until the server
	// has taken it. If Body fails the error is a *BodyError, and the connection has
	// been closed because half a literal cannot be taken back.
	Add(ctx context.Context, m NewMessage) error
	// Store sends flag changes for the folder, which is open, as a window of their own;
	// no window may be begun. As Session.Store, but for the Answer: it has Refused alone.
	Store(ctx context.Context, changes []FlagChange) error
	// Flush ends the window; an empty one is nothing, and gets no Answer.
	Flush(ctx context.Context) error
	// Receive waits for the Answer to the oldest flushed window that has none yet.
	Receive(ctx context.Context) (Answer, error)
	// Close gives the connection back to the Session. Windows must all be answered;
	// otherwise it kills the connection.
	Close() error
}

// NewMessage is a message to be written.
type NewMessage struct {
	Message // UID is ignored; a zero Date leaves the date to the server
	// Flags must already be those that the folder Keeps. The adapter still passes on
	// none but the five system flags and keywords that are atoms (RFC 9051).
}

// Answer is what the server said to one window.
type Answer struct {
	// Validity is the folder's UIDVALIDITY and UIDs the new UIDs, one a message in
	// the order added, where the server tells them (UIDPLUS); otherwise 0 and nil.
	Validity UIDValidity
	UIDs     []UID
	// Refused is set where the window was refused as one command: nothing of it is
	// stored, and which message was to blame is not known.
	Refused error
	// Each is nil, or one error a message where each was its own command: nil means
	// stored, an error refused and not stored. UIDs of refused ones are 0.
	Each []error
	// Took is how long the answer was waited for after the window was sent.
	Took time.Duration
}

// BodyError is a failure to read the message that was being written: the source's
// fault, not the target's.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "read message: " + e.Err.Error() }

func (e *BodyError) Unwrap() error { return e.Err }
