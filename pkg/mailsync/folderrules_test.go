package mailsync

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// rulesOf reads rules; "; " is between them.
func rulesOf(t *testing.T, text string) (out []migration.FolderRule) {
	t.Helper()
	for _, r := range strings.Split(text, "; ") {
		rule, err := migration.ParseFolderRule(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rule)
	}
	if problems := migration.FolderRuleProblems(out); problems != nil {
		t.Fatalf("%q", problems)
	}
	return out
}

func TestAssignByRules(t *testing.T) {
	slash, dots := mailbox.Naming{Delimiter: "/"}, mailbox.Naming{Prefix: "INBOX.", Delimiter: "."}
	tests := []struct {
		name           string
		source, target []mailbox.Folder
		naming         mailbox.Naming
		rules          string
		recorded       map[string]string
		want           map[string]string
		collide        string // the folders that are left out
	}{
		{
			name: "a folder, without those below it", source: folders("/", "INBOX", "Old Stuff", "Old Stuff/a"), naming: slash, rules: "Old Stuff=Archive/Old",
			want: map[string]string{"INBOX": "INBOX", "Old Stuff": "Archive/Old", "Old Stuff/a": "Old Stuff/a"},
		},
		{
			name: "all below, however deep, without the folder", source: folders("/", "INBOX", "Projects", "Projects/a", "Projects/a/b"), naming: slash, rules: "Projects/*=Work/*",
			want: map[string]string{"INBOX": "INBOX", "Projects": "Projects", "Projects/a": "Work/a", "Projects/a/b": "Work/a/b"},
		},
		{
			name: "the first that matches", source: folders("/", "INBOX", "p/a", "p/b"), naming: slash, rules: "p/b=x; p/*=y/*; INBOX=z",
			want: map[string]string{"INBOX": "z", "p/a": "y/a", "p/b": "x"},
		},
		{
			name: "without regard to case and form", source: folders("/", "INBOX", "PROJECTS/a", "Cafe\u0301"), naming: slash, rules: "projects/*=Work/*; caf\u00e9=Bar",
			want: map[string]string{"INBOX": "INBOX", "PROJECTS/a": "Work/a", "Cafe\u0301": "Bar"},
		},
		{
			name: "everything below one folder", source: folders("/", "INBOX", "Sent*Sent", "a"), target: folders("/", "INBOX", "Gesendet*Sent"), naming: slash, rules: "#Inbox#=#Inbox#; *=Old/*",
			want: map[string]string{"INBOX": "INBOX", "Sent": "Old/Sent", "a": "Old/a"},
		},
		{
			name: "to the top", source: folders("/", "INBOX", "INBOX/a", "INBOX/a/b"), naming: slash, rules: "INBOX/*=*",
			want: map[string]string{"INBOX": "INBOX", "INBOX/a": "a", "INBOX/a/b": "a/b"},
		},
		{
			name: "by role on both sides", source: folders("/", "INBOX", "Gesendet*Sent", "Gesendet/2019", "Alt"), target: folders("/", "INBOX", "Sent Items*Sent", "Archives*Archive"), naming: slash,
			rules: "#Sent#=Old Sent; #Sent#/*=#Sent#/*; Alt=#Archive#/Alt",
			want:  map[string]string{"INBOX": "INBOX", "Gesendet": "Old Sent", "Gesendet/2019": "Sent Items/2019", "Alt": "Archives/Alt"},
		},
		{
			name: "a role that the target has no folder for", source: folders("/", "INBOX", "Alt"), naming: slash, rules: "Alt=#Archive#",
			want: map[string]string{"INBOX": "INBOX", "Alt": "Archive"},
		},
		{
			name: "in the target's spelling", source: folders("/", "INBOX", "a", "b/v1.0"), naming: dots, rules: "a=Archive/v1.0=x; b/*=c/*",
			want: map[string]string{"INBOX": "INBOX", "a": "INBOX.Archive.v1=2E0=3Dx", "b/v1.0": "INBOX.c.v1=2E0"},
		},
		{
			name: "two by one rule", source: folders("/", "INBOX", "Work", "work", "x"), naming: slash, rules: "work=Job",
			want: map[string]string{"INBOX": "INBOX", "x": "x"}, collide: "Work>Job work>Job",
		},
		{
			name: "three by two rules, equal there but for case", source: folders("/", "a", "b", "c", "d"), naming: mailbox.Naming{Delimiter: "/", FoldsCase: true}, rules: "a=X; b=x; c=X",
			want: map[string]string{"d": "d"}, collide: "a>x b>x c>X",
		},
		{
			name: "with one that no rule maps", source: folders("/", "INBOX", "Old", "Archive", "Archive/a"), naming: slash, rules: "Old=Archive",
			want: map[string]string{"INBOX": "INBOX", "Archive/a": "Archive/a"}, collide: "Archive>Archive Old>Archive",
		},
		{
			name: "with one that has its name by role", source: folders("/", "INBOX", "Gesendet*Sent", "Gesendet/a", "Old"), target: folders("/", "INBOX", "Sent*Sent"), naming: slash, rules: "Old=#Sent#",
			want: map[string]string{"INBOX": "INBOX", "Gesendet/a": "Sent/a"}, collide: "Gesendet>Sent Old>Sent",
		},
		{
			name: "with one that will have the role", source: folders("/", "INBOX", "Gesendet*Sent", "Old"), naming: slash, rules: "Old=#Sent#",
			want: map[string]string{"INBOX": "INBOX"}, collide: "Gesendet>Gesendet Old>Gesendet",
		},
		{
			name: "with INBOX", source: folders("/", "INBOX", "Old"), naming: slash, rules: "Old=Inbox",
			want: map[string]string{}, collide: "INBOX>INBOX Old>INBOX",
		},
		{
			name: "with one that is recorded there, which stays", source: folders("/", "INBOX", "a", "b"), naming: slash, rules: "b=x", recorded: map[string]string{"a": "x"},
			want: map[string]string{"INBOX": "INBOX", "a": "x"}, collide: "b>x",
		},
		{
			name: "records win", source: folders("/", "INBOX", "a", "b", "x"), naming: slash, rules: "a=x; b=a", recorded: map[string]string{"a": "a", "x": "x"},
			want: map[string]string{"INBOX": "INBOX", "a": "a", "x": "x"}, collide: "b>a",
		},
		{
			name: "a newcomer by the name of one that a rule has placed", source: folders("/", "INBOX", "a", "x"), naming: slash, rules: "a=x", recorded: map[string]string{"a": "x"},
			want: map[string]string{"INBOX": "INBOX", "a": "x", "x": "x (2)"},
		},
		{
			name: "two that records have in one place: the second moves", source: folders("/", "INBOX", "a", "b"), naming: slash, rules: "q=r", recorded: map[string]string{"a": "b", "b": "b"},
			want: map[string]string{"INBOX": "INBOX", "a": "b", "b": "b (2)"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := mapping{source: tt.source, all: tt.source, target: tt.target, naming: tt.naming, recorded: tt.recorded, rules: rulesOf(t, tt.rules)}
			placed, collisions := m.assign()
			got := map[string]string{}
			for _, a := range placed {
				got[a.source.Name] = a.target
			}
			var collided []string
			for _, c := range collisions {
				collided = append(collided, c.source.Name+">"+c.target)
				if f := c.fault(); f.Code != migration.FolderNameCollision || !strings.Contains(f.Reason, c.rule.String()) || !strings.Contains(f.Reason, `"`+displayPath(c.with)+`"`) {
					t.Errorf("the fault of %s is %v", c.source.Name, f)
				}
			}
			if !maps.Equal(got, tt.want) || strings.Join(collided, " ") != tt.collide {
				t.Errorf("got  %v, collisions %q\nwant %v, collisions %q", got, collided, tt.want, tt.collide)
			}
		})
	}
}

