package pass

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// A user whose bytes of the day are used up ends at its window and waits for the next
// day; others go on, and so does the user once its endpoint lets a mailbox have more.
func TestAMailboxWithItsDayUsedUpWaitsForTheNext(t *testing.T) {
	synctest.Test(t, aMailboxWithItsDayUsedUp) // whose clock keeps off midnight
}

func aMailboxWithItsDayUsedUp(t *testing.T) {
	bob := alice()
	bob.EmailAddress, bob.UserName = "bob@new.example", "bob"
	w := newWorld(t, func(w *world) { w.source.DailyBytesPerMailbox, w.target.DailyBytesPerMailbox = 1000, 5000 }, alice(), bob)
	// copies moves windows of 400 bytes until it is told to stop, or most are done.
	var token int64
	copies := func(most int) {
		w.engine(func(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error) {
			var out mailsync.Outcome
			for range most {
				out.Tally.Bytes += 400
				out.Tally.Copied++
				out.Progress = true
				must(t, w.db.Commit(ctx, token, migration.Window{Tally: out.Tally}))
				job.Observe(out.Tally)
				if out.Yielded = job.Yield(); out.Yielded {
					break
				}
			}
			return out, nil
		})
	}
	run := func() migration.User {
		t.Helper()
		l := w.admit()
		token = l.Token
		w.Handle(t.Context(), l.UserID, l.Token)
		return w.user(l.UserID)
	}
	midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	waits := func(u migration.User, bytes int64, at string) {
		t.Helper()
		if u.Status != migration.UserWaiting || u.Code != migration.BudgetExhausted || !u.NextRunAt.Equal(midnight) || u.Attempts != 0 ||
			!strings.Contains(u.Reason, at) || u.Traffic.Bytes != bytes {
			t.Errorf("user is %+v with %+v, want %d bytes at endpoint %s", u.UserState, u.Traffic, bytes, at)
		}
	}
	copies(9)
	first := run()
	waits(first, 1200, "old")

	copies(2) // 800
	if u := run(); u.ID == first.ID || u.Status != migration.UserSynced || u.Traffic.Bytes != 800 {
		t.Errorf("the other user is %+v with %+v", u.UserState, u.Traffic)
	}

	set := func(e migration.Endpoint, bytes int64) {
		t.Helper()
		_, err := w.db.ChangeEndpoint(t.Context(), e.OrgID, e.ID, func(e *migration.Endpoint) error {
			e.DailyBytesPerMailbox = bytes
			return nil
		})
		must(t, err)
	}
	set(w.source, 2000)
	copies(9)
	waits(run(), 2000, "old")
	set(w.source, migration.NoDailyBytes)
	copies(20)
	waits(run(), 5200, "new")
	// Asked for once more on the same day, it connects nowhere.
	_, err := w.db.ChangeUser(t.Context(), first.ID, func(u *migration.User) error { u.NextRunAt = time.Now().UTC(); return nil })
	must(t, err)
	w.engine(func(context.Context, mailsync.Job) (mailsync.Outcome, error) {
		t.Error("the engine runs although the day is used up")
		return mailsync.Outcome{}, nil
	})
	waits(run(), 5200, "new")
}

func TestTheDayOfAPass(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	day := migration.DayOf(noon)
	gmail := &migration.Endpoint{Name: "gmail", EndpointSpec: migration.EndpointSpec{Preset: "gmail"}}
	d := &daily{traffic: migration.Traffic{Day: day, Bytes: 499_999_990}, limits: []dailyLimit{dailyOf(gmail, migration.Target)}}
	for _, step := range []struct {
		copied int64
		at     time.Duration
		over   bool
	}{
		{9, 0, false},
		{10, time.Hour, true},
		{11, 12 * time.Hour, false}, // midnight: what the pass copied was the day's before
		{500_000_010, 13 * time.Hour, false},
		{500_000_011, 14 * time.Hour, true},
	} {
		now := noon.Add(step.at)
		r := d.rest(step.copied, now)
		if (r != nil) != step.over || r != nil && !r.Until.Equal(time.Unix((migration.DayOf(now)+1)*86400, 0)) {
			t.Errorf("%d bytes at %s: %+v", step.copied, now, r)
		}
	}
	plain := &migration.Endpoint{}
	set := &migration.Endpoint{EndpointSpec: migration.EndpointSpec{Preset: "gmail", DailyBytesPerMailbox: 7}}
	none := &migration.Endpoint{EndpointSpec: migration.EndpointSpec{Preset: "gmail", DailyBytesPerMailbox: migration.NoDailyBytes}}
	for _, tc := range []struct {
		e    *migration.Endpoint
		side migration.Side
		want int64
	}{
		{gmail, migration.Source, 2_500_000_000},
		{gmail, migration.Target, 500_000_000},
		{plain, migration.Source, 0},
		{set, migration.Source, 7},
		{set, migration.Target, 7},
		{none, migration.Target, 0},
	} {
		if got := dailyOf(tc.e, tc.side); got.bytes != tc.want {
			t.Errorf("%s of %+v: %d bytes a day, want %d", tc.side, tc.e.EndpointSpec, got.bytes, tc.want)
		}
	}
	if r := plain.MailboxRest(1<<60, 0, noon); r != nil {
		t.Errorf("without a limit: %+v", r)
	}
}
