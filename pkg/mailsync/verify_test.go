package mailsync_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
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
		"normalised": r.Normalised, "wrongDate": r.WrongDate, "wrongFlags": r.WrongFlags, "foldersMissing": r.FoldersMissing,
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