// TestKeptIsTold: a folder that its record holds where a rule would not have it.
func TestKeptIsTold(t *testing.T) {
	list := folders("/", "INBOX", "a", "b", "c")
	m := mapping{source: list, all: list, naming: mailbox.Naming{Delimiter: "/"}, recorded: map[string]string{"a": "a", "b": "x", "c": "c"}, rules: rulesOf(t, "a=y; b=x")}
	placed, _ := m.assign()
	for _, a := range placed {
		if want := map[string]string{"a": "y"}[a.source.Name]; a.ruled != want {
			t.Errorf("%s would be %q by a rule, want %q", a.source.Name, a.ruled, want)
		}
	}
}

// drawRules draws rules without problems.
func drawRules(rt *rapid.T) []migration.FolderRule {
	side := rapid.SampledFrom([]string{"Old", "old", "Work", "Work/A", "INBOX", "Archive", "#Sent#", "#Inbox#", "#Archive#", "#Sent#/A", "x.y"})
	below := rapid.SampledFrom([]string{"*", "Old/*", "Work/*", "#Sent#/*", "INBOX/*", "Archive/*"})
	var out []migration.FolderRule
	for range rapid.IntRange(0, 4).Draw(rt, "rules") {
		r := migration.FolderRule{From: side.Draw(rt, "from"), To: side.Draw(rt, "to")}
		if rapid.Bool().Draw(rt, "below") {
			r = migration.FolderRule{From: below.Draw(rt, "from"), To: below.Draw(rt, "to")}
		}
		if with := append(slices.Clone(out), r); migration.FolderRuleProblems(with) == nil {
			out = with
		}
	}
	return out
}

