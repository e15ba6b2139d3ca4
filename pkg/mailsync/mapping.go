package mailsync

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// assignment is where a source folder goes.
type assignment struct {
	source mailbox.Folder
	target string
	role   mailbox.Role
	// renamed is set where the target has another path than the source would have
	// there: by role, because the target cannot hold the name, or because two names
	// would have become one.
	renamed bool
}

// assign maps source folders to names at the target. A mapping that was recorded
// before is kept; a folder with a role goes to the target's folder of that role and
// takes its children along; everything else keeps its path, in the target's
// spelling. Two source folders never get one target.
//
// source is what is to be carried (already filtered), in any order; recorded maps
// source names to targets.
func assign(source, all, target []mailbox.Folder, naming mailbox.Naming, recorded map[string]string) []assignment {
	from, to := roleFolders(all), roleFolders(target)
	roleOf := map[string]mailbox.Role{}
	for role, name := range from {
		roleOf[name] = role
	}
	ordered := slices.Clone(source)
	slices.SortFunc(ordered, func(a, b mailbox.Folder) int {
		return cmp.Or(
			-boolCompare(recorded[a.Name] != "", recorded[b.Name] != ""), // kept ones first,
			-boolCompare(roleOf[a.Name] != "", roleOf[b.Name] != ""),     // then those with a role,
			cmp.Compare(len(a.Path), len(b.Path)),                        // then parents before children
			slices.Compare(a.Path, b.Path))
	})
	taken := map[string]bool{}
	moved := map[string]string{} // source path -> target name, of folders that others may lie below
	out := make([]assignment, 0, len(ordered))
	for _, f := range ordered {
		role := roleOf[f.Name]
		plain := naming.Join(spell(f.Path, naming))
		name := recorded[f.Name]
		if name == "" {
			name = plain
			if there, ok := to[role]; ok && role != "" {
				name = there
			} else if parent, ok := parentOf(f.Path, moved); ok {
				rest := spell(f.Path[len(parent.path):], naming)
				name = parent.target + naming.Delimiter + strings.Join(rest, naming.Delimiter)
			}
			for i := 2; taken[foldName(name, naming)]; i++ {
				name = plain + " (" + strconv.Itoa(i) + ")"
			}
		}
		taken[foldName(name, naming)] = true
		moved[pathKey(f.Path)] = name
		out = append(out, assignment{source: f, target: name, role: role, renamed: name != naming.Join(f.Path)})
	}
	slices.SortFunc(out, func(a, b assignment) int {
		return cmp.Or(boolCompare(a.role == mailbox.RoleRest, b.role == mailbox.RoleRest), compareNames(a.source.Name, b.source.Name))
	})
	return out
}

// compareNames orders folders INBOX first, then by name.
func compareNames(a, b string) int {
	return cmp.Or(-boolCompare(a == "INBOX", b == "INBOX"), cmp.Compare(a, b))
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func pathKey(path []string) string { return strings.Join(path, "\x00") }

type parent struct {
	path   []string
	target string
}

// parentOf finds the nearest folder above path that has been mapped. INBOX is none:
// folders below it are told apart by their own path.
func parentOf(path []string, moved map[string]string) (parent, bool) {
	for n := len(path) - 1; n > 0; n-- {
		if t, ok := moved[pathKey(path[:n])]; ok && (n > 1 || path[0] != "INBOX") {
			return parent{path[:n], t}, true
		}
	}
	return parent{}, false
}

// spell returns path in characters that the target takes. What it does not take is
// written as = and two hex digits a byte, and = itself likewise in such a part, so
// that no two names become one and the way back is plain.
func spell(path []string, naming mailbox.Naming) []string {
	refused := naming.Forbidden + naming.Delimiter
	out := make([]string, len(path))
	for i, part := range path {
		out[i] = part
		if part == "" {
			out[i] = "="
		}
		trimmed := naming.TrimsNames && strings.Trim(part, " ") != part
		if !trimmed && !strings.ContainsAny(part, refused) && !strings.ContainsFunc(part, isControl) {
			continue
		}
		var b strings.Builder
		for at, r := range part {
			atEnd := trimmed && r == ' ' && (at == 0 || at == len(part)-1)
			if atEnd || r == '=' || strings.ContainsRune(refused, r) || isControl(r) {
				for _, c := range []byte(string(r)) {
					fmt.Fprintf(&b, "=%02X", c)
				}
				continue
			}
			b.WriteRune(r)
		}
		out[i] = b.String()
	}
	return out
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// foldName is the key under which two names are one at the target.
func foldName(name string, naming mailbox.Naming) string {
	name = norm.NFC.String(name)
	if naming.FoldsCase {
		name = strings.ToLower(name)
	}
	if strings.EqualFold(name, "INBOX") {
		name = "INBOX"
	}
	return name
}

// displayPath is a folder's path for people, reports and digests: UTF-8, "/" between
// the parts.
func displayPath(f mailbox.Folder) string { return strings.Join(f.Path, "/") }
