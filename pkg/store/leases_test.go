package store

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func lost(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, migration.ErrLeaseLost) {
		t.Errorf("%s: error is %v, want ErrLeaseLost", what, err)
	}
}

func testClaim(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"))
	token := w.admit(10)[0].Token
	var claimed atomic.Int64
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			l, err := s.Claim(ctx, token, "w1")
			if err == nil {
				claimed.Add(1)
				if l.State != migration.LeaseRunning || l.WorkerID != "w1" || l.Token != token {
					t.Errorf("claimed: %+v", l)
				}
				return nil
			}
			if errors.Is(err, migration.ErrLeaseLost) {
				return nil
			}
			return err
		})
	}
	w.ok(g.Wait())
	equal(t, "claims", claimed.Load(), 1)
	equal(t, "status", w.user(b, "ann@example.org").Status, migration.UserSyncing)
	_, err := s.Claim(ctx, token+1, "w1")
	lost(t, "claim of a token that never was", err)
}

func testBeat(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	w.batch("pilot", many("u", 3)...)
	leases := w.admit(10)
	mine := w.claim(leases[0])
	theirs, err := s.Claim(ctx, leases[1].Token, "other")
	w.ok(err)
	alive, err := s.Beat(ctx, "worker", []int64{mine.Token, theirs.Token, leases[2].Token, 4711})
	w.ok(err)
	if !slices.Equal(alive, []int64{mine.Token}) {
		t.Errorf("alive: %v, want %d alone", alive, mine.Token)
	}
	for _, l := range w.live() {
		want := map[int64]int64{mine.Token: mine.Beat + 1, theirs.Token: theirs.Beat, leases[2].Token: leases[2].Beat}[l.Token]
		equal(t, "beat", l.Beat, want)
	}
	if alive, err := s.Beat(ctx, "worker", nil); len(alive) != 0 || err != nil {
		t.Errorf("beat of nothing: %v, %v", alive, err)
	}
}

// testStale: every write of a pass is refused once its lease is not its own, whether
// the mailbox is free, queued for another pass, or written by it.
func testStale(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"))
	l := w.one()
	u := w.user(b, "ann@example.org")
	window := migration.Window{
		Folder: "INBOX", Head: []byte("head"), Append: []byte("data"), Tally: migration.Tally{Copied: 9},
		Items: []migration.Item{{Folder: "INBOX", UID: 1}},
	}
	check := func(state string) {
		t.Helper()
		before := w.user(b, "ann@example.org")
		lost(t, "commit while "+state, s.Commit(ctx, l.Token, window))
		lost(t, "finish while "+state, s.Finish(ctx, l.Token, u.UserState, migration.Totals{Copied: 9}, migration.Tally{}, nil,
			[]migration.Event{{Kind: "x"}}))
		lost(t, "release while "+state, s.Release(ctx, l.Token, true, u.UserState))
		lost(t, "release of a task while "+state, s.Release(ctx, l.Token, false, u.UserState))
		_, err := s.Records(ctx, l.Token)
		lost(t, "records while "+state, err)
		_, err = s.Progressed(ctx, l.Token)
		lost(t, "progressed while "+state, err)
		_, err = s.Claim(ctx, l.Token, "worker")
		lost(t, "claim while "+state, err)
		if alive, err := s.Beat(ctx, "worker", []int64{l.Token}); len(alive) != 0 || err != nil {
			t.Errorf("beat while %s: %v, %v", state, alive, err)
		}
		if after := w.user(b, "ann@example.org"); !reflect.DeepEqual(before, after) {
			t.Errorf("a stale write while %s changed the user:\n%+v, was\n%+v", state, after, before)
		}
	}
	next := u.UserState
	next.NextRunAt = noon
	w.ok(s.Release(ctx, l.Token, true, next))
	check("free")
	second := w.admit(10)[0]
	if second.Token <= l.Token {
		t.Errorf("token %d after %d", second.Token, l.Token)
	}
	check("queued for another")
	lost(t, "commit before claim", s.Commit(ctx, second.Token, window))
	lost(t, "finish before claim", s.Finish(ctx, second.Token, u.UserState, u.Totals, u.Last, nil, nil))
	w.claim(second)
	check("held by another")
	for _, table := range []string{"records", "journal", "items", "events", "usage"} {
		equal(t, table, w.count(table), 0)
	}
}