// TestNoRulesMakeTwoFoldersOne, whatever they are and were, and whatever folders come
// and go meanwhile: each is placed by itself or told of, and what was placed stays.
func TestNoRulesMakeTwoFoldersOne(t *testing.T) {
	pool := []string{"INBOX", "Old", "old", "OLD", "Old/A", "Old/A/B", "Work", "Work/A", "work/a", "Archive", "Archive/A", "Sent", "Sent Items*Sent", "Sent Items/A", "A", "INBOX/Old", "x.y", "Work (2)"}
	rapid.Check(t, func(rt *rapid.T) {
		naming := mailbox.Naming{Delimiter: rapid.SampledFrom([]string{"/", "."}).Draw(rt, "delimiter"), FoldsCase: rapid.Bool().Draw(rt, "folds case")}
		target := folders(naming.Delimiter, rapid.SliceOfDistinct(rapid.SampledFrom([]string{"INBOX", "Sent", "Gesendet*Sent", "Old", "Archiv*Archive"}), rapid.ID[string]).Draw(rt, "target")...)
		recorded := map[string]string{}
		for range rapid.IntRange(1, 4).Draw(rt, "passes") {
			all := folders("/", rapid.SliceOfDistinct(rapid.SampledFrom(pool), rapid.ID[string]).Draw(rt, "source")...)
			wanted := all[:rapid.IntRange(0, len(all)).Draw(rt, "carried")]
			m := mapping{source: wanted, all: all, target: target, naming: naming, recorded: maps.Clone(recorded), rules: drawRules(rt)}
			placed, collisions := m.assign()
			if err := judgeMapping(m, placed, collisions); err != nil {
				rt.Fatalf("%v\nsource %v\nrules %v\nrecorded %v", err, names(wanted), m.rules, recorded)
			}
			for _, a := range placed {
				recorded[a.source.Name] = a.target
			}
		}
	})
}

func names(list []mailbox.Folder) (out []string) {
	for _, f := range list {
		out = append(out, f.Name)
	}
	return out
}

func judgeMapping(m mapping, placed []assignment, collisions []collision) error {
	holder := map[string]string{}
	count := map[string]int{}
	for _, a := range placed {
		key := foldName(a.target, m.naming)
		if other, taken := holder[key]; taken {
			return fmt.Errorf("%s and %s become one, %s", other, a.source.Name, a.target)
		}
		holder[key] = a.source.Name
		count[a.source.Name]++
	}
	recorders := map[string]int{}
	for _, f := range m.source {
		if r := m.recorded[f.Name]; r != "" {
			recorders[foldName(r, m.naming)]++
		}
	}
	for _, a := range placed {
		if r := m.recorded[a.source.Name]; r != "" && r != a.target && recorders[foldName(r, m.naming)] == 1 {
			return fmt.Errorf("%s goes to %s and was begun in %s", a.source.Name, a.target, r)
		}
	}
	for _, f := range m.all {
		if r := m.recorded[f.Name]; r != "" && !slices.Contains(names(m.source), f.Name) {
			if other, taken := holder[foldName(r, m.naming)]; taken && foldName(m.recorded[other], m.naming) != foldName(r, m.naming) {
				return fmt.Errorf("%s becomes one with %s, which is not carried any more", other, f.Name)
			}
		}
	}
	for _, c := range collisions {
		if count[c.source.Name]++; len(m.rules) == 0 {
			return fmt.Errorf("%v without rules", c)
		}
	}
	for _, f := range m.source {
		if count[f.Name] != 1 {
			return fmt.Errorf("%s is told of %d times", f.Name, count[f.Name])
		}
	}
	return nil
}
