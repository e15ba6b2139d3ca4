package mailsync_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// judge compares the mailboxes in the end.
func (s *story) judge(items []migration.Item) error {
	skipped := map[string]bool{}
	for _, it := range items {
		skipped[fmt.Sprint(it.Folder, "\n", it.UID)] = true
	}
	have, listed, flags := map[string]int{}, map[string]int{}, map[string][]mailbox.Flags{}
	for _, f := range storyFolders {
		for _, m := range s.target.Messages(f) {
			k := f + "\n" + string(m.Body)
			have[k]++
			flags[k] = append(flags[k], m.Flags)
		}
	}
	want := map[string]int{}
	for _, f := range storyFolders {
		for _, m := range s.source.Messages(f) {
			k := f + "\n" + string(m.Body)
			want[k]++
			if skipped[fmt.Sprint(f, "\n", m.UID)] {
				listed[k]++
			}
			if h := s.known[k]; h.delivered == 1 && !h.touched && len(flags[k]) == 1 && len(m.Flags.Without(flags[k][0])) > 0 {
				return fmt.Errorf("%.40q has %v at the source, %v at the target", k, m.Flags, flags[k][0])
			}
		}
	}
	for k, h := range s.known {
		least, most := want[k]-listed[k], want[k]+h.expunged
		if h.touched {
			least, most = 0, h.delivered+h.movedIn
		}
		if h.delivered > 0 && (have[k] < least || have[k] > most) {
			return fmt.Errorf("%.160q is %d times at the target, at the source %d times (%+v, %d skipped)", k, have[k], want[k], *h, listed[k])
		}
	}
	return nil
}

// tell runs a story to its end.
func (s *story) tell(t *testing.T, passes [][]event, newest bool) error {
	for _, events := range passes {
		out, err := s.pass(t.Context(), events, newest)
		if e := balanced(out, err); e != nil {
			return e
		}
	}
	out, err := s.pass(t.Context(), nil, newest)
	for range 2 { // a folder that had to settle is looked at by the next, which may ask first
		if f := migration.AsFault(err); s.mirror && (f == nil || f.Code == migration.NeedsDecision) {
			out, err = s.pass(t.Context(), nil, newest)
		}
	}
	if err != nil {
		return fmt.Errorf("an undisturbed pass: %w", err)
	}
	if err := balanced(out, nil); err != nil {
		return err
	}
	time.Sleep(time.Minute) // in the bubble
	if err := s.judge(out.Items); err != nil {
		return err
	}
	writes, lacking := s.target.Writes, s.lacksFolder()
	out, err = s.pass(t.Context(), nil, newest)
	if c := out.Tally; err == nil && lacking && c.Copied > 0 && c.Copied == c.Redelivered {
		// Where no folder is left that was filled, the mailbox is taken for a new one, once:
		// the record of the last may have been emptied by the pass before.
		writes = s.target.Writes
		out, err = s.pass(t.Context(), nil, newest)
	}
	if c := out.Tally; err != nil || c.Copied+c.Adopted+c.FlagsUpdated+c.Failed+c.Deleted+c.KeptAtTarget != 0 || s.target.Writes != writes {
		return fmt.Errorf("the last pass did something: %+v, %w", c, err)
	}
	if err := balanced(out, nil); err != nil {
		return err
	}
	return s.judge(out.Items)
}

// lacksFolder tells whether the target's user has deleted a folder.
func (s *story) lacksFolder() bool {
	return slices.ContainsFunc(storyFolders, func(name string) bool { return s.source.Folder(name) != nil && s.target.Folder(name) == nil })
}

// TestStories runs passes while both mailboxes change, connections break, processes
// die and the records cannot be written, and judges what is left in the end. Each kind
// of server has stories of its own.
func TestStories(t *testing.T) {
	for abilities := range 8 {
		t.Run(fmt.Sprint("abilities ", abilities), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				habits := abilities | rapid.IntRange(0, 15).Draw(rt, "habits")<<3
				newest := rapid.Bool().Draw(rt, "newest first")
				passes := drawPasses(rt)
				s := newStory(habits)
				s.mirror = abilities&2 == 0 && rapid.Bool().Draw(rt, "mirror")
				s.lanes = rapid.IntRange(1, 4).Draw(rt, "connections")
				var err error
				synctest.Test(t, func(t *testing.T) { err = s.tell(t, passes, newest) })
				if err != nil {
					rt.Fatalf("%v\n%s", err, strings.Join(s.log, "\n"))
				}
			})
		})
	}
}

// drawPasses draws what happens before and during each pass.
func drawPasses(rt *rapid.T) (passes [][]event) {
	draw := func(label string, step *rapid.Generator[int], kinds, most int) []event {
		return rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) event {
			return event{step.Draw(rt, "step"), rapid.IntRange(0, kinds-1).Draw(rt, "kind"), rapid.IntRange(0, 2).Draw(rt, "folder"), rapid.IntRange(0, 30).Draw(rt, "pick")}
		}), 0, most).Draw(rt, label)
	}
	first := draw("at first", rapid.Just(0), sourceExpunges, 30)
	for range rapid.IntRange(1, 4).Draw(rt, "passes") {
		before, during := draw("before", rapid.Just(0), lastWorld, 5), draw("during", rapid.IntRange(1, 90), lastEvent, 5)
		passes = append(passes, slices.Concat(first, before, during))
		first = nil
	}
	return passes
}
