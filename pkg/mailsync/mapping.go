package mailsync

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// assignment is where a source folder goes.
type assignment struct {
	source mailbox.Folder
	target string
	role   mailbox.Role
	// renamed is set where the target has another path than the source would have
	// there: by role, by a rule, because the target cannot hold the name, or because two
	// names would have become one.
	renamed bool
	// ruled is where a rule would have sent a folder that stays where its record says; ""
	// where they agree, or there is no rule.
	ruled string
}

// collision is a folder that is left out because the operator's rules would make it and
// another one. Both are, but for one that its record has placed before.
type collision struct {
	source, with mailbox.Folder
	target       string
	rule         migration.FolderRule
}

func (c collision) fault() *migration.Fault {
	return migration.NewFault(migration.FolderNameCollision, migration.ScopeUser, "", fmt.Sprintf("%q and %q would become one folder, %q, by the rule %s: it is left out",
		displayPath(c.source), displayPath(c.with), c.target, c.rule), nil)
}

// mapping is what decides where source folders go.
type mapping struct {
	source      []mailbox.Folder // what is to be carried (already filtered), in any order
	all, target []mailbox.Folder // what both sides list
	naming      mailbox.Naming   // the target's
	recorded    map[string]string
	rules       []migration.FolderRule
}

// assign maps source folders to names at the target, each by the first that applies:
//
//  1. What was recorded before is kept, whatever rules say by now.
//  2. The first of the operator's rules that matches.
//  3. A folder with a role goes to the target's folder of that role and takes its
//     children along.
//  4. Everything else keeps its path, in the target's spelling.
//
// Two source folders never get one target: of 3 and 4 the later one is put aside under a
// name with a number; where a rule has brought it about, both are left out and returned
// as collisions, for only the operator knows what was meant. The target folder of a
// record that one of them runs into is kept from it.
func (m mapping) assign() ([]assignment, []collision) {
	a := assigner{mapping: m, taken: map[string]claim{}, moved: map[string]string{}, left: map[string]bool{}}
	a.from, a.to = roleFolders(m.all), roleFolders(m.target)
	a.roleOf = map[string]mailbox.Role{}
	for role, name := range a.from {
		a.roleOf[name] = role
	}
	a.byRule = newFolderRules(m.rules, m.all, a.from)
	a.keepRecords()
	for _, f := range a.ordered() {
		a.place(f)
	}
	out := slices.DeleteFunc(a.out, func(x assignment) bool { return a.left[x.source.Name] })
	slices.SortFunc(out, func(a, b assignment) int {
		return cmp.Or(boolCompare(a.role == mailbox.RoleRest, b.role == mailbox.RoleRest), compareNames(a.source.Name, b.source.Name))
	})
	slices.SortFunc(a.collisions, func(a, b collision) int { return compareNames(a.source.Name, b.source.Name) })
	return out, a.collisions
}

// assigner is one assign under way.
type assigner struct {
	mapping
	from, to map[mailbox.Role]string
	roleOf   map[string]mailbox.Role
	byRule   folderRules

	taken map[string]claim  // by the key under which names are one at the target
	moved map[string]string // source path -> target name, of folders that others may lie below
	out   []assignment

	left       map[string]bool // source names
	collisions []collision
}

// claim is who has a target name.
type claim struct {
	source   mailbox.Folder
	rule     *migration.FolderRule // nil: none gave it
	recorded bool
}

// ordered returns what is to be carried in the order in which names are given away.
func (a *assigner) ordered() []mailbox.Folder {
	ordered := slices.Clone(a.source)
	slices.SortFunc(ordered, func(x, y mailbox.Folder) int {
		return cmp.Or(
			-boolCompare(a.recorded[x.Name] != "", a.recorded[y.Name] != ""), // kept ones first,
			-boolCompare(a.byRule.of(x) != nil, a.byRule.of(y) != nil),       // then those of a rule,
			-boolCompare(a.roleOf[x.Name] != "", a.roleOf[y.Name] != ""),     // then those with a role,
			cmp.Compare(len(x.Path), len(y.Path)),                            // then parents before children
			slices.Compare(x.Path, y.Path))
	})
	return ordered
}

