package mailsync_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// year is the first moment of a year.
func year(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }

// bodies are the messages of a folder, each as often as it is there.
func bodies(m *mailboxtest.Memory, folder string) []string {
	var out []string
	for _, x := range m.Messages(folder) {
		out = append(out, string(x.Body))
	}
	slices.Sort(out)
	return out
}

// Years of mail, a message each from 2018 to 2025.
func yearsPair(t *testing.T) *pairOf {
	p := newPair(t)
	for y := 2018; y <= 2025; y++ {
		p.source.Deliver("INBOX", letter(fmt.Sprint(y)), year(y), mailbox.Seen)
	}
	return p
}

func letters(ids ...int) []string {
	var out []string
	for _, id := range ids {
		out = append(out, string(letter(fmt.Sprint(id))))
	}
	slices.Sort(out)
	return out
}

func (p *pairOf) targetHolds(ids ...int) {
	p.t.Helper()
	if got, want := bodies(p.target, "INBOX"), letters(ids...); !slices.Equal(got, want) {
		p.t.Errorf("the target holds %d messages, want %d (%v): %q", len(got), len(want), ids, got)
	}
}

// The first moment of a time is of it, the last is not; what is left out is not seen.
func TestOnlyMessagesOfATime(t *testing.T) {
	for _, tt := range []struct {
		name          string
		since, before time.Time
		want          []int
	}{
		{"since", year(2023), time.Time{}, []int{2023, 2024, 2025}},
		{"a second later", year(2023).Add(time.Second), time.Time{}, []int{2024, 2025}},
		{"the same moment in another zone", year(2023).In(time.FixedZone("", -5*3600)), time.Time{}, []int{2023, 2024, 2025}},
		{"before", time.Time{}, year(2020), []int{2018, 2019}},
		{"since and before", year(2020), year(2022), []int{2020, 2021}},
		{"a time without mail", year(2030), time.Time{}, nil},
		{"all of it", year(2000), year(2030), []int{2018, 2019, 2020, 2021, 2022, 2023, 2024, 2025}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := yearsPair(t)
				p.job.Since, p.job.Before = tt.since, tt.before
				n := int64(len(tt.want))
				p.job.DryRun = true
				tallyIs(t, p.mustRun(), migration.Tally{Seen: n, Copied: n})
				p.job.DryRun = false
				tallyIs(t, p.mustRun(), migration.Tally{Seen: n, Copied: n})
				p.targetHolds(tt.want...)
				writes := p.target.Writes
				out := p.mustRun()
				tallyIs(t, out, migration.Tally{Seen: n, Unchanged: n})
				if p.target.Writes != writes || len(out.Items) > 0 {
					t.Errorf("a pass with nothing new wrote, or lists %v", out.Items)
				}
			})
		})
	}
}

// A message without a date is carried: nobody can say that it is of another time.
func TestMessagesWithoutADateAreOfEveryTime(t *testing.T) {
	p := yearsPair(t)
	p.source.Folder("INBOX").Messages[0].Date = time.Time{}
	p.job.Since = year(2025)
	tallyIs(t, p.mustRun(), migration.Tally{Seen: 2, Copied: 2})
}

// Another time: what was left out is found, and what was delivered stays in step.
func TestATimeCanBeChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := yearsPair(t)
		p.job.Since = year(2024)
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 2, Copied: 2})
		p.job.Since = year(2022)
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 4, Unchanged: 2, Copied: 2})
		p.job.Since, p.job.Before = time.Time{}, year(2020) // those from 2022 on are delivered already
		p.source.SetFlags("INBOX", 8, mailbox.Flagged)
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 6, Unchanged: 4, Copied: 2, FlagsUpdated: 1})
		p.targetHolds(2018, 2019, 2022, 2023, 2024, 2025)
		p.job.Before = time.Time{}
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 8, Unchanged: 6, Copied: 2})
		p.same()
		tallyIs(t, p.mustRun(), migration.Tally{Seen: 8, Unchanged: 8})
	})
}

// What comes and goes at the source outside the time changes no number.
func TestSeenIsRightWhateverComesAndGoes(t *testing.T) {
	p := yearsPair(t)
	p.job.Since = year(2023)
	p.mustRun()
	p.source.Deliver("INBOX", letter("old, imported"), year(2010))
	tallyIs(t, p.mustRun(), migration.Tally{Seen: 3, Unchanged: 3})
	p.source.Expunge("INBOX", 1, 2)
	tallyIs(t, p.mustRun(), migration.Tally{Seen: 3, Unchanged: 3})
	p.source.Expunge("INBOX", 8) // delivered
	p.source.Deliver("INBOX", letter("2026"), year(2026))
	tallyIs(t, p.mustRun(), migration.Tally{Seen: 3, Unchanged: 2, Copied: 1})
	p.source.Expunge("INBOX", 3, 7)
	tallyIs(t, p.mustRun(), migration.Tally{Seen: 2, Unchanged: 2})
	p.source.Folder("INBOX").Validity += 77
	tallyIs(t, p.mustRun(), migration.Tally{Seen: 2, Adopted: 2})
	tallyIs(t, p.mustRun(), migration.Tally{Seen: 2, Unchanged: 2})
}

