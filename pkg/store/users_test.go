package store

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func testListUsers(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	failed := func(u *migration.User) { u.Status, u.Code = migration.UserFailed, migration.QuotaExceeded }
	b := w.batch("pilot", due("Bob@example.org"), due("ann@example.org", failed), due("cid@example.org", failed))
	for _, tt := range []struct {
		f     migration.UserFilter
		after string
		limit int
		want  []string
	}{
		{migration.UserFilter{}, "", 10, []string{"ann@example.org", "Bob@example.org", "cid@example.org"}},
		{migration.UserFilter{}, "", 2, []string{"ann@example.org", "Bob@example.org"}},
		{migration.UserFilter{}, "Bob@example.org", 2, []string{"cid@example.org"}},
		{migration.UserFilter{Status: migration.UserFailed}, "ann@example.org", 2, []string{"cid@example.org"}},
		{migration.UserFilter{Code: migration.QuotaExceeded}, "", 1, []string{"ann@example.org"}},
		{migration.UserFilter{Code: migration.AuthFailed}, "", 1, nil},
	} {
		users, err := s.ListUsers(ctx, b.ID, tt.f, tt.after, tt.limit)
		w.ok(err)
		var got []string
		for _, u := range users {
			got = append(got, u.EmailAddress)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v after %q: %v, want %v", tt.f, tt.after, got, tt.want)
		}
	}
}

func testChangeUser(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b, other := w.batch("pilot", due("ann@example.org", func(u *migration.User) { u.NextRunAt = time.Time{} })), w.batch("two", due("bob@example.org"))
	ann := w.user(b, "ann@example.org")
	w.ok(s.PutReceipt(ctx, ann.ID, migration.Receipt{Messages: 3}))

	got, err := s.ChangeUser(ctx, ann.ID, func(u *migration.User) error {
		u.Status, u.NextRunAt, u.SourceSecret, u.UserName = migration.UserQueued, noon, []byte("new"), "other"
		return nil
	})
	w.ok(err)
	if stored := w.user(b, "ann@example.org"); string(stored.SourceSecret) != "new" || stored.UserName != "other" || stored.UserState != got.UserState {
		t.Errorf("stored is %+v, answered %+v", stored, got)
	}
	no := errors.New("no")
	if _, err := s.ChangeUser(ctx, ann.ID, func(u *migration.User) error { u.UserName = "x"; return no }); !errors.Is(err, no) {
		t.Errorf("error is %v", err)
	}
	_, err = s.ChangeUser(ctx, 4711, func(*migration.User) error { return nil })
	w.refused(err, migration.NotFound)

	// To another batch: what belongs to the user goes with it.
	_, err = s.ChangeUser(ctx, ann.ID, func(u *migration.User) error { u.BatchID = other.ID; return nil })
	w.ok(err)
	if u := w.user(other, "ann@example.org"); u.UserName != "other" {
		t.Errorf("moved user: %+v", u)
	}
	if receipts, _ := s.ListReceipts(ctx, other.ID, "", 10); len(receipts) != 1 {
		t.Errorf("receipts of the other batch: %v", receipts)
	}
	_, err = s.ChangeUser(ctx, ann.ID, func(u *migration.User) error { u.EmailAddress = "BOB@example.org"; return nil })
	w.refused(err, migration.Conflict)
	foreign := newWorld(t, s, "other")
	theirs := foreign.batch("theirs")
	_, err = s.ChangeUser(ctx, ann.ID, func(u *migration.User) error { u.BatchID = theirs.ID; return nil })
	w.refused(err, migration.NotFound)
	if leases := w.admit(10); len(leases) != 2 {
		t.Errorf("admitted %d, want both users of the batch", len(leases))
	}
}