// keepRecords forgets all records but one of those that have the same place, which can be
// where a folder has come back, and keeps the places of folders that were carried once
// and are not to be by now.
func (a *assigner) keepRecords() {
	a.recorded = maps.Clone(a.recorded)
	holder := map[string]string{}
	for _, f := range slices.Concat(a.ordered(), a.all) {
		key := foldName(a.recorded[f.Name], a.naming)
		if other, taken := holder[key]; taken && other != f.Name {
			delete(a.recorded, f.Name)
		} else if key != "" {
			holder[key] = f.Name
		}
	}
	carried := map[string]bool{}
	for _, f := range a.source {
		carried[f.Name] = true
	}
	for _, f := range a.all {
		if name := a.recorded[f.Name]; name != "" && !carried[f.Name] {
			a.taken[foldName(name, a.naming)] = claim{source: f, recorded: true}
		}
	}
}

// place gives f its name.
func (a *assigner) place(f mailbox.Folder) {
	rule, role := a.byRule.of(f), a.roleOf[f.Name]
	ruled := ""
	if rule != nil {
		ruled = a.byRule.target(rule, f, a)
	}
	if name := a.recorded[f.Name]; name != "" {
		x := assignment{source: f, target: name, role: role}
		if rule != nil && name != ruled && !slices.Contains(otherNames(ruled, f.Path, a.naming), name) {
			x.ruled = ruled
		}
		a.give(x, claim{source: f, recorded: true}, rule == nil)
		return
	}
	if rule != nil {
		a.placeByRule(f, rule, ruled, role)
		return
	}
	plain := a.naming.Join(spell(f.Path, a.naming))
	name := plain
	if there, ok := a.to[role]; ok && role != "" {
		name = there
	} else if parent, ok := parentOf(f.Path, a.moved); ok {
		rest := spell(f.Path[len(parent.path):], a.naming)
		name = parent.target + a.naming.Delimiter + strings.Join(rest, a.naming.Delimiter)
	}
	if holder := a.taken[foldName(name, a.naming)]; holder.rule != nil {
		a.moved[pathKey(f.Path)] = name // where it will be when the operator has decided
		a.collide(f, holder, name, *holder.rule)
		return
	}
	for i := 2; !a.isFree(name); i++ {
		name = plain + " (" + strconv.Itoa(i) + ")"
	}
	a.give(assignment{source: f, target: name, role: role}, claim{source: f}, true)
}

// placeByRule gives f the name that a rule has for it. What lies below it is not taken
// along.
func (a *assigner) placeByRule(f mailbox.Folder, rule *folderRule, name string, role mailbox.Role) {
	if !a.isFree(name) {
		a.collide(f, a.taken[foldName(name, a.naming)], name, rule.FolderRule)
		return
	}
	if role != mailbox.RoleRest { // which is read last wherever it goes
		role = ""
		if len(rule.to.Parts) == 0 && !rule.to.Below {
			role = mailbox.Role(rule.to.Role)
		}
	}
	a.give(assignment{source: f, target: name, role: role}, claim{source: f, rule: &rule.FolderRule}, false)
}

func (a *assigner) isFree(name string) bool {
	_, taken := a.taken[foldName(name, a.naming)]
	return !taken
}

func (a *assigner) give(x assignment, c claim, children bool) {
	x.renamed = x.target != a.naming.Plain(x.source.Path)
	a.taken[foldName(x.target, a.naming)] = c
	if children {
		a.moved[pathKey(x.source.Path)] = x.target
	}
	a.out = append(a.out, x)
}

// collide leaves f out, and with it whoever has the name, if that was not recorded.
func (a *assigner) collide(f mailbox.Folder, holder claim, name string, rule migration.FolderRule) {
	a.collisions = append(a.collisions, collision{f, holder.source, name, rule})
	a.left[f.Name] = true
	if !holder.recorded && !a.left[holder.source.Name] {
		a.left[holder.source.Name] = true
		a.collisions = append(a.collisions, collision{holder.source, f, name, rule})
	}
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
