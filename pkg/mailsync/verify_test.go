package mailsync_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func (p *pairOf) verify(records mailsync.Records) migration.Receipt {
	p.t.Helper()
	r, err := mailsync.Verify(p.t.Context(), mailsync.VerifyJob{Source: p.source.Open, Target: p.target.Open, Records: records})
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// differences summarises what a receipt names, and checks that it counts the same.
func differences(t *testing.T, r migration.Receipt) string {
	t.Helper()
	named := map[string]int64{}
	for _, d := range r.Differences {
		named[d.Kind]++
	}
	counted := map[string]int64{
		"missing": r.Missing, "removedAtTarget": r.RemovedAtTarget, "movedAtTarget": r.MovedAtTarget, "extra": r.Extra, "altered": r.Altered,
		"normalised": r.Normalised, "skipped": r.Skipped, "wrongDate": r.WrongDate, "wrongFlags": r.WrongFlags, "foldersMissing": r.FoldersMissing,
	}
	var out []string
	for kind, n := range counted {
		if named[kind] != n {
			t.Errorf("%d %s counted, %d named", n, kind, named[kind])
		}
		if n > 0 {
			out = append(out, fmt.Sprint(kind, " ", n))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// TestAReceiptTellsWhatWasLeftBehind: it is neither missing nor there.
func TestAReceiptTellsWhatWasLeftBehind(t *testing.T) {
	p := newPair(t)
	p.job.MaxMessageSize = 2000
	p.source.Deliver("INBOX", letter("fits"), day)
	p.source.Deliver("INBOX", letter("large", strings.Repeat("x", 3000)), day)
	p.mustRun()
	r := p.verify(p.records)
	if got := differences(t, r); got != "skipped 1" || r.Messages != 2 || !r.Same() {
		t.Fatalf("%d messages, same %v: %s; want 1 of 2 skipped", r.Messages, r.Same(), got)
	}
	if d := r.Differences[0]; d.SourceUID != 2 || !strings.HasPrefix(d.Detail, "MessageTooLarge: ") {
		t.Errorf("named as %+v", d)
	}
	if got := differences(t, p.verify(nil)); got != "missing 1" {
		t.Errorf("without records: %s", got)
	}
}

// TestAVerifyTellsHowFarItIs: each message of both sides once, of as many as there are.
func TestAVerifyTellsHowFarItIs(t *testing.T) {
	p := newPair(t)
	for i := range 3 {
		p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
	}
	p.source.Deliver("Sent", letter("sent"), day)
	p.target.Deliver("INBOX", letter("own"), day)
	var mu sync.Mutex
	told := map[int64]int64{}
	_, err := mailsync.Verify(t.Context(), mailsync.VerifyJob{Source: p.source.Open, Target: p.target.Open, Observe: func(read, all int64) {
		mu.Lock()
		defer mu.Unlock()
		told[read] = all
	}})
	if want := (map[int64]int64{1: 5, 2: 5, 3: 5, 4: 5, 5: 5}); err != nil || !maps.Equal(told, want) {
		t.Errorf("told %v, %v; want %v", told, err, want)
	}
}

func TestVerifyNamesEveryDamage(t *testing.T) {
	first := func(p *pairOf) *byte { return &p.target.Folder("INBOX").Messages[0].Body[0] }
	tests := []struct {
		name    string
		damage  func(p *pairOf)
		want    string // without records
		records string // with them
		same    bool   // without records
	}{
		{"none", func(*pairOf) {}, "", "", true},
		{"a message gone", func(p *pairOf) { p.target.Expunge("INBOX", 3) }, "missing 1", "removedAtTarget 1", false},
		{"a message moved", func(p *pairOf) {
			m := p.target.Folder("INBOX").Messages[2]
			p.target.Deliver("Sent", m.Body, m.Date, m.Flags...)
			p.target.Expunge("INBOX", 3)
		}, "extra 1, missing 1", "movedAtTarget 1", false},
		{"a message doubled", func(p *pairOf) {
			m := p.target.Folder("INBOX").Messages[2]
			p.target.Deliver("INBOX", m.Body, m.Date, m.Flags...)
		}, "extra 1", "extra 1", true},
		{"a byte changed", func(p *pairOf) { *first(p) = 'Z' }, "altered 1", "altered 1", false},
		{"a header added", func(p *pairOf) {
			m := p.target.Folder("INBOX").Messages[0]
			m.Body = append([]byte("X-Added: yes\r\n"), m.Body...)
		}, "altered 1", "altered 1", false},
		{"line ends changed, as servers do", func(p *pairOf) {
			m := p.target.Folder("INBOX").Messages[0]
			m.Body = bytes.TrimSuffix(m.Body, []byte("\r\n"))
		}, "normalised 1", "normalised 1", true},
		{"a date changed", func(p *pairOf) {
			m := p.target.Folder("INBOX").Messages[0]
			m.Date = m.Date.Add(time.Minute)
		}, "wrongDate 1", "wrongDate 1", false},
		{"a flag changed", func(p *pairOf) { p.target.SetFlags("INBOX", 1, mailbox.Draft) }, "wrongFlags 1", "wrongFlags 1", true},
		{"a folder gone", func(p *pairOf) { p.target.Delete("Empty") }, "foldersMissing 1", "foldersMissing 1", false},
		{"mail of its own", func(p *pairOf) { p.target.Deliver("INBOX", letter("own"), day) }, "extra 1", "extra 1", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				p.source.Make("Empty")
				for i := range 20 {
					p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day.Add(time.Duration(i)*time.Hour), mailbox.Seen)
					p.source.Deliver("Sent", letter(fmt.Sprint("sent", i)), day)
				}
				p.mustRun()
				for _, m := range p.target.Folder("INBOX").Messages {
					m.Body = bytes.Clone(m.Body) // not the source's own bytes
				}
				tt.damage(p)
				r := p.verify(nil)
				if got := differences(t, r); got != tt.want || r.Same() != tt.same {
					t.Errorf("without records: %q same %v, want %q same %v\n%+v", got, r.Same(), tt.want, tt.same, r.Differences)
				}
				if got := differences(t, p.verify(p.records)); got != tt.records {
					t.Errorf("with records: %q, want %q", got, tt.records)
				}
			})
		})
	}
}