// testVerbs: what each verb does to a user of each kind.
func testVerbs(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	at := noon.Add(time.Minute)
	status := func(st migration.UserStatus, change ...func(*migration.User)) func(*migration.User) {
		return func(u *migration.User) {
			u.NextRunAt = time.Time{}
			for _, c := range change {
				c(u)
			}
			u.Status = st
		}
	}
	kinds := map[string]func(*migration.User){
		"created":   status(migration.UserCreated),
		"queued":    status(migration.UserQueued, func(u *migration.User) { u.NextRunAt = noon.Add(time.Hour) }),
		"synced":    status(migration.UserSynced, synced),
		"waiting":   status(migration.UserWaiting, synced, func(u *migration.User) { u.NextRunAt = noon.Add(time.Hour) }),
		"asks":      status(migration.UserNeedsCredentials),
		"failed":    status(migration.UserFailed, func(u *migration.User) { u.Attempts, u.FailingSince, u.Code = 3, noon, migration.Internal }),
		"stopped":   status(migration.UserStopped, synced),
		"completed": status(migration.UserCompleted, synced, func(u *migration.User) { u.Completing = true }),
		"admitted":  func(u *migration.User) { synced(u); u.NextRunAt = noon },
		"running":   func(u *migration.User) { synced(u); u.NextRunAt = noon },
	}
	type outcome struct {
		status migration.UserStatus
		due    bool // at the time of the verb
		flag   bool // the verb's flag is set
	}
	for _, verb := range []struct {
		name string
		do   func(batchID int64) (int, error)
		flag func(migration.UserState) bool
		n    int
		want map[string]outcome // of those that change
	}{
		{
			"start", func(id int64) (int, error) { return s.StartUsers(ctx, id, at) },
			func(st migration.UserState) bool {
				return st.Attempts != 0 || !st.FailingSince.IsZero() || st.Code != ""
			}, 3,
			map[string]outcome{
				"created": {"Queued", true, false}, "failed": {"Queued", true, false}, "stopped": {"Queued", true, false},
			},
		},
		{
			"stop", func(id int64) (int, error) { return s.StopUsers(ctx, id) },
			func(st migration.UserState) bool { return st.Stopping }, 5,
			map[string]outcome{
				"queued": {"Stopped", false, false}, "synced": {"Stopped", false, false}, "waiting": {"Stopped", false, false},
				"admitted": {"Stopped", false, false}, "running": {"IncrementalSyncing", false, true},
			},
		},
		{
			"sync", func(id int64) (int, error) { return s.SyncUsersNow(ctx, id, at) },
			func(migration.UserState) bool { return false }, 3,
			map[string]outcome{
				"synced": {"Queued", true, false}, "waiting": {"Queued", true, false}, "running": {"IncrementalSyncing", true, false},
			},
		},
		{
			"complete", func(id int64) (int, error) { return s.CompleteUsers(ctx, id, at) },
			func(st migration.UserState) bool { return st.Completing }, 7,
			map[string]outcome{
				"created": {"Completing", true, true}, "queued": {"Completing", true, true}, "synced": {"Completing", true, true},
				"waiting": {"Completing", true, true}, "stopped": {"Completing", true, true},
				"admitted": {"Queued", false, true}, "running": {"IncrementalSyncing", false, true},
			},
		},
		{
			"verify", func(id int64) (int, error) { return s.VerifyUsers(ctx, id, at) },
			func(st migration.UserState) bool { return st.VerifyDue }, 4,
			map[string]outcome{
				"synced": {"Synced", true, true}, "waiting": {"Waiting", false, true},
				"admitted": {"Queued", false, true}, "running": {"IncrementalSyncing", false, true},
			},
		},
	} {
		b := w.plan(verb.name, w.source, w.target)
		var users []migration.User
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			users = append(users, due(kind+"@"+verb.name, kinds[kind]))
		}
		_, err := s.CreateBatch(ctx, b, seq(users...))
		w.ok(err)
		for _, l := range w.admit(10) {
			if u, _ := s.UserByID(ctx, l.UserID); u.EmailAddress == "running@"+verb.name {
				w.claim(l)
			}
		}
		before := map[string]migration.User{}
		for kind := range kinds {
			before[kind] = w.user(b, kind+"@"+verb.name)
		}
		n, err := verb.do(b.ID)
		w.ok(err)
		equal(t, verb.name+": users", n, verb.n)
		for kind, old := range before {
			u := w.user(b, kind+"@"+verb.name)
			want, changes := verb.want[kind]
			if !changes {
				if u.UserState != old.UserState {
					t.Errorf("%s changed a user that is %s:\n%+v, was\n%+v", verb.name, kind, u.UserState, old.UserState)
				}
				continue
			}
			if got := (outcome{u.Status, u.NextRunAt.Equal(at), verb.flag(u.UserState)}); got != want {
				t.Errorf("%s of a user that is %s: got %+v, want %+v", verb.name, kind, got, want)
			}
		}
		_, err = s.RemoveUsers(ctx, b.ID)
		w.ok(err)
		for _, l := range w.live() { // the running one
			w.inStep(l)
		}
	}
}

