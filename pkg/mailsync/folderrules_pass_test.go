package mailsync_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestTwoFoldersThatARuleMakesOneAreLeftOut: all others are carried, the pass fails and
// names both and the rule, a dry run and a verify say it too; with another rule both are
// carried, and then records win.
func TestTwoFoldersThatARuleMakesOneAreLeftOut(t *testing.T) {
	p := newPair(t)
	for i, name := range []string{"INBOX", "Old", "Archive", "Archive/2019", "Notes"} {
		p.source.Deliver(name, letter(fmt.Sprint(i)), day)
	}
	p.job.MapFolders = []migration.FolderRule{{From: "Old", To: "Archive"}, {From: "Notes", To: "Work/Notes"}}
	for _, dry := range []bool{true, false, false} {
		p.job.DryRun = dry
		out, err := p.run()
		if f := migration.AsFault(err); err == nil || f.Code != migration.FolderNameCollision || f.Scope != migration.ScopeUser || f.Class() != migration.Decide ||
			!strings.Contains(f.Reason, `"Old"`) || !strings.Contains(f.Reason, `"Archive"`) || !strings.Contains(f.Reason, "rule Old=Archive") {
			t.Fatalf("dry run %t: error %v", dry, err)
		}
		var listed []string
		for _, it := range out.Items {
			listed = append(listed, fmt.Sprint(it.Folder, " ", it.Code))
		}
		if slices.Sort(listed); !slices.Equal(listed, []string{"Archive FolderNameCollision", "Old FolderNameCollision"}) || out.Tally.Failed != 2 || out.Tally.Seen != 5 || out.Tally.Folders != 5 {
			t.Errorf("dry run %t: %+v, listed %q", dry, out.Tally, listed)
		}
	}
	if got, want := p.target.Names(), []string{"Archive", "Archive/2019", "INBOX", "Work", "Work/Notes"}; !slices.Equal(got, want) || !p.target.Folder("Archive").Parent {
		t.Fatalf("at the target %q", got)
	}
	verify := func() migration.Receipt {
		r, err := mailsync.Verify(t.Context(), mailsync.VerifyJob{Source: p.source.Open, Target: p.target.Open, Records: p.records, Selection: p.job.Selection})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := verify(); r.Missing != 2 || r.FoldersMissing != 2 || r.Extra != 0 {
		t.Errorf("verify: %s", differences(t, r))
	}
	p.job.MapFolders = []migration.FolderRule{{From: "Old", To: "Archive/Old"}, {From: "Notes", To: "Elsewhere"}}
	out := p.mustRun()
	if len(out.Kept) != 1 || out.Kept[0] != (mailsync.Renamed{From: "Notes", To: "Work/Notes"}) {
		t.Errorf("kept: %+v", out.Kept)
	}
	if r := verify(); !r.Same() || r.Messages != 5 || r.Extra != 0 {
		t.Errorf("verify: %s", differences(t, r))
	}
	for name, want := range map[string]int{"Archive": 1, "Archive/Old": 1, "Archive/2019": 1, "Work/Notes": 1, "INBOX": 1, "Elsewhere": 0} {
		if n := len(p.target.Messages(name)); n != want {
			t.Errorf("%d messages in %s, want %d", n, name, want)
		}
	}
}

// ruledWorld is a source whose folders come, go and are renamed while rules change.
type ruledWorld struct {
	*pairOf
	letters int
	// vacated are the names of folders that have gone, used those of all that there were:
	// a folder that was renamed is not known again under a name that had another before,
	// nor once another has taken its own; then the former copies stay beside the new ones.
	vacated, used map[string]bool
}

var ruledFolders = []string{"INBOX", "Old", "Old/A", "Work", "work", "Archive", "Sent", "Sent Items"}

// change does one thing at the source.
func (w *ruledWorld) change(rt *rapid.T) string {
	name := rapid.SampledFrom(ruledFolders).Draw(rt, "folder")
	switch rapid.IntRange(0, 9).Draw(rt, "what") {
	case 0:
		if name != "INBOX" && w.source.Folder(name) != nil {
			w.source.Delete(name)
			w.vacate(name)
			return "delete " + name
		}
	case 1:
		to := rapid.SampledFrom(ruledFolders).Draw(rt, "to")
		if name != "INBOX" && w.source.Folder(name) != nil && !w.used[to] && !strings.HasPrefix(to, name) && !strings.HasPrefix(name, to) {
			w.source.Rename(name, to)
			w.vacate(name)
			w.use(to)
			return "rename " + name + " to " + to
		}
	}
	if w.vacated[name] {
		return "nothing"
	}
	if f := w.source.Folder(name); f == nil || f.Parent {
		w.source.Make(name).Role = map[string]mailbox.Role{"Sent Items": mailbox.RoleSent}[name]
	}
	w.use(name)
	w.letters++
	w.source.Deliver(name, letter(fmt.Sprint(w.letters)), day)
	return "deliver to " + name
}

func (w *ruledWorld) vacate(name string) { markBelow(w.vacated, name) }
func (w *ruledWorld) use(name string)    { markBelow(w.used, name) }

func markBelow(set map[string]bool, name string) {
	for _, x := range ruledFolders {
		if x == name || strings.HasPrefix(x, name+"/") {
			set[x] = true
		}
	}
}

func drawFolderRules(rt *rapid.T) (out []migration.FolderRule) {
	names := rapid.SampledFrom([]string{"Old", "Work", "Archive", "#Sent#", "Old/A", "New", "INBOX", "#Archive#"})
	for range rapid.IntRange(0, 3).Draw(rt, "rules") {
		r := migration.FolderRule{From: names.Draw(rt, "from"), To: names.Draw(rt, "to")}
		if rapid.IntRange(0, 3).Draw(rt, "below") == 0 {
			r.From, r.To = r.From+"/*", r.To+"/*"
		}
		if migration.FolderRuleProblems(append(slices.Clone(out), r)) == nil {
			out = append(out, r)
		}
	}
	return out
}

// judge looks where the messages are that are still at the source: each once, those of
// one folder in one, those of two folders never in one. left are the folders that the
// pass has left out, whose messages may be missing.
func (w *ruledWorld) judge(left map[string]bool) error {
	from, at, found := map[string]string{}, map[string]string{}, map[string]int{}
	for _, name := range w.source.Names() {
		for _, m := range w.source.Messages(name) {
			from[string(m.Body)] = name
		}
	}
	holds := map[string]string{}
	for _, name := range w.target.Names() {
		for _, m := range w.target.Messages(name) {
			source, there := from[string(m.Body)]
			if !there {
				continue
			}
			found[string(m.Body)]++
			if other := at[source]; other != "" && other != name {
				return fmt.Errorf("%s is in %s and in %s", source, other, name)
			}
			if other := holds[name]; other != "" && other != source {
				return fmt.Errorf("%s and %s have become one, %s", other, source, name)
			}
			at[source], holds[name] = name, source
		}
	}
	for body, source := range from {
		if n := found[body]; n > 1 || n == 0 && !left[source] {
			return fmt.Errorf("a message of %s is %d times at the target", source, n)
		}
	}
	return nil
}

// TestRulesThatChangeLoseAndDoubleNothing: folders come and are renamed and deleted, rules
// change between passes; what is carried is there once, and in a folder of its own.
func TestRulesThatChangeLoseAndDoubleNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var log []string
		w := &ruledWorld{pairOf: newPair(t), vacated: map[string]bool{}, used: map[string]bool{"INBOX": true}}
		w.target.Naming.FoldsCase = rapid.Bool().Draw(rt, "folds case")
		if rapid.Bool().Draw(rt, "the target has a role") {
			w.target.Make("Gesendet").Role = mailbox.RoleSent
		}
		passes := rapid.IntRange(1, 6).Draw(rt, "passes")
		for pass := range passes {
			for range rapid.IntRange(0, 4).Draw(rt, "changes") {
				log = append(log, w.change(rt))
			}
			w.job.MapFolders = drawFolderRules(rt)
			if pass == passes-1 {
				w.job.MapFolders = nil // then nothing is left out
			}
			if err := w.passAndJudge(&log); err != nil {
				rt.Fatalf("%v\n%s", err, strings.Join(log, "\n"))
			}
		}
	})
}

func (w *ruledWorld) passAndJudge(log *[]string) error {
	out, err := w.run()
	*log = append(*log, fmt.Sprintf("pass with %v: %v, %+v", w.job.MapFolders, err, out.Renamed))
	left := map[string]bool{}
	for _, it := range out.Items {
		left[it.Folder] = true
	}
	var fault *migration.Fault
	if errors.As(err, &fault) && fault.Code == migration.FolderNameCollision && len(left) > 0 && len(w.job.MapFolders) > 0 {
		err = nil
	}
	if err != nil || len(left) > 0 && len(w.job.MapFolders) == 0 {
		return fmt.Errorf("items %+v, %w", out.Items, err)
	}
	return w.judge(left)
}
