package mailsync_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// listed are the folders of a list of items, with their codes.
func listed(items []migration.Item) string {
	var out []string
	for _, it := range items {
		out = append(out, fmt.Sprintf("%s %s", it.Folder, it.Code))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// TestFoldersLeftOutByDefault are told, with what is below them, unless they are asked
// for; one that has a use is no such folder whatever its name.
func TestFoldersLeftOutByDefault(t *testing.T) {
	const left = "OUTBOX LeftOutByPreset; Sync Issues LeftOutByPreset; Sync Issues/Conflicts LeftOutByPreset"
	for _, tt := range []struct {
		name              string
		include, exclude  []string
		carried, left, pf string
	}{
		{"nothing said", nil, nil, "Archive/Outbox INBOX Sent Synced", left, "LeftOutByPreset:note"},
		{"one is asked for", []string{"inbox", "Outbox"}, nil, "INBOX OUTBOX", "Sync Issues LeftOutByPreset; Sync Issues/Conflicts LeftOutByPreset", "FoldersLeftOut:note LeftOutByPreset:note"},
		{"all are asked for", []string{"*"}, nil, "Archive/Outbox Empty/Outbox INBOX OUTBOX Sent Sync Issues Sync Issues/Conflicts Synced", "", ""},
		{"also excluded", nil, []string{"Outbox"}, "Archive/Outbox INBOX Sent Synced", "Sync Issues LeftOutByPreset; Sync Issues/Conflicts LeftOutByPreset", "FoldersLeftOut:note LeftOutByPreset:note"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			for i, name := range []string{"INBOX", "OUTBOX", "Sync Issues", "Sync Issues/Conflicts", "Synced", "Archive/Outbox", "Sent"} {
				p.source.Deliver(name, letter(fmt.Sprint(i)), day)
			}
			p.source.Make("Empty/Outbox")
			p.target.Quota = mailbox.Room{Limit: 1 << 20}
			p.source.Make("Sent").Role = mailbox.RoleSent
			leave := []string{"Outbox", "Sync Issues", "Empty", "Sent"}
			p.job.Include, p.job.Exclude, p.job.LeaveOut = tt.include, tt.exclude, leave
			found, err := p.preflight(func(j *mailsync.PreflightJob) { j.Include, j.Exclude, j.LeaveOut = tt.include, tt.exclude, leave })
			if err != nil || codes(found) != tt.pf {
				t.Errorf("the preflight finds %s, %v; want %s", codes(found), err, tt.pf)
			}
			for range 2 {
				if got := listed(p.mustRun().Items); got != tt.left {
					t.Errorf("listed as left out %q, want %q", got, tt.left)
				}
			}
			var names []string
			for _, name := range p.target.Names() {
				if len(p.target.Messages(name)) > 0 || name == "Empty/Outbox" {
					names = append(names, name)
				}
			}
			if got := strings.Join(names, " "); got != tt.carried {
				t.Errorf("carried %q, want %q", got, tt.carried)
			}
			r, err := mailsync.Verify(t.Context(), mailsync.VerifyJob{
				Source: p.source.Open, Target: p.target.Open, Records: p.records, Selection: mailsync.Selection{Include: tt.include, Exclude: tt.exclude, LeaveOut: leave},
			})
			if err != nil || r.Missing+r.FoldersMissing+r.Extra != 0 {
				t.Errorf("verify: %+v, %v", r, err)
			}
		})
	}
}

// TestAFolderThatIsNotShownWhole is told; what it shows no more is not gone, also where
// deletions are carried over.
func TestAFolderThatIsNotShownWhole(t *testing.T) {
	p := mirrored(t)
	p.job.Shown = 12
	found, err := p.preflight(func(j *mailsync.PreflightJob) { j.Shown = 12 })
	if err != nil || !strings.Contains(codes(found), "FolderNotWhole:warning") {
		t.Errorf("the preflight finds %s, %v", codes(found), err)
	}
	p.source.Deliver("Old", letter("new"), day)
	p.source.Expunge("Old", 1)
	out := p.mustRun()
	if got := listed(out.Items); got != "INBOX FolderNotWhole; Old FolderNotWhole" || !strings.Contains(out.Items[0].Reason, "at most 12") {
		t.Errorf("listed %q: %+v", got, out.Items)
	}
	if n := len(p.target.Messages("Old")); n != 13 || out.Tally.Copied != 1 {
		t.Errorf("the target holds %d messages, want the one that shows no more too: %+v", n, out.Tally)
	}
	p.source.Expunge("Old", 2, 3)
	if got := listed(p.mustRun().Items); got != "INBOX FolderNotWhole" {
		t.Errorf("with fewer messages %q", got)
	}
}