func testTakeover(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"))
	queued := w.admit(10)[0]
	equal(t, "unsettled at first", queued.Unsettled, false)
	lost(t, "release as dead while queued", s.Release(ctx, queued.Token, true, migration.UserState{}))

	// The task was lost: nothing was under way.
	next := w.user(b, "ann@example.org").UserState
	next.NextRunAt, next.Yielded = noon, true
	w.ok(s.Release(ctx, queued.Token, false, next))
	l := w.one()
	equal(t, "unsettled after a lost task", l.Unsettled, false)
	lost(t, "release as lost while running", s.Release(ctx, l.Token, false, next))

	// The worker dies after a window: its count is kept, the next pass is told.
	w.ok(s.Commit(ctx, l.Token, migration.Window{Folder: "INBOX", Append: []byte("x"), Tally: migration.Tally{Seen: 5, Copied: 3, Bytes: 30}}))
	progress, err := s.Progressed(ctx, l.Token)
	if !progress || err != nil {
		t.Errorf("progressed: %v, %v", progress, err)
	}
	if u := w.user(b, "ann@example.org"); !u.Running || u.Messages().Copied != 3 {
		t.Errorf("while it runs: %+v", u.Messages())
	}
	w.ok(s.Release(ctx, l.Token, true, next))
	u := w.user(b, "ann@example.org")
	if u.Totals.Copied != 3 || u.Totals.Bytes != 30 || u.Running || u.Messages().Copied != 3 {
		t.Errorf("after the death: %+v, %+v", u.Totals, u.Messages())
	}
	l = w.one()
	equal(t, "unsettled after a death", l.Unsettled, true)
	if progress, _ := s.Progressed(ctx, l.Token); progress {
		t.Error("a new lease has progressed already")
	}
}

// testUnsettled: how a pass ends decides whether the next one has to wait for what
// may still be under way, across batches.
func testUnsettled(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"))
	end := func(before migration.Lease, change func(*migration.UserState)) migration.Lease {
		t.Helper()
		next := migration.UserState{Status: migration.UserSynced, NextRunAt: noon}
		change(&next)
		if next.Status == migration.UserStopped {
			_, err := s.ChangeUser(ctx, before.UserID, func(u *migration.User) error { u.Stopping = true; return nil })
			w.ok(err)
		}
		w.ok(s.Finish(ctx, before.Token, next, migration.Totals{}, migration.Tally{}, nil, nil))
		return w.one()
	}
	code := func(c migration.Code) func(*migration.UserState) {
		return func(st *migration.UserState) { st.Code, st.Status = c, migration.UserWaiting }
	}
	inStep := func(*migration.UserState) {}
	slice := func(st *migration.UserState) { st.Yielded = true }
	rest := func(st *migration.UserState) { slice(st); code(migration.BudgetExhausted)(st) }
	stop := func(st *migration.UserState) { st.Status = migration.UserStopped }
	l := w.one()
	for i, step := range []struct {
		how  func(*migration.UserState)
		want bool
	}{
		{inStep, false},
		{slice, false},
		{rest, false},
		{code(migration.AuthFailed), false},
		{code(migration.ConnectionFailed), true},
		{slice, true},
		{code(migration.AuthFailed), true},
		{inStep, false},
		{stop, true},
		{inStep, false},
		{code(migration.Throttled), true},
	} {
		l = end(l, step.how)
		if l.Unsettled != step.want {
			t.Errorf("step %d: unsettled is %v, want %v", i, l.Unsettled, step.want)
		}
	}
	w.ok(s.Release(ctx, l.Token, true, migration.UserState{Status: migration.UserQueued}))
	_, err := s.RemoveUsers(ctx, b.ID)
	w.ok(err)
	w.batch("second", due("ANN@example.org"))
	equal(t, "unsettled in another batch", w.one().Unsettled, true)
}

