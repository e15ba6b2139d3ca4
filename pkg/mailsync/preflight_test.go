package mailsync_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// preflight looks at the pair and checks that nothing was changed by it.
func (p *pairOf) preflight(change ...func(*mailsync.PreflightJob)) (migration.Preflight, error) {
	p.t.Helper()
	job := mailsync.PreflightJob{Source: p.source.Open, Target: p.target.Open, Records: p.records}
	for _, c := range change {
		c(&job)
	}
	before := [2][]string{contents(p.source, false), contents(p.target, false)}
	names := [2][]string{p.source.Names(), p.target.Names()}
	found, err := mailsync.Preflight(p.t.Context(), job)
	for i, m := range []*mailboxtest.Memory{p.source, p.target} {
		if !slices.Equal(before[i], contents(m, false)) || !slices.Equal(names[i], m.Names()) {
			p.t.Errorf("a preflight changed side %d", i)
		}
	}
	return found, err
}

// codes are the findings, with their levels.
func codes(p migration.Preflight) string { return p.Codes() }

// big is a message of so many bytes.
func big(n int) []byte { return []byte("Subject: big\r\n\r\n" + strings.Repeat("x", n-18) + "\r\n") }

func TestPreflightCountsAndMeasures(t *testing.T) {
	p := newPair(t)
	for range 10 {
		p.source.Deliver("INBOX", big(100), day)
	}
	p.source.Deliver("Large", big(5000), day)
	p.source.Deliver("Large", big(3000), day)
	p.source.Deliver("Small", big(200), day)
	p.source.Make("Empty")
	p.source.Deliver("Junk", big(90_000), day)
	p.target.Deliver("INBOX", big(50), day)
	looks := 0
	p.source.Step = func(op string) mailboxtest.Fate {
		if op == "sizes" {
			looks++
		}
		return mailboxtest.Done
	}
	p.target.Quota = mailbox.Room{Used: 50, Limit: 100_000}
	found, err := p.preflight(func(j *mailsync.PreflightJob) { j.Exclude = []string{"#Junk#"} })
	if err != nil {
		t.Fatal(err)
	}
	if found.Folders != 4 || found.Messages != 13 || found.Bytes != 9200 || found.ToCome != 9200 ||
		found.Largest == nil || *found.Largest != (migration.Largest{Folder: "Large", Size: 5000}) ||
		found.TargetFolders != 1 || found.TargetMessages != 1 || *found.Quota != (migration.Quota{Used: 50, Limit: 100_000}) {
		t.Errorf("found %+v", found)
	}
	if looks != 1 {
		t.Errorf("looked into %d folders, want the one that can hold the largest message", looks)
	}
	if got := codes(found); got != "FoldersLeftOut:note TargetHoldsMail:note" || found.Level != migration.LevelNote || !slices.Equal(found.LeftOut, []string{"Junk"}) {
		t.Errorf("findings %s, left out %q", got, found.LeftOut)
	}
}

func TestPreflightFindsWhatIsTooLarge(t *testing.T) {
	p := newPair(t)
	p.source.Deliver("INBOX", big(9000), day)
	p.source.Deliver("A", big(3000), day)
	p.source.Deliver("A", big(2000), day)
	p.source.Deliver("B", big(900), day)
	looks := 0
	p.source.Step = func(op string) mailboxtest.Fate {
		if op == "sizes" {
			looks++
		}
		return mailboxtest.Done
	}
	for _, tt := range []struct {
		name                 string
		told, known, own     int64
		limit, tooLarge, saw int64
	}{
		{"no limit is known", 0, 0, 0, 0, 0, 1},
		{"the server tells it", 2500, 100, 0, 2500, 2, 2},
		{"the preset knows it", 0, 8000, 0, 8000, 1, 1},
		{"the batch's own is lower", 8000, 0, 1000, 1000, 3, 2},
		{"the batch's own is higher", 8000, 0, 9900, 8000, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.t, looks = t, 0
			p.target.Quota.AppendLimit = tt.told
			found, err := p.preflight(func(j *mailsync.PreflightJob) { j.AppendLimit, j.MaxMessageSize = tt.known, tt.own })
			if err != nil || found.SizeLimit != tt.limit || found.TooLarge != tt.tooLarge || looks != int(tt.saw) {
				t.Errorf("limit %d, too large %d, %d folders looked into, %v; want %+v", found.SizeLimit, found.TooLarge, looks, err, tt)
			}
			if strings.Contains(codes(found), "MessageTooLarge:warning") != (tt.tooLarge > 0) {
				t.Errorf("findings %s", codes(found))
			}
		})
	}
}