// What is at the target already is recognised within the time, and left alone outside.
func TestATimeAndATargetThatHoldsMail(t *testing.T) {
	p := yearsPair(t)
	p.target.Deliver("INBOX", letter("2018"), year(2018))
	p.target.Deliver("INBOX", letter("2025"), year(2025))
	p.job.Since = year(2024)
	tallyIs(t, p.mustRun(), migration.Tally{Seen: 2, Copied: 1, Adopted: 1})
	p.job.Since = time.Time{}
	tallyIs(t, p.mustRun(), migration.Tally{Seen: 8, Unchanged: 2, Copied: 5, Adopted: 1})
	p.targetHolds(2018, 2019, 2020, 2021, 2022, 2023, 2024, 2025)
}

// A verify compares what is seen.
func TestVerifyOfATime(t *testing.T) {
	p := yearsPair(t)
	p.job.Since = year(2024)
	p.mustRun()
	verify := func(records mailsync.Records, since time.Time) migration.Receipt {
		r, err := mailsync.Verify(t.Context(), mailsync.VerifyJob{Source: p.source.Open, Target: p.target.Open, Records: records, Selection: mailsync.Selection{Since: since}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, records := range map[string]mailsync.Records{"with records": p.records, "without": nil} {
		if r := verify(records, year(2024)); r.Messages != 2 || !r.Same() {
			t.Errorf("%s: %+v", name, r)
		}
		if r := verify(records, time.Time{}); r.Messages != 8 || r.Missing != 6 {
			t.Errorf("%s, all mail: %+v", name, r)
		}
	}
	if r := verify(p.records, year(2025)); r.Messages != 2 || !r.Same() { // both were delivered
		t.Errorf("a narrower time: %+v", r)
	}
	p.target.Expunge("INBOX", 1)
	if r := verify(nil, year(2024)); r.Missing != 1 {
		t.Errorf("one gone: %+v", r)
	}
}

// Whatever comes, goes and is cut off while the time changes, the target holds what was
// of the time at some pass that came to its end, once each.
func TestTimesAndAccidents(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 6))
			p := newPair(t)
			p.job.Window = 3
			if seed%2 == 1 {
				p.target.Caps.UIDPlus = false
			}
			if seed%3 == 1 {
				p.source.Caps.CondStore = false
			}
			want, next := map[string]bool{}, 0
			for range 12 {
				for range rng.IntN(8) {
					next++
					p.source.Deliver("INBOX", letter(fmt.Sprint(next)), year(2015+rng.IntN(11)))
				}
				if m := p.source.Messages("INBOX"); len(m) > 0 && rng.IntN(2) == 0 {
					p.source.Expunge("INBOX", m[rng.IntN(len(m))].UID)
				}
				if rng.IntN(2) == 0 {
					p.job.Since, p.job.Before = time.Time{}, time.Time{}
					if rng.IntN(3) > 0 {
						p.job.Since = year(2015 + rng.IntN(8))
					}
					if rng.IntN(3) > 0 {
						p.job.Before = year(2022 + rng.IntN(5))
					}
				}
				cut, windows := rng.IntN(4), 0
				p.job.Yield = func() bool { windows++; return windows == cut }
				out := p.mustRun()
				p.job.Yield = nil
				if out.Yielded {
					p.mustRun()
				}
				for _, m := range p.source.Messages("INBOX") {
					if (p.job.Since.IsZero() || !m.Date.Before(p.job.Since)) && (p.job.Before.IsZero() || m.Date.Before(p.job.Before)) {
						want[string(m.Body)] = true
					}
				}
				if got := bodies(p.target, "INBOX"); len(got) != len(want) || slices.ContainsFunc(got, func(b string) bool { return !want[b] }) {
					t.Fatalf("seed %d: the target holds %d messages, want %d", seed, len(got), len(want))
				}
			}
			seen := int64(0)
			for _, m := range p.source.Messages("INBOX") {
				if want[string(m.Body)] {
					seen++
				}
			}
			tallyIs(t, p.mustRun(), migration.Tally{Seen: seen, Unchanged: seen})
		})
	}
}