// testAskedMeanwhile: what an operator asks between a pass's last look at its user
// and its end is not lost.
func testAskedMeanwhile(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	s.now = func() time.Time { return noon }
	fault := migration.NewFault(migration.QuotaExceeded, migration.ScopeUser, migration.Target, "full", nil)
	for _, tt := range []struct {
		name   string
		before func(*migration.User) // how the pass sees its user
		fault  *migration.Fault
		ask    func(b int64) error
		status migration.UserStatus
		due    bool
		check  func(migration.UserState) bool
	}{
		{
			"stop", nil, nil, func(b int64) error { _, err := s.StopUsers(ctx, b); return err }, migration.UserStopped, false,
			func(st migration.UserState) bool { return !st.Stopping },
		},
		{
			"stop of one that fails", nil, fault, func(b int64) error { _, err := s.StopUsers(ctx, b); return err }, migration.UserFailed, false,
			func(st migration.UserState) bool { return !st.Stopping && st.Code == migration.QuotaExceeded },
		},
		{
			"start after stop", func(u *migration.User) { u.Stopping = true }, nil,
			func(b int64) error { _, err := s.StartUsers(ctx, b, noon); return err }, migration.UserQueued, true,
			func(st migration.UserState) bool { return !st.Stopping },
		},
		{
			"complete", nil, nil, func(b int64) error { _, err := s.CompleteUsers(ctx, b, noon); return err }, migration.UserCompleting, true,
			func(st migration.UserState) bool { return st.Kind() == migration.LastSync },
		},
		{
			"complete of one that fails", nil, fault, func(b int64) error { _, err := s.CompleteUsers(ctx, b, noon); return err }, migration.UserFailed, false,
			func(st migration.UserState) bool { return st.Completing },
		},
		{
			"verify", synced, nil, func(b int64) error { _, err := s.VerifyUsers(ctx, b, noon); return err }, migration.UserSynced, true,
			func(st migration.UserState) bool { return st.Kind() == migration.Verify },
		},
		{
			"remove", nil, nil, func(b int64) error { _, err := s.RemoveUsers(ctx, b); return err }, migration.UserRemoving, false,
			func(st migration.UserState) bool { return st.Removing },
		},
	} {
		b := w.batch(strings.ReplaceAll(tt.name, " ", "-"), due("ann@"+tt.name))
		if tt.before != nil {
			_, err := s.ChangeUser(ctx, w.user(b, "ann@"+tt.name).ID, func(u *migration.User) error {
				tt.before(u)
				u.NextRunAt = noon
				return nil
			})
			w.ok(err)
		}
		l := w.one()
		u := w.user(b, "ann@"+tt.name)
		next := migration.Advance(u.ID, u.UserState, migration.Result{Kind: l.Kind, Fault: tt.fault}, migration.Schedule{Interval: 24 * time.Hour}, noon)
		w.ok(tt.ask(b.ID))
		w.ok(s.Finish(ctx, l.Token, next, u.Totals, u.Last, nil, nil))
		got := w.user(b, "ann@"+tt.name)
		if got.Status != tt.status || got.NextRunAt.Equal(noon) != tt.due || !tt.check(got.UserState) {
			t.Errorf("%s: %+v", tt.name, got.UserState)
		}
		_, err := s.RemoveUsers(ctx, b.ID)
		w.ok(err)
		_, err = s.PurgeRemoved(ctx)
		w.ok(err)
	}
}

