package mailsync

import (
	"strings"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// folderRules are the operator's rules, read for one mailbox.
type folderRules struct {
	rules []folderRule
	paths map[string][]string // of source folders, by name
	from  map[mailbox.Role]string
}

type folderRule struct {
	migration.FolderRule
	from, to migration.FolderPlace
}

// newFolderRules reads rules that have no problems; others are passed over.
func newFolderRules(rules []migration.FolderRule, source []mailbox.Folder, from map[mailbox.Role]string) folderRules {
	out := folderRules{paths: map[string][]string{}, from: from}
	for _, f := range source {
		out.paths[f.Name] = f.Path
	}
	for _, r := range rules {
		from, err := migration.ParseFolderPlace(r.From)
		to, toErr := migration.ParseFolderPlace(r.To)
		if err == nil && toErr == nil && from.Below == to.Below {
			out.rules = append(out.rules, folderRule{r, from, to})
		}
	}
	return out
}

// of returns the first rule for f, or nil.
func (r folderRules) of(f mailbox.Folder) *folderRule {
	for i := range r.rules {
		if _, ok := r.rest(&r.rules[i], f); ok {
			return &r.rules[i]
		}
	}
	return nil
}

// rest returns the end of f's path that a rule's star stands for; ok is whether the rule
// is for f at all. Paths are compared as people see them: a part may hold a "/" where
// the server's delimiter is another one.
func (r folderRules) rest(rule *folderRule, f mailbox.Folder) (rest []string, ok bool) {
	parts := rule.from.Parts
	if role := mailbox.Role(rule.from.Role); role != "" {
		name, there := r.from[role]
		if !there {
			return nil, false
		}
		parts = append(append([]string{}, r.paths[name]...), parts...)
	}
	want := migration.FoldFolder(strings.Join(parts, "/"))
	if !rule.from.Below {
		return nil, migration.FoldFolder(displayPath(f)) == want
	}
	for n := range len(f.Path) {
		if migration.FoldFolder(strings.Join(f.Path[:n], "/")) == want {
			return f.Path[n:], true
		}
	}
	return nil, false
}

// target is the name that a rule has for f.
func (r folderRules) target(rule *folderRule, f mailbox.Folder, a *assigner) string {
	rest, _ := r.rest(rule, f)
	parts := spell(append(append([]string{}, rule.to.Parts...), rest...), a.naming)
	if rule.to.Role == "" {
		return a.naming.Join(parts)
	}
	return strings.Join(append([]string{a.roleTarget(mailbox.Role(rule.to.Role))}, parts...), a.naming.Delimiter)
}

// roleTarget is the target's folder of a role, or the one that becomes it: where the
// source's own is or would go, or else one of the usual name.
func (a *assigner) roleTarget(role mailbox.Role) string {
	if name, ok := a.to[role]; ok {
		return name
	}
	if role == mailbox.RoleInbox {
		return "INBOX"
	}
	name, ok := a.from[role]
	switch {
	case !ok:
		return a.naming.Join(knownNames[role][:1])
	case a.recorded[name] != "":
		return a.recorded[name]
	}
	return a.naming.Join(spell(a.byRule.paths[name], a.naming))
}
