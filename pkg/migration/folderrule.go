package migration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// FolderRule sends source folders to a name of the operator's choice at the target. Both
// sides are paths with "/" between the parts, as in reports; the first part may be a token
// such as #Sent#, the folder of that role on that side. Without a star a rule is of one
// folder and not of those below it; a star as the last part of both sides stands for all
// that is below, however deep, and what it stands for is carried over.
type FolderRule struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func (r FolderRule) String() string { return strings.ReplaceAll(r.From, "=", `\=`) + "=" + r.To }

// FolderPlace is one side of a rule, taken apart.
type FolderPlace struct {
	Role  string   // of the first part, such as "Sent"; "" where that is a name
	Parts []string // the names, the token left out
	Below bool     // all that is below, and not the folder itself
}

// maxFolderRules bounds what is looked through for each folder, maxFolderPath a side of
// a rule in bytes.
const (
	maxFolderRules = 200
	maxFolderPath  = 1024
)

// folderRoles are what tokens stand for.
var folderRoles = []string{"Inbox", "Sent", "Drafts", "Junk", "Trash", "Archive"}

// ParseFolderRule reads FROM=TO. An = in FROM is written \=.
func ParseFolderRule(text string) (FolderRule, error) {
	for i := range len(text) {
		if text[i] == '=' && (i == 0 || text[i-1] != '\\') {
			return FolderRule{From: strings.ReplaceAll(text[:i], `\=`, "="), To: text[i+1:]}, nil
		}
	}
	return FolderRule{}, fmt.Errorf("%q is no rule: FROM=TO is expected, such as Old Stuff=Archive/Old or Projects/*=Work/*", Clean(text))
}

// ParseFolderPlace reads one side of a rule.
func ParseFolderPlace(text string) (FolderPlace, error) {
	var p FolderPlace
	if strings.Trim(text, "/") == "" {
		return p, errors.New("names no folder")
	}
	if len(text) > maxFolderPath || strings.ContainsFunc(text, unicode.IsControl) {
		return p, errors.New("is too long, or holds control characters")
	}
	parts := strings.Split(text, "/")
	if n := len(parts) - 1; parts[n] == "*" {
		p.Below, parts = true, parts[:n]
	}
	for i, part := range parts {
		role, is := strings.CutPrefix(part, "#")
		switch {
		case part == "":
			return p, errors.New("has an empty part")
		case strings.Contains(part, "*"):
			return p, errors.New("has a star that is not the last part by itself")
		case i == 0 && is && len(role) > 1 && strings.HasSuffix(role, "#"):
			k := slices.IndexFunc(folderRoles, func(known string) bool { return strings.EqualFold(known+"#", role) })
			if k < 0 {
				return p, fmt.Errorf("has a token that is none of #%s#", strings.Join(folderRoles, "# #"))
			}
			p.Role = folderRoles[k]
		default:
			p.Parts = append(p.Parts, part)
		}
	}
	return p, nil
}

// key tells sources apart as the mapping does: without regard to case or form.
func (p FolderPlace) key() string {
	if p.Role == "" && len(p.Parts) == 1 && strings.EqualFold(p.Parts[0], "INBOX") {
		p = FolderPlace{Role: "Inbox", Below: p.Below}
	}
	return FoldFolder("#" + p.Role + "/" + strings.Join(p.Parts, "/") + "/")
}

// FoldFolder is the form in which the folders that operators name are compared: as with
// those that they exclude, case is not regarded, nor how an accent is composed.
func FoldFolder(name string) string { return strings.ToLower(norm.NFC.String(name)) }

// FolderRuleProblems names everything that is wrong with rules, all at once: sides that
// name no folder, and rules that contradict an earlier one or never apply because of it.
func FolderRuleProblems(rules []FolderRule) []string {
	if len(rules) > maxFolderRules {
		return []string{fmt.Sprintf("%d rules are too many: at most %d", len(rules), maxFolderRules)}
	}
	var problems []string
	froms := make([]FolderPlace, len(rules))
	for i, r := range rules {
		var reasons []string
		from, err := ParseFolderPlace(r.From)
		if err != nil {
			reasons = append(reasons, "from "+err.Error())
		}
		to, toErr := ParseFolderPlace(r.To)
		if toErr != nil {
			reasons = append(reasons, "to "+toErr.Error())
		}
		if len(reasons) == 0 {
			if froms[i] = from; from.Below != to.Below {
				reasons = append(reasons, "a star on one side alone: folders would become one, or there is nothing to stand for it")
			}
			if k := slices.IndexFunc(froms[:i], func(earlier FolderPlace) bool { return earlier.covers(from) }); k >= 0 {
				reasons = append(reasons, fmt.Sprintf("never applies, or contradicts: rule %d (%s) takes these folders before it", k+1, Clean(rules[k].String())))
			}
		}
		if len(reasons) > 0 {
			problems = append(problems, fmt.Sprintf("rule %d (%s): %s", i+1, Clean(r.String()), strings.Join(reasons, "; ")))
		}
	}
	return problems
}

// covers tells whether all folders of q are p's too, as far as names show it.
func (p FolderPlace) covers(q FolderPlace) bool {
	switch {
	case p.Role == "" && len(p.Parts) == 0 && !p.Below: // one that is wrong
		return false
	case p.Below && p.Role == "" && len(p.Parts) == 0: // *
		return true
	case p.Below == q.Below:
		return p.key() == q.key() || p.Below && strings.HasPrefix(q.key(), p.key())
	}
	return p.Below && q.key() != p.key() && strings.HasPrefix(q.key(), p.key())
}
