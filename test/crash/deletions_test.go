package crash_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/test/servers"
)

// Of a mirroring case so many messages are deleted in each of so many folders at the
// source. At the target each of these has one that is the user's own and marked as
// deleted: it is still there in the end, and everything else is as at the source.
const (
	deletedEach = 2
	folders     = 3
)

var tidied = [folders]string{"INBOX", "Trips", "Trips/2019"}

// inTidied opens these folders of a mirroring case, one after the other.
func (w *world) inTidied(server *servers.IMAP, c kase, do func(s mailbox.Session, name string, sel mailbox.Selected) error) {
	w.in(server, c, func(s mailbox.Session) error {
		for _, name := range tidied {
			sel, err := s.Select(w.t.Context(), name, false)
			if err == nil {
				err = do(s, name, sel)
			}
			if err != nil {
				return fmt.Errorf("folder %q: %w", name, err)
			}
		}
		return nil
	})
}

// tidyUp deletes the first messages of these folders at the source, and puts what is the
// user's own next to their copies.
func (w *world) tidyUp(c kase) {
	w.inTidied(w.source, c, func(s mailbox.Session, _ string, _ mailbox.Selected) error {
		var all []mailbox.UID
		err := s.Flags(w.t.Context(), mailbox.Span(1, mailbox.MaxUID), 0, func(u mailbox.UID, _ mailbox.Flags) error {
			all = append(all, u)
			return nil
		})
		if err != nil {
			return err
		}
		if len(all) <= deletedEach {
			return fmt.Errorf("it has %d messages", len(all))
		}
		return s.Expunge(w.t.Context(), mailbox.NewUIDSet(all[:deletedEach]...))
	})
	w.inTidied(w.target, c, func(s mailbox.Session, name string, _ mailbox.Selected) error {
		const body = "Subject: own\r\n\r\nthe user's own\r\n"
		a, err := s.Append(w.t.Context(), name, mailbox.AppendMode{})
		if err != nil {
			return err
		}
		own := mailbox.Message{Date: time.Unix(1_600_000_000, 0), Size: int64(len(body)), Body: strings.NewReader(body)}
		own.Flags = mailbox.Flags{mailbox.Deleted}
		err = errors.Join(a.Add(w.t.Context(), mailbox.NewMessage{Message: own}), a.Flush(w.t.Context()))
		told, answerErr := a.Receive(w.t.Context())
		if err = errors.Join(err, answerErr, a.Close()); err != nil {
			return err
		}
		if len(told.UIDs) != 1 {
			return fmt.Errorf("the answer tells %d UIDs", len(told.UIDs))
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.own[c.user+" "+name] = told.UIDs[0]
		return nil
	})
}

// held are the messages of these folders at the target; none of another case.
func (w *world) held(c kase) (n int) {
	if c.day != mirroring {
		return 0
	}
	w.inTidied(w.target, c, func(_ mailbox.Session, _ string, sel mailbox.Selected) error {
		n += int(sel.Messages)
		return nil
	})
	return n
}

// judgeDeletions sees to it that what was left to be deleted is what the pass after the
// death deleted, that it kept nothing, and that the user's own is as it was. Then the
// user's own goes: the judge knows nothing of it.
func (w *world) judgeDeletions(c kase, left int, after result) {
	if c.day != mirroring {
		return
	}
	due := deletedEach * (folders - c.n)
	if c.point == failpoint.BeforeExpunge || c.point == failpoint.CopiesMarked {
		due += deletedEach
	}
	if gone := left - w.held(c); gone != due || after.Deleted != due || after.KeptAtTarget != 0 {
		w.t.Errorf("%+v: %d messages went, and it tells %d deleted and %d kept; want %d deleted", c, gone, after.Deleted, after.KeptAtTarget, due)
	}
	w.inTidied(w.target, c, func(s mailbox.Session, name string, _ mailbox.Selected) error {
		w.mu.Lock()
		own := mailbox.NewUIDSet(w.own[c.user+" "+name])
		w.mu.Unlock()
		there := false
		err := s.Flags(w.t.Context(), own, 0, func(_ mailbox.UID, f mailbox.Flags) error {
			there = f.Has(mailbox.Deleted)
			return nil
		})
		if err == nil && !there {
			err = errors.New("the user's own message is not there, or not marked")
		}
		if err != nil {
			return err
		}
		return s.Expunge(w.t.Context(), own)
	})
}
