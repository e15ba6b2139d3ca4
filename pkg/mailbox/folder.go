package mailbox

import (
	"slices"
	"strings"
)

// Role is what a folder is for (RFC 6154), or "" for none.
type Role string

// The roles that are matched between source and target.
const (
	RoleInbox   Role = "Inbox"
	RoleSent    Role = "Sent"
	RoleDrafts  Role = "Drafts"
	RoleJunk    Role = "Junk"
	RoleTrash   Role = "Trash"
	RoleArchive Role = "Archive"
	RoleAll     Role = "All" // a view of everything, never copied from or into
	// RoleRest holds the messages that no other folder shows (Gmail's All Mail, without
	// what has a label). It is read last: what leaves another folder meanwhile shows there.
	RoleRest Role = "Rest"
)

// Folder is one line of a listing.
type Folder struct {
	// Name is the handle to pass back to this server: its own spelling with prefix
	// and delimiter, decoded from modified UTF-7. INBOX is "INBOX".
	Name string
	// Path is the name's parts without the namespace's prefix. INBOX is ["INBOX"].
	Path []string
	// Role is what the server's SPECIAL-USE attribute says; RoleInbox for INBOX.
	Role Role
	// Selectable is false for a name that only has children (\Noselect,
	// \NonExistent): it is no mailbox and is not made into one elsewhere.
	Selectable bool
	Subscribed bool
	// Status is nil where the server refused to tell it; the folder may still open.
	Status *Status
}

// Status is a folder's numbers (RFC 9051 STATUS, RFC 7162).
type Status struct {
	Messages    uint32
	UIDNext     UID
	UIDValidity UIDValidity
	// HighestModSeq is 0 where the server keeps no modification sequences there.
	HighestModSeq ModSeq
	// Size is the sum of all messages' sizes in bytes (RFC 8438), -1 where the
	// server does not tell.
	Size int64
}

// Selected is what opening a folder told.
type Selected struct {
	Status // Size is -1
	// Permanent is the flags that the server will keep; AnyKeyword says that it
	// accepts new keywords (\* in PERMANENTFLAGS). A folder opened read-only has
	// neither.
	Permanent  Flags
	AnyKeyword bool
}

// Keeps returns the flags of f to be stored here: the five system flags, which a
// server that does not keep them passes over, and the keywords that it permits,
// which it may refuse otherwise.
func (s Selected) Keeps(f Flags) Flags {
	var out Flags
	for _, name := range f {
		system := strings.HasPrefix(name, `\`)
		if system && slices.Contains(systemFlags, name) || !system && (s.AnyKeyword || s.Permanent.Has(name)) {
			out = append(out, name)
		}
	}
	return out
}

// Naming is how a server spells folder names: what the mapping of names from one
// server to another has to know.
type Naming struct {
	Prefix    string // of the personal namespace, with its delimiter, such as "INBOX."
	Delimiter string // one character; "" where the server has no hierarchy
	// Others are the prefixes of namespaces that are not listed, and in which nothing may
	// be made: other users' and shared ones, where they are not asked for.
	Others []string
	// Forbidden are characters that the server refuses inside a part of a name.
	Forbidden string
	// FoldsCase says that names that differ only in case are one folder.
	FoldsCase bool
	// TrimsNames says that no part of a name may begin or end with a space.
	TrimsNames bool
}

// Join spells path the way the server does. Parts must not hold the delimiter. What
// would lie in a namespace of Others is given another first part.
func (n Naming) Join(path []string) string {
	name := n.Plain(path)
	for _, first := range []string{path[0] + " (2)", "_" + path[0]} {
		if !n.isOthers(name) {
			break
		}
		name = n.Plain(append([]string{first}, path[1:]...))
	}
	return name
}

// Plain is Join without regard to Others.
func (n Naming) Plain(path []string) string {
	if len(path) == 1 && strings.EqualFold(path[0], "INBOX") {
		return "INBOX"
	}
	return n.Prefix + strings.Join(path, n.Delimiter)
}

func (n Naming) isOthers(name string) bool {
	return slices.ContainsFunc(n.Others, func(prefix string) bool {
		whole := strings.TrimSuffix(prefix, n.Delimiter)
		return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) || strings.EqualFold(name, whole)
	})
}

// Caps is what a server can do beyond RFC 3501, after login.
type Caps struct {
	LiteralPlus      bool // RFC 7888: literals of any size without waiting
	LiteralMinus     bool // RFC 7888: up to 4,096 bytes
	MultiAppend      bool // RFC 3502
	UIDPlus          bool // RFC 4315: APPEND tells the new UIDs
	CondStore        bool // RFC 7162
	ListStatus       bool // RFC 5819
	ListExtended     bool // RFC 5258
	SpecialUse       bool // RFC 6154
	CreateSpecialUse bool // RFC 6154
	Namespace        bool // RFC 2342
	ESearch          bool // RFC 4731
	Binary           bool // RFC 3516: literal8
	// AppendLimit is the largest message in bytes (RFC 7889); 0: not known.
	AppendLimit int64
}