func testFinish(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"))
	item := func(uid uint32, code migration.Code) migration.Item {
		return migration.Item{Folder: "INBOX", UID: uid, MessageID: "<a>", Date: noon, Size: 9, Code: code, Reason: "r"}
	}
	items := func() []migration.Item {
		t.Helper()
		var out []migration.Item
		list, err := s.ListItems(ctx, b.ID, "", 0, 10)
		w.ok(err)
		for _, it := range list {
			equal(t, "address", it.EmailAddress, "ann@example.org")
			out = append(out, it.Item)
		}
		return out
	}
	l := w.one()
	w.ok(s.Commit(ctx, l.Token, migration.Window{
		Folder: "INBOX", Tally: migration.Tally{Seen: 2, Copied: 1},
		Items: []migration.Item{item(1, migration.MessageTooLarge), item(2, migration.MessageUnreadable)},
	}))
	w.ok(s.Commit(ctx, l.Token, migration.Window{Tally: migration.Tally{Seen: 2, Copied: 1}, Items: []migration.Item{item(2, migration.MessageRejected)}}))
	if got := items(); !reflect.DeepEqual(got, []migration.Item{item(1, migration.MessageTooLarge), item(2, migration.MessageRejected)}) {
		t.Errorf("items of the running pass: %+v", got)
	}
	if list, err := s.ListItems(ctx, b.ID, migration.MessageRejected, 0, 10); len(list) != 1 || err != nil {
		t.Errorf("items of one code: %v, %v", list, err)
	}
	next := migration.UserState{Status: migration.UserSynced, FirstSyncedAt: noon, LastSyncedAt: noon, NextRunAt: noon}
	totals, last := migration.Totals{Copied: 1, Bytes: 7}, migration.Tally{Seen: 2, Copied: 1, Skipped: 1}
	w.ok(s.Finish(ctx, l.Token, next, totals, last, []migration.Item{item(3, migration.MessageTooLarge)}, []migration.Event{{Kind: "user.synced", At: noon}}))
	u := w.user(b, "ann@example.org")
	if u.UserState != next || u.Totals != totals || u.Last != last || u.Running {
		t.Errorf("user: %+v", u)
	}
	if got := items(); !reflect.DeepEqual(got, []migration.Item{item(3, migration.MessageTooLarge)}) {
		t.Errorf("items after the pass: %+v", got)
	}
	events, err := s.EventsAfter(ctx, w.org.ID, b.ID, 0, 10)
	if err != nil || len(events) != 1 || events[0].UserID != u.ID || events[0].Kind != "user.synced" {
		t.Errorf("events: %+v, %v", events, err)
	}
	if leases := w.live(); len(leases) != 0 {
		t.Errorf("leases: %+v", leases)
	}
	if _, found, err := s.LeaseOfUser(ctx, u.ID); found || err != nil {
		t.Errorf("lease of the user: %v, %v", found, err)
	}

	// A pass that ends early keeps the list, one in step replaces it.
	l = w.one()
	next.Code, next.Status = migration.AuthFailed, migration.UserNeedsCredentials
	w.ok(s.Finish(ctx, l.Token, next, totals, last, nil, nil))
	equal(t, "items after a pass that ended early", len(items()), 1)
	l = w.one()
	next.Code, next.Status = "", migration.UserSynced
	w.ok(s.Finish(ctx, l.Token, next, totals, last, nil, nil))
	equal(t, "items after a pass in step", len(items()), 0)
}

