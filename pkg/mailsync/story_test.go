package mailsync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// event is something that happens at one step of a pass, or before it (step 0).
type event struct{ step, kind, folder, pick int }

// What can happen. Everything up to lastWorld are things that other people do.
const (
	arrives = iota
	arrivesTwin
	sourceExpunges
	sourceFlags
	sourceRecreated
	targetExpunges
	targetMoves
	targetAdds
	targetDeleted
	targetRecreated
	lastWorld
	cutUndo = iota - 1
	cutMute
	cutLate
	crashUndo
	crashMute
	crashLate
	commitFails
	commitMute
	bodyTears
	yields
	lastEvent
)

var storyFolders = []string{"INBOX", "Sent", "Work/A"}

// history is what became of all messages of one text in one folder. touched: the
// target's user took one away.
type history struct {
	delivered, expunged, movedIn int
	touched                      bool
}

// story is a mailbox pair, what is remembered of it, and what happens to it.
type story struct {
	mu       sync.Mutex // guards all that a pass and its events touch
	source   *odd
	target   *odd
	known    map[string]*history
	n        int
	records  mailsync.Records
	steps    int
	events   []event
	kill     context.CancelCauseFunc
	dead     bool
	yielding bool
	failNext mailboxtest.Fate
	lanes    int // connections to each side
	mirror   bool
	log      []string
}

func (s *story) note(folder string, body []byte) *history {
	k := folder + "\n" + string(body)
	if s.known[k] == nil {
		s.known[k] = &history{}
	}
	return s.known[k]
}

func (s *story) text(folder string, n, pick int) []byte {
	b := letter(fmt.Sprint(folder, n))
	switch pick % 8 {
	case 1:
		b = letter(folder+"shared", fmt.Sprint("template ", n), strings.Repeat("x", n))
	case 2:
		b = fmt.Appendf(nil, "Subject: %s\r\n\r\nno id %d\r\n", folder, n)
	case 3:
		b = letter(fmt.Sprint(folder, n), "virus")
	case 4:
		b = append(b, bytes.Repeat([]byte("y"), 600)...)
	case 5:
		if pick%3 == 0 {
			b = append(b, bytes.Repeat([]byte("large "), 100<<10)...)
		}
	}
	return b
}

func (s *story) deliver(folder string, body []byte, pick int) {
	flags := []string{}
	if pick%2 == 0 {
		flags = append(flags, mailbox.Seen)
	}
	if pick%5 == 0 {
		flags = append(flags, "Keyword")
	}
	s.source.Deliver(folder, body, day.Add(time.Duration(pick%3)*time.Hour), flags...)
	s.note(folder, body).delivered++
}

// world does what other people do.
func (s *story) world(e event) {
	folder := storyFolders[e.folder%len(storyFolders)]
	src, dst := s.source.Messages(folder), s.target.Messages(folder)
	switch e.kind {
	case arrives:
		s.n++
		s.deliver(folder, s.text(folder, s.n, e.pick), e.pick)
	case arrivesTwin:
		if len(src) > 0 {
			s.deliver(folder, src[e.pick%len(src)].Body, e.pick)
		}
	case sourceExpunges:
		if len(src) > 0 {
			m := src[e.pick%len(src)]
			s.source.Expunge(folder, m.UID)
			s.note(folder, m.Body).expunged++
		}
	case sourceFlags:
		if len(src) > 0 {
			s.source.SetFlags(folder, src[e.pick%len(src)].UID, [][]string{{mailbox.Flagged}, {mailbox.Seen, "Other"}, {}}[e.pick%3]...)
		}
	case sourceRecreated:
		s.source.Delete(folder)
		s.source.Make(folder)
		for _, m := range src {
			s.source.Deliver(folder, m.Body, m.Date, m.Flags...)
		}
	case targetExpunges, targetMoves:
		if len(dst) > 0 {
			m := dst[e.pick%len(dst)]
			s.note(folder, m.Body).touched = true
			s.target.Expunge(folder, m.UID)
			if e.kind == targetMoves {
				to := storyFolders[(e.folder+1)%len(storyFolders)]
				s.target.Deliver(to, m.Body, m.Date, m.Flags...)
				s.note(to, m.Body).movedIn++
			}
		}
	case targetAdds:
		s.n++
		s.target.Deliver(folder, letter(fmt.Sprint("own", s.n)), day)
	case targetDeleted, targetRecreated:
		if folder == "INBOX" && e.kind == targetDeleted {
			return
		}
		for k, h := range s.known {
			h.touched = h.touched || strings.HasPrefix(k, folder+"\n")
		}
		s.target.Delete(folder)
		if e.kind == targetRecreated {
			s.target.Make(folder)
		}
	}
}

