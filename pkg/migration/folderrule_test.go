package migration

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseFolderRule(t *testing.T) {
	for text, want := range map[string]FolderRule{
		"Old Stuff=Archive/Old": {"Old Stuff", "Archive/Old"},
		`a\=b=c=d`:              {"a=b", "c=d"},
		"=x":                    {"", "x"},
		"#Sent#/*=*":            {"#Sent#/*", "*"},
	} {
		got, err := ParseFolderRule(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%q: %+v, as text %q, error %v", text, got, got, err)
		}
	}
	if r, err := ParseFolderRule("Old Stuff"); err == nil {
		t.Errorf("without =: %+v", r)
	}
}

func TestParseFolderPlace(t *testing.T) {
	for text, want := range map[string]FolderPlace{
		"a/b c":       {Parts: []string{"a", "b c"}},
		"a/*":         {Parts: []string{"a"}, Below: true},
		"*":           {Below: true},
		"#sent#":      {Role: "Sent"},
		"#Sent#/2019": {Role: "Sent", Parts: []string{"2019"}},
		"#1":          {Parts: []string{"#1"}},
		"a/#Sent#":    {Parts: []string{"a", "#Sent#"}},
	} {
		if got, err := ParseFolderPlace(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, error %v", text, got, err)
		}
	}
	for _, text := range []string{"", "/", "//", "/a", "a/", "a//b", "a*", "*/a", "a/*/b", "#Spam#", "a\nb", strings.Repeat("x", 1025)} {
		if got, err := ParseFolderPlace(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// TestFolderRulesAreRefusedWithAllThatIsWrong: what no folder can follow, and what an
// earlier rule keeps from ever applying.
func TestFolderRulesAreRefusedWithAllThatIsWrong(t *testing.T) {
	good := []FolderRule{{"#Inbox#", "#Inbox#"}, {"Projects", "Work"}, {"Projects/X", "Y"}, {"Projects/*", "Work/*"}, {"Projekte/*", "Work/*"}, {"Gesendet", "#Sent#"}, {"*", "Old/*"}}
	if problems := FolderRuleProblems(good); problems != nil {
		t.Errorf("good rules: %q", problems)
	}
	tests := []struct {
		rules []FolderRule
		want  []string // a problem each
	}{
		{[]FolderRule{{"a", ""}, {"", "b"}, {"c", "/"}, {"", ""}}, []string{"rule 1 (a=): to names no", "rule 2 (=b): from names no", "rule 3 (c=/): to names no", "from names no folder; to names no folder"}},
		{[]FolderRule{{"a/*", "b"}, {"c", "d/*"}}, []string{"rule 1", "rule 2"}},
		{[]FolderRule{{"a", "b"}, {"A", "b"}, {"a", "c"}}, []string{"rule 2 (A=b): never applies", "rule 3 (a=c)"}},
		{[]FolderRule{{"Caf\u00e9", "b"}, {"Cafe\u0301", "c"}}, []string{"rule 2"}},
		{[]FolderRule{{"a/*", "b/*"}, {"a/x", "c"}, {"a/x/*", "c/*"}, {"a", "d"}, {"ab", "e"}}, []string{"rule 2", "rule 3"}},
		{[]FolderRule{{"inbox", "b"}, {"#Inbox#", "c"}}, []string{"rule 2"}},
		{[]FolderRule{{"*", "b/*"}, {"#Sent#", "c"}, {"x/*", "d/*"}}, []string{"rule 2", "rule 3"}},
		{make([]FolderRule, maxFolderRules+1), []string{"201 rules"}},
	}
	for _, tt := range tests {
		lines := FolderRuleProblems(tt.rules)
		if len(lines) != len(tt.want) {
			t.Errorf("%v: %d problems, want %d: %q", tt.rules, len(lines), len(tt.want), lines)
			continue
		}
		for i, want := range tt.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%v: problem %q, want %q", tt.rules, lines[i], want)
			}
		}
	}
}
