package mailsync_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
)

// Whatever is cut off after some windows, the newest messages are there.
func TestNewestComeFirst(t *testing.T) {
	p := newPair(t)
	for i := range 60 {
		p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
	}
	p.job.NewestFirst, p.job.Window = true, 4
	windows := 0
	p.job.Yield = func() bool { windows++; return windows == 5 }
	out := p.mustRun()
	if !out.Yielded || out.Tally.Copied < 20 || out.Tally.Copied > 50 {
		t.Fatalf("%+v", out)
	}
	there := map[string]bool{}
	for _, m := range p.target.Messages("INBOX") {
		there[string(m.Body)] = true
	}
	for i, m := range p.source.Messages("INBOX") {
		if newest := i >= 60-10; newest && !there[string(m.Body)] {
			t.Errorf("the newest message but %d has not come, though %d have", 59-i, out.Tally.Copied)
		}
	}
	p.job.Yield = nil
	p.mustRun()
	p.same()
}

// A record of a folder copied from its end grows by a gap for each piece that was
// asked for, not for each message or window.
func TestNewestFirstKeepsTheRecordSmall(t *testing.T) {
	size := func(newest bool) (n int) {
		p := newPair(t)
		for i := range 3000 {
			p.source.Deliver("INBOX", letter(fmt.Sprint(i)), day)
		}
		p.job.NewestFirst, p.job.Window = newest, 20
		p.mustRun()
		p.same()
		records, err := p.records.Records(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			n += len(r.Head)
			for _, entry := range r.Journal {
				n += len(entry)
			}
		}
		return n
	}
	oldest, newest := size(false), size(true)
	t.Logf("%d bytes in the order of UIDs, %d from the end", oldest, newest)
	if pieces := 3000 / 50; newest > oldest+10*pieces {
		t.Errorf("the record has %d bytes, in the order of UIDs %d", newest, oldest)
	}
}

// Passes that copy the newest first, most of them, are killed again and again, at steps
// and in ways that a seed draws; in the end nothing is lost and nothing doubled.
func TestNewestFirstSurvivesKills(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) { killNewestFirst(t, seed) })
	}
}

func killNewestFirst(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	p := newPair(t)
	p.target.Caps.UIDPlus, p.target.Caps.MultiAppend = r.IntN(4) > 0, r.IntN(2) == 0
	for _, folder := range []string{"INBOX", "Sent"} {
		for i := range 5 + r.IntN(150) {
			p.source.Deliver(folder, letter(fmt.Sprint(i%17), fmt.Sprint("body ", i%29)), day.Add(time.Duration(i%5)*time.Hour))
		}
		for u := range 150 {
			if r.IntN(6) == 0 {
				p.source.Expunge(folder, mailbox.UID(u+1))
			}
		}
	}
	window := 1 + r.IntN(5)
	for kill := range 1 + r.IntN(4) {
		ctx, cancel := context.WithCancelCause(t.Context())
		a := &accident{
			at: 1 + r.IntN(60), fate: []mailboxtest.Fate{mailboxtest.Undo, mailboxtest.Mute, mailboxtest.Late}[r.IntN(3)],
			crash: true, kill: cancel, records: p.records,
		}
		p.source.Step, p.target.Step = a.step, a.step
		_, err := mailsync.Run(ctx, mailsync.Job{Source: p.source.Open, Target: p.target.Open, Records: a, Window: window, NewestFirst: r.IntN(8) > 0})
		p.source.Step, p.target.Step = nil, nil
		cancel(nil)
		if a.dead && !errors.Is(err, errCrash) {
			t.Fatalf("seed %d, kill %d: the pass ended with %v", seed, kill, err)
		}
		for range r.IntN(3) { // mail comes in between
			p.source.Deliver("INBOX", letter(fmt.Sprint("late", kill)), day)
		}
	}
	p.job.NewestFirst, p.job.Window = true, window
	if _, err := p.run(); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	time.Sleep(time.Minute) // in the bubble: what was under way arrives
	if want, got := contents(p.source, false), contents(p.target, false); !slices.Equal(want, got) {
		t.Fatalf("seed %d: the mailboxes differ: source %d messages, target %d\n%s", seed, len(want), len(got), difference(want, got))
	}
	if out := p.mustRun(); out.Tally.Copied+out.Tally.Adopted != 0 {
		t.Fatalf("seed %d: one more pass found work: %+v", seed, out.Tally)
	}
}
