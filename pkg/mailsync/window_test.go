package mailsync_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
)

// slowTarget takes a message a second.
type slowTarget struct{ mailbox.Session }

func (s slowTarget) Append(ctx context.Context, name string, mode mailbox.AppendMode) (mailbox.Appender, error) {
	a, err := s.Session.Append(ctx, name, mode)
	return slowAppender{a}, err
}

type slowAppender struct{ mailbox.Appender }

func (a slowAppender) Add(ctx context.Context, m mailbox.NewMessage) error {
	time.Sleep(time.Second) // in the bubble
	return a.Appender.Add(ctx, m)
}

// No window stays open until it has 200 messages, however slowly they come, or
// nobody could stop the pass, and a crash would leave minutes of work unrecorded.
func TestAWindowThatFillsSlowlyIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		for i := range 30 {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
		}
		last, longest := time.Now(), time.Duration(0)
		p.job.Yield = func() bool {
			longest = max(longest, time.Since(last))
			last = time.Now()
			return false
		}
		_, err := mailsync.Run(t.Context(), mailsync.Job{
			Source: p.source.Open, Records: p.records, Yield: p.job.Yield,
			Target: func(ctx context.Context) (mailbox.Session, error) {
				s, err := p.target.Open(ctx)
				return slowTarget{s}, err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		p.same()
		if longest == 0 || longest > 7*time.Second {
			t.Errorf("the pass could be stopped only every %s", longest)
		}
	})
}