func TestPreflightTellsOfNames(t *testing.T) {
	p := newPair(t)
	p.target.Naming = mailbox.Naming{Delimiter: "/", Forbidden: "*", FoldsCase: true}
	p.target.Make("Sent Items").Role = mailbox.RoleSent
	p.source.Make("Sent").Role = mailbox.RoleSent
	for _, name := range []string{"Work", "work", "5 * 3", "Fine/Fine"} {
		p.source.Make(name)
	}
	found, err := p.preflight()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]migration.RenamedFolder{}
	for _, r := range found.Renamed {
		got[r.From] = r
	}
	want := map[string]migration.RenamedFolder{
		"5 * 3": {From: "5 * 3", To: "5 =2A 3", Why: migration.RenamedCharacters},
		"work":  {From: "work", To: "work (2)", Why: migration.RenamedApart},
		"Sent":  {From: "Sent", To: "Sent Items", Why: migration.RenamedByPlace},
	}
	if !maps.Equal(got, want) {
		t.Errorf("renamed %v\nwant %v", got, want)
	}
	if found.Level != migration.LevelWarning || found.Findings[0].Code != migration.FindingRenamed ||
		!strings.Contains(found.Findings[0].Text, `"5 * 3" becomes "5 =2A 3"`) || strings.Contains(found.Findings[0].Text, "Sent") {
		t.Errorf("findings %+v", found.Findings)
	}
	// What is told is what a pass does.
	p.mustRun()
	for _, r := range want {
		if p.target.Folder(r.To) == nil {
			t.Errorf("the pass made no %q: %q", r.To, p.target.Names())
		}
	}
}

// TestPreflightTellsOfLongNames: of those that a server refuses which keeps a folder as a
// file (a warning) or a whole path as one (a note), and that are not there yet.
func TestPreflightTellsOfLongNames(t *testing.T) {
	for _, tt := range []struct {
		name, folder, want string
	}{
		{"as long as may be", strings.Repeat("a", 255), ""},
		{"a byte longer", strings.Repeat("a", 256), "FolderNamesLong:warning"},
		{"by the letters that modified UTF-7 writes with three", strings.Repeat("ä", 96), "FolderNamesLong:warning"},
		{"none too many of these", strings.Repeat("ä", 94), ""},
		{"by an emoji and an ampersand", strings.Repeat("&\U0001f600", 29), "FolderNamesLong:warning"},
		{"as a whole", strings.Repeat("a", 200) + "/" + strings.Repeat("b", 55), "FolderNamesLong:note"},
		{"as a whole, and not quite", strings.Repeat("a", 200) + "/" + strings.Repeat("b", 54), ""},
	} {
		p := newPair(t)
		p.source.Make(tt.folder)
		for range 2 {
			found, err := p.preflight()
			if err != nil {
				t.Fatal(err)
			}
			var words []string
			for _, f := range found.Findings {
				if f.Code == migration.FindingLongNames {
					words = append(words, string(f.Code)+":"+f.Level.String())
				}
			}
			if got := strings.Join(words, " "); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
			p.target.Make(tt.folder) // which took it, after all
			tt.want = ""
		}
	}
}