// Every kind of damage at once, each of another message: all are named exactly, by
// folder and UIDs.
func TestVerifyNamesAllDamageAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.source.Make("Empty")
		for i := range 12 {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day, mailbox.Seen)
			p.source.Deliver("Sent", letter(fmt.Sprint("sent", i)), day)
		}
		p.mustRun()
		at := func(uid int) *mailboxtest.MemoryMessage { return p.target.Folder("INBOX").Messages[uid-1] }
		for _, m := range p.target.Folder("INBOX").Messages {
			m.Body = bytes.Clone(m.Body) // not the source's own bytes
		}
		at(1).Body[0] = 'Z'
		at(2).Body = append([]byte("X-Added: yes\r\n"), at(2).Body...)
		at(3).Body = bytes.TrimSuffix(at(3).Body, []byte("\r\n"))
		at(4).Date = at(4).Date.Add(time.Minute)
		p.target.SetFlags("INBOX", 5, mailbox.Draft)
		p.target.Deliver("INBOX", at(6).Body, at(6).Date, at(6).Flags...) // uid 13
		p.target.Deliver("INBOX", letter("own"), day)                     // uid 14
		p.target.Deliver("Sent", at(7).Body, at(7).Date, at(7).Flags...)  // uid 13
		p.target.Expunge("INBOX", 7)
		p.target.Expunge("INBOX", 8)
		p.target.Delete("Empty")
		for records, want := range map[mailsync.Records][]string{
			nil: {
				"altered INBOX 1 1", "altered INBOX 2 2", "extra INBOX 0 13", "extra INBOX 0 14", "extra Sent 0 13", "foldersMissing Empty 0 0",
				"missing INBOX 7 0", "missing INBOX 8 0", "normalised INBOX 3 3", "wrongDate INBOX 4 4", "wrongFlags INBOX 5 5",
			},
			p.records: {
				"altered INBOX 1 1", "altered INBOX 2 2", "extra INBOX 0 13", "extra INBOX 0 14", "foldersMissing Empty 0 0",
				"movedAtTarget INBOX 7 13", "normalised INBOX 3 3", "removedAtTarget INBOX 8 0", "wrongDate INBOX 4 4", "wrongFlags INBOX 5 5",
			},
		} {
			r := p.verify(records)
			differences(t, r)
			var got []string
			for _, d := range r.Differences {
				got = append(got, fmt.Sprint(d.Kind, " ", d.Folder, " ", d.SourceUID, " ", d.TargetUID))
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("records %v:\n%s\nwant\n%s", records != nil, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	})
}

func TestReceiptDigest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		fill(p.source, 90)
		p.mustRun()
		var lines []string
		for _, name := range p.source.Names() {
			for _, m := range p.source.Folder(name).Messages {
				lines = append(lines, fmt.Sprintf("%s\t%x\n", name, sha256.Sum256(m.Body)))
			}
		}
		slices.Sort(lines)
		want := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, ""))))
		if got := p.verify(p.records).Digest; got != want {
			t.Errorf("digest %s, want %s", got, want)
		}
	})
}