func testRecords(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	w.batch("pilot", due("ann@example.org"), due("bob@example.org"))
	leases := w.admit(10)
	l, other := w.claim(leases[0]), w.claim(leases[1])
	commit := func(win migration.Window) {
		t.Helper()
		w.ok(s.Commit(ctx, l.Token, win))
	}
	b := func(s string) []byte { return []byte(s) }
	commit(migration.Window{Folder: "INBOX", Head: b("h1"), Append: b("j1")})
	commit(migration.Window{Folder: "INBOX", Append: b("j2")})
	commit(migration.Window{Folder: "INBOX", Head: b("h2"), Append: b("j3")})
	commit(migration.Window{Folder: "Sent", Head: b("s1"), Append: b("old")})
	commit(migration.Window{Folder: "Sent", Append: b("new"), Replace: true})
	commit(migration.Window{Folder: "Sent", Append: b("more")})
	commit(migration.Window{Folder: "Trash", Head: b("t"), Append: b("t")})
	commit(migration.Window{Folder: "Trash", Drop: true})
	commit(migration.Window{Folder: "Empty", Append: b("x")})
	commit(migration.Window{Folder: "Empty", Replace: true})
	commit(migration.Window{Tally: migration.Tally{Seen: 1}})
	commit(migration.Window{
		Folder: "Entw\xfcrfe\x00", Head: b("latin-1"), Append: b("x"),
		Items: []migration.Item{{Folder: "Entw\xfcrfe\x00", UID: 1, MessageID: "<\xff\x00>", Reason: "\xff"}},
	})
	commit(migration.Window{Folder: "Entw\xfcrfe\x00", Append: b("y")})
	w.ok(s.Commit(ctx, other.Token, migration.Window{Folder: "INBOX", Head: b("bob"), Append: b("bob")}))
	got, err := s.Records(ctx, l.Token)
	w.ok(err)
	want := []migration.FolderRecord{
		{Folder: "Empty"},
		{Folder: "Entw\xfcrfe\x00", Head: b("latin-1"), Journal: [][]byte{b("x"), b("y")}},
		{Folder: "INBOX", Head: b("h2"), Journal: [][]byte{b("j1"), b("j2"), b("j3")}},
		{Folder: "Sent", Head: b("s1"), Journal: [][]byte{b("new"), b("more")}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("records are %+q, want %+q", got, want)
	}
}

func testProgress(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	for i, tt := range []struct {
		win  migration.Window
		want bool
	}{
		{migration.Window{Tally: migration.Tally{Seen: 3, Unchanged: 3, FoldersDone: 2}}, false},
		{migration.Window{Folder: "INBOX", Head: []byte("h")}, false},
		{migration.Window{Folder: "INBOX", Append: []byte("whole"), Replace: true}, false},
		{migration.Window{Folder: "INBOX", Append: []byte("more")}, true},
		{migration.Window{Folder: "INBOX", Replace: true, Append: []byte("whole"), Tally: migration.Tally{Copied: 1}}, true},
		{migration.Window{Tally: migration.Tally{Adopted: 1}}, true},
	} {
		b := w.batch("b", due("ann@example.org"))
		l := w.one()
		w.ok(s.Commit(ctx, l.Token, tt.win))
		got, err := s.Progressed(ctx, l.Token)
		if got != tt.want || err != nil {
			t.Errorf("window %d: progressed is %v, %v; want %v", i, got, err, tt.want)
		}
		w.inStep(l)
		b.Removing = true
		w.ok(s.UpdateBatch(ctx, b))
		_, err = s.RemoveUsers(ctx, b.ID)
		w.ok(err)
		_, err = s.PurgeRemoved(ctx)
		w.ok(err)
	}
}

func testUsage(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	s.now = func() time.Time { return noon }
	w := newWorld(t, s, "acme")
	check := func(mailboxes, bytes int64) {
		t.Helper()
		got := usage(t, s, w.org.ID)
		equal(t, "mailboxes", got.Mailboxes, mailboxes)
		equal(t, "bytes", got.Bytes, bytes)
	}
	check(0, 0)
	b := w.batch("pilot", due("ann@example.org"))
	l := w.one()
	for _, n := range []int64{10, 25} {
		w.ok(s.Commit(ctx, l.Token, migration.Window{Tally: migration.Tally{Bytes: n}}))
		check(0, n)
	}
	s.now = func() time.Time { return noon.Add(24 * time.Hour) }
	next := migration.UserState{Status: migration.UserSynced, FirstSyncedAt: noon, NextRunAt: noon}
	w.ok(s.Finish(ctx, l.Token, next, migration.Totals{Bytes: 30}, migration.Tally{Bytes: 30}, nil, nil))
	check(1, 30)
	l = w.one() // a pass that copies nothing leaves it at that
	w.ok(s.Commit(ctx, l.Token, migration.Window{Tally: migration.Tally{Seen: 3}}))
	w.ok(s.Finish(ctx, l.Token, next, migration.Totals{Bytes: 30}, migration.Tally{Seen: 3}, nil, nil))
	check(1, 30)

	// Removed and moved once more: the same mailbox.
	_, err := s.RemoveUsers(ctx, b.ID)
	w.ok(err)
	w.batch("again", due("ann@example.org"))
	w.ok(s.Finish(ctx, w.one().Token, next, migration.Totals{Bytes: 5}, migration.Tally{Bytes: 5}, nil, nil))
	check(1, 35)
	o := newWorld(t, s, "other")
	if got := usage(t, s, o.org.ID); got != (migration.Usage{}) {
		t.Errorf("usage of another organisation: %+v", got)
	}
	days, err := s.Usage(ctx, w.org.ID)
	w.ok(err)
	if len(days) != 2 || days[0].Day >= days[1].Day {
		t.Errorf("days %+v, want two in their order", days)
	}
}

func usage(t *testing.T, s *Store, org int64) (sum migration.Usage) {
	t.Helper()
	days, err := s.Usage(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range days {
		sum = sum.Add(d.Usage)
	}
	return sum
}