// step is one step of a pass under way, of whatever side.
func (s *story) step(op string) mailboxtest.Fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return mailboxtest.Undo
	}
	s.steps++
	fate := mailboxtest.Done
	for _, e := range s.events {
		if e.step != s.steps {
			continue
		}
		s.log = append(s.log, fmt.Sprintf("%d %s: %+v", s.steps, op, e))
		switch {
		case e.kind < lastWorld:
			s.world(e)
		case e.kind <= crashLate:
			fate = []mailboxtest.Fate{mailboxtest.Undo, mailboxtest.Mute, mailboxtest.Late}[(e.kind-cutUndo)%3]
			if e.kind >= crashUndo {
				s.dead = true
				s.kill(errCrash)
			}
		case e.kind == commitFails:
			s.failNext = mailboxtest.Undo
		case e.kind == commitMute:
			s.failNext = mailboxtest.Mute
		case e.kind == bodyTears:
			s.source.tear.Store(int32(1 + e.pick%3))
		case e.kind == yields:
			s.yielding = true
		}
	}
	return fate
}

func (s *story) Records(ctx context.Context) ([]migration.FolderRecord, error) {
	return s.records.Records(ctx)
}

func (s *story) Commit(ctx context.Context, w migration.Window) error {
	fate := s.step("commit " + w.Folder)
	s.mu.Lock()
	dead := s.dead
	if fate == mailboxtest.Done && s.failNext != mailboxtest.Done {
		fate, s.failNext = s.failNext, mailboxtest.Done
	}
	s.mu.Unlock()
	switch fate {
	case mailboxtest.Done:
		return s.records.Commit(ctx, w)
	case mailboxtest.Mute:
		if err := s.records.Commit(ctx, w); err != nil {
			return err
		}
	}
	if dead {
		return errCrash
	}
	return errors.New("the database is locked")
}

func (s *story) pass(ctx context.Context, events []event, newest bool) (mailsync.Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.events, s.steps, s.dead, s.yielding, s.failNext, s.kill = events, 0, false, false, mailboxtest.Done, cancel
	s.source.tear.Store(0)
	for _, e := range events {
		if e.step == 0 && e.kind < lastWorld {
			s.world(e)
		}
	}
	s.source.Step = func(op string) mailboxtest.Fate { return s.step("source " + op) }
	s.target.Step = func(op string) mailboxtest.Fate { return s.step("target " + op) }
	s.log = append(s.log, "pass")
	out, err := mailsync.Run(ctx, mailsync.Job{
		Source: s.source.Open, Target: s.target.Open, Records: s, Window: 3, NewestFirst: newest, Connections: s.lanes,
		Mirror: s.mirror, ConfirmedDeletions: 1 << 20, // what looks wrong here is
		Yield: func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.yielding },
	})
	s.source.Step, s.target.Step = nil, nil
	s.log = append(s.log, fmt.Sprintf("= %+v %v", out.Tally, err))
	return out, err
}

func newStory(habits int) *story {
	s := &story{
		known: map[string]*history{}, records: mailsync.NewMemoryRecords(),
		source: &odd{Memory: mailboxtest.NewMemory()}, target: &odd{Memory: mailboxtest.NewMemory()},
	}
	s.source.Side, s.target.Side = migration.Source, migration.Target
	s.source.Caps.CondStore = habits&1 == 0
	s.target.Caps.UIDPlus = habits&2 == 0
	s.target.Caps.MultiAppend = habits&4 == 0
	s.source.noUIDNext = habits&24 == 8
	s.source.noStatus = habits&24 == 16
	s.target.fewUIDs = habits&96 == 32
	s.target.Refuse = func(_ mailbox.Message, body []byte) error {
		if bytes.Contains(body, []byte("virus")) {
			return migration.NewFault(migration.MessageRejected, migration.ScopeMessage, migration.Target, "NO virus", nil)
		}
		return nil
	}
	return s
}