func (w *world) live() []migration.Lease {
	w.Helper()
	leases, err := w.s.LiveLeases(w.Context())
	w.ok(err)
	return leases
}

func testReset(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"))
	l := w.one()
	w.ok(s.Commit(ctx, l.Token, migration.Window{
		Folder: "INBOX", Head: []byte("h"), Append: []byte("j"), Tally: migration.Tally{Copied: 1, Bytes: 5},
		Items: []migration.Item{{Folder: "INBOX", UID: 1, Code: migration.MessageTooLarge}},
	}))
	w.refused(s.ResetUser(ctx, l.UserID), migration.Conflict)
	w.inStep(l)
	w.ok(s.PutReceipt(ctx, l.UserID, migration.Receipt{}))
	w.ok(s.ResetUser(ctx, l.UserID))
	u := w.user(b, "ann@example.org")
	if u.Totals != (migration.Totals{}) || u.Last != (migration.Tally{}) || u.Running {
		t.Errorf("counts after reset: %+v %+v %v", u.Totals, u.Last, u.Running)
	}
	for _, table := range []string{"records", "journal", "items", "receipts"} {
		equal(t, table, w.count(table), 0)
	}
	w.refused(s.ResetUser(ctx, 4711), migration.NotFound)
}

func (w *world) count(table string) int {
	w.Helper()
	var n int
	w.ok(w.s.r.QueryRowContext(w.Context(), `SELECT COUNT(*) FROM `+table).Scan(&n))
	return n
}

func testReceipts(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"), due("bob@example.org"))
	for _, name := range []string{"ann", "bob"} {
		u := w.user(b, name+"@example.org")
		for n := range int64(2) { // the second replaces the first
			w.ok(s.PutReceipt(ctx, u.ID, migration.Receipt{
				At: noon, Messages: n, Digest: name, Differences: []migration.Difference{{Kind: "missing", Folder: "INBOX", SourceUID: 7}},
			}))
		}
	}
	w.refused(s.PutReceipt(ctx, 4711, migration.Receipt{}), migration.NotFound)
	got, err := s.ListReceipts(ctx, b.ID, "ann@example.org", 10)
	w.ok(err)
	if len(got) != 1 || got[0].EmailAddress != "bob@example.org" || got[0].Messages != 1 || got[0].Digest != "bob" ||
		len(got[0].Differences) != 1 || got[0].Differences[0].SourceUID != 7 || !got[0].At.Equal(noon) {
		t.Errorf("receipts after ann: %+v", got)
	}
	for _, body := range []string{"one", "two"} {
		w.ok(s.KeepReport(ctx, w.org.ID, "pilot", []byte(body), noon))
	}
	if body, err := s.KeptReport(ctx, w.org.ID, "pilot"); string(body) != "two" || err != nil {
		t.Errorf("report is %q, %v", body, err)
	}
	_, err = s.KeptReport(ctx, w.org.ID, "other")
	w.refused(err, migration.NotFound)
}
