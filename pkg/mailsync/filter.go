package mailsync

import (
	"path"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// filter says which folders an operator wants carried.
type filter struct {
	include, exclude, leave []string
	roles                   map[string]mailbox.Role
}

func (p *pass) filter(folders []mailbox.Folder) filter {
	f := newFilter(p.job.Include, p.job.Exclude, folders)
	f.leave = p.job.LeaveOut
	return f
}

func newFilter(include, exclude []string, folders []mailbox.Folder) filter {
	f := filter{include: include, exclude: exclude, roles: map[string]mailbox.Role{"INBOX": mailbox.RoleInbox}}
	for role, name := range roleFolders(folders) {
		f.roles[name] = role
	}
	return f
}

// takes reports whether a folder is to be carried: it is a mailbox, matches one of
// the includes (or there are none), and none of the excludes.
func (f filter) takes(folder mailbox.Folder) bool {
	if !folder.Selectable || folder.Role == mailbox.RoleAll {
		return false
	}
	if f.matches(f.exclude, folder) || f.leavesOut(folder) {
		return false
	}
	return len(f.include) == 0 || f.matches(f.include, folder)
}

// leavesOut reports whether a folder stays because nobody asks for it by name: it or one
// above it is of those that are left out by default, and it has no use of its own.
func (f filter) leavesOut(folder mailbox.Folder) bool {
	if len(f.leave) == 0 || !folder.Selectable || f.roles[folder.Name] != "" || f.matches(f.include, folder) || f.matches(f.exclude, folder) {
		return false
	}
	for n := range folder.Path {
		if f.matches(f.leave, mailbox.Folder{Path: folder.Path[:n+1]}) {
			return true
		}
	}
	return false
}

// matches compares the folder's path with names, globs (* and ? also match "/") and
// tokens such as #Junk#, without regard to case.
func (f filter) matches(patterns []string, folder mailbox.Folder) bool {
	name := strings.ToLower(displayPath(folder))
	for _, p := range patterns {
		if role, ok := strings.CutPrefix(p, "#"); ok && strings.HasSuffix(role, "#") {
			if strings.EqualFold(strings.TrimSuffix(role, "#"), string(f.roles[folder.Name])) {
				return true
			}
			continue
		}
		p = strings.ToLower(p)
		// path.Match keeps * from crossing "/"; another separator has no such meaning.
		if ok, err := path.Match(strings.ReplaceAll(p, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00")); err == nil && ok || p == name {
			return true
		}
	}
	return false
}