func TestPreflightHoldsItAgainstTheQuota(t *testing.T) {
	for _, tt := range []struct {
		name        string
		used, limit int64
		held        int // messages at the target
		want        string
	}{
		{"it fits", 4000, 5000, 0, ""},
		{"it does not", 4001, 5000, 0, "QuotaExceeded:failing"},
		{"it would, where the target holds it already", 4001, 5000, 4, "QuotaExceeded:warning TargetHoldsMail:note"},
		{"it never will", 10, 999, 4, "QuotaExceeded:failing TargetHoldsMail:note"},
		{"nobody knows", 0, 0, 0, "QuotaNotTold:note"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			p.source.Deliver("INBOX", big(1000), day)
			for range tt.held {
				p.target.Deliver("INBOX", big(1000), day)
			}
			p.target.Quota = mailbox.Room{Used: tt.used, Limit: tt.limit}
			found, err := p.preflight()
			if err != nil || codes(found) != tt.want {
				t.Errorf("findings %+v, %v; want %s", found.Findings, err, tt.want)
			}
		})
	}
}

func TestPreflightTakesOffWhatIsDelivered(t *testing.T) {
	p := newPair(t)
	for range 3 {
		p.source.Deliver("INBOX", big(1000), day)
	}
	p.mustRun()
	p.source.Deliver("INBOX", big(1000), day)
	found, err := p.preflight()
	if err != nil || found.Messages != 4 || found.Bytes != 4000 || found.ToCome != 1000 {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestPreflightOfATime(t *testing.T) {
	p := newPair(t)
	p.source.Deliver("INBOX", big(5000), day)
	p.source.Deliver("INBOX", big(100), day.Add(48*time.Hour))
	p.source.Deliver("More", big(200), day.Add(72*time.Hour))
	found, err := p.preflight(func(j *mailsync.PreflightJob) { j.Since = day.Add(24 * time.Hour) })
	if err != nil || found.Messages != 2 || found.Bytes != 300 || found.Largest.Size != 200 {
		t.Errorf("found %+v, %v", found, err)
	}
}

// TestPreflightOfOneSideAlone: a side that fails is a finding, and what the other tells
// is told all the same.
func TestPreflightOfOneSideAlone(t *testing.T) {
	refused := func(side migration.Side) mailbox.Opener {
		return func(context.Context) (mailbox.Session, error) {
			return nil, migration.NewFault(migration.AuthFailed, migration.ScopeUser, side, "log in: no", nil)
		}
	}
	p := newPair(t)
	p.source.Deliver("INBOX", big(1000), day)
	p.target.Deliver("INBOX", big(1000), day)
	found, err := p.preflight(func(j *mailsync.PreflightJob) { j.Target = refused(migration.Target) })
	if f := migration.AsFault(err); f == nil || f.Side != migration.Target || found.Messages != 1 || found.Largest == nil || codes(found) != "AuthFailed:failing" {
		t.Errorf("without a target: %+v, %v", found, err)
	}
	found, err = p.preflight(func(j *mailsync.PreflightJob) { j.Source = refused(migration.Source) })
	if f := migration.AsFault(err); f == nil || f.Side != migration.Source || found.TargetMessages != 1 || codes(found) != "AuthFailed:failing QuotaNotTold:note TargetHoldsMail:note" {
		t.Errorf("without a source: %+v, %v", found, err)
	}
	found, _ = p.preflight(func(j *mailsync.PreflightJob) {
		j.Source, j.Target = refused(migration.Source), refused(migration.Target)
	})
	if len(found.Findings) != 2 {
		t.Errorf("without both: %+v", found.Findings)
	}
}

// TestPreflightOfRulesThatCollide: two folders that the batch's rules would make one are
// told, as a pass would leave them out.
func TestPreflightOfRulesThatCollide(t *testing.T) {
	p := newPair(t)
	p.source.Deliver("A", big(100), day)
	p.source.Deliver("B", big(100), day)
	found, err := p.preflight(func(j *mailsync.PreflightJob) {
		j.MapFolders = []migration.FolderRule{{From: "A", To: "One"}, {From: "B", To: "One"}}
	})
	if err != nil || !strings.Contains(codes(found), "FolderNameCollision:warning") {
		t.Errorf("findings %+v, %v", found.Findings, err)
	}
}
