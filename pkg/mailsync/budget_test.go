package mailsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
)

// Two that hold half each and want more would wait for each other: what one gives back
// in its own time lets the other go on, and who has nothing left does without.
func TestTwoThatHoldHalfEachGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(64 << 10)
		one, two := &share{of: b, most: 1 << 20}, &share{of: b, most: 1 << 20}
		for _, s := range []*share{one, two} {
			if ok, err := s.take(t.Context(), 32<<10); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		answers := map[*share]chan bool{one: make(chan bool, 1), two: make(chan bool, 1)}
		for s, answer := range answers {
			go func() {
				ok, err := s.take(t.Context(), 64<<10)
				if err != nil {
					t.Error(err)
				}
				answer <- ok
			}()
		}
		synctest.Wait()
		one.give(32 << 10)
		if <-answers[one] {
			t.Error("there was no room, yet it was granted")
		}
		two.give(32 << 10)
		if !<-answers[two] {
			t.Error("there was room, and it was not granted")
		}
		two.give(64 << 10)
		if b.free != 64<<10 || len(b.queue) > 0 {
			t.Errorf("%d bytes are free, %d wait", b.free, len(b.queue))
		}
	})
}

// Who gives up waiting leaves nothing behind, also in the moment that it is granted.
func TestWhoGivesUpTakesNothing(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := NewBudget(8 << 10)
			s := &share{of: b, most: 1 << 20}
			if ok, err := s.take(t.Context(), 4<<10); !ok || err != nil {
				t.Fatal(ok, err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			over := make(chan struct{})
			go func() {
				defer close(over)
				if granted, err := s.take(ctx, 8<<10); granted {
					s.give(8 << 10)
				} else if err != nil && !errors.Is(err, errAborted) {
					t.Errorf("it ended with %v", err)
				}
			}()
			synctest.Wait()
			if late {
				b.mu.Lock() // the grant comes while it is on its way out
				s.grant(-4 << 10)
				s.grant(8 << 10)
				cancel(errAborted)
				b.queue[0].granted <- true
				b.queue = nil
				b.mu.Unlock()
			} else {
				cancel(errAborted)
				<-over
				s.give(4 << 10)
			}
			<-over
			if b.free != 8<<10 || s.held != 0 {
				t.Errorf("%d bytes are free, %d are held", b.free, s.held)
			}
		})
	}
}

// watched looks at the budget whenever a message arrives.
type watched struct {
	mailbox.Session
	look func()
}

func (w watched) Append(ctx context.Context, name string, mode mailbox.AppendMode) (mailbox.Appender, error) {
	a, err := w.Session.Append(ctx, name, mode)
	return watchedAppender{a, w.look}, err
}

type watchedAppender struct {
	mailbox.Appender
	look func()
}

func (w watchedAppender) Add(ctx context.Context, m mailbox.NewMessage) error {
	w.look()
	time.Sleep(time.Millisecond) // in the bubble: the readers get ahead
	return w.Appender.Add(ctx, m)
}

// Passes that share a budget hold no more than it has, however small it is: also where
// it has room for one message alone, or for none.
func TestPassesKeepToTheirBudget(t *testing.T) {
	for _, size := range []int64{0, 4 << 10, 20 << 10, 256 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { shareBudget(t, size) })
		})
	}
}

func shareBudget(t *testing.T, size int64) {
	b := NewBudget(size)
	least := size
	look := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		least = min(least, b.free)
	}
	var all sync.WaitGroup
	for range 4 {
		source, target := mailboxtest.NewMemory(), mailboxtest.NewMemory()
		for i := range 60 {
			body := bytes.Repeat([]byte("0123456789abcde\n"), 1<<(i%13)) // 16 bytes to 64 KB
			source.Deliver("INBOX", append(fmt.Appendf(nil, "Message-ID: <%d@example.org>\n\n", i), body...), time.Unix(1, 0))
		}
		all.Go(func() {
			out, err := Run(t.Context(), Job{
				Source: source.Open, Records: NewMemoryRecords(), Budget: b, Window: 7,
				Target: func(ctx context.Context) (mailbox.Session, error) {
					s, err := target.Open(ctx)
					return watched{s, look}, err
				},
			})
			if err != nil || out.Tally.Copied != 60 {
				t.Errorf("copied %d messages: %v", out.Tally.Copied, err)
			}
		})
	}
	all.Wait()
	if least < 0 {
		t.Errorf("%d bytes more than there are were in memory", -least)
	}
	if size >= 4<<10 && least == size {
		t.Error("nothing was ever taken of the budget")
	}
	if b.free != size || len(b.queue) > 0 {
		t.Errorf("in the end %d of %d bytes are free, %d wait", b.free, size, len(b.queue))
	}
}
