package mailsync_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// badMail has 4 messages among 40 in two folders that no target takes: one that is too
// large, two that are refused, one that the source does not deliver.
func badMail(t *testing.T) *pairOf {
	p := newPair(t)
	p.job.MaxMessageSize = 2000
	p.target.Refuse = func(_ mailbox.Message, body []byte) error {
		if bytes.Contains(body, []byte("virus")) {
			return migration.NewFault(migration.MessageRejected, migration.ScopeMessage, migration.Target, "NO contains a virus", nil)
		}
		return nil
	}
	for i := range 40 {
		folder, text := []string{"INBOX", "Sent"}[i%2], fmt.Sprint("letter ", i)
		switch i {
		case 5:
			text = strings.Repeat("x", 3000)
		case 10, 11:
			text = "virus"
		}
		p.source.Deliver(folder, letter(fmt.Sprint(i), text), day)
	}
	p.source.Folder("Sent").Messages[12].Withheld = true
	return p
}

// As many messages as the limit may be skipped; with one more the pass ends, now and
// whenever it is tried again, until the limit is raised. What was copied stays copied.
func TestTooManyBadItems(t *testing.T) {
	for limit := range int64(6) {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := badMail(t)
				p.job.MaxSkipped = &limit
				for try := range 2 {
					out, err := p.run()
					fault := (*migration.Fault)(nil)
					switch over := limit < 4; {
					case !over && (err != nil || out.Tally.Skipped != 4):
						t.Fatalf("try %d: %+v, error %v", try, out.Tally, err)
					case over && (!errors.As(err, &fault) || fault.Code != migration.TooManyBadItems || fault.Scope != migration.ScopeUser || fault.Class() != migration.Decide):
						t.Fatalf("try %d: error %v", try, err)
					case over && (out.Tally.Skipped != limit+1 || int64(len(out.Items)) != limit+1):
						t.Errorf("try %d: %d skipped, %d listed: the pass ends at the one that is too many", try, out.Tally.Skipped, len(out.Items))
					}
				}
				p.job.MaxSkipped = nil
				if out := p.mustRun(); out.Tally.Skipped != 4 || len(out.Items) != 4 {
					t.Errorf("without a limit: %+v, %d listed", out.Tally, len(out.Items))
				}
				if n := len(p.target.Messages("INBOX")) + len(p.target.Messages("Sent")); n != 36 {
					t.Errorf("%d messages at the target, want 36", n)
				}
				p.job.MaxSkipped = &limit // lowered, with nothing new
				if _, err := p.run(); (err != nil) != (limit < 4) {
					t.Errorf("a limit that is set later: error %v", err)
				}
			})
		})
	}
}

// Those that are gone at the source do not count any more.
func TestBadItemsThatAreGoneDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := badMail(t)
		p.mustRun()
		limit := int64(3)
		p.job.MaxSkipped = &limit
		p.source.Expunge("INBOX", 6)
		for range 2 { // the second pass counts what the first has noted
			if out := p.mustRun(); out.Tally.Skipped != 3 {
				t.Errorf("%+v", out.Tally)
			}
		}
	})
}
