package store

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func testBatchRoundTrip(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := &migration.Batch{
		OrgID: w.org.ID, Name: "full", CreatedBy: "t1", StartedAt: noon, Stopped: true, Completing: true, Removing: true,
		BatchSpec: migration.BatchSpec{
			Type: "imap", SourceEndpoint: "source", TargetEndpoint: "target", AutoStart: true, StartAt: noon.Add(1), CompleteAt: noon.Add(time.Hour),
			ExcludeFolders: []string{"#Junk#", "Ärger"}, IncludeFolders: []string{"INBOX"}, MapFolders: []migration.FolderRule{{From: "Alt/*", To: "Ärger/*"}, {From: `a"=b`, To: "#Sent#"}},
			MailSince: time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC), MailBefore: time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC), MaxMessageSize: 25 << 20, BadItemLimit: new(int64),
			Deletions: "mirror", ResyncInterval: 15 * time.Second, NewestFirst: true,
			Notify: []string{"ops@example.org"},
		},
	}
	b.StartAt = noon.Add(time.Minute)
	if _, err := s.CreateBatch(ctx, b, seq()); err != nil { // endpoints by name
		t.Fatal(err)
	}
	if b.SourceEndpointID != w.source.ID || b.TargetEndpointID != w.target.ID {
		t.Errorf("endpoints %d, %d", b.SourceEndpointID, b.TargetEndpointID)
	}
	got, err := s.BatchByName(ctx, w.org.ID, "full")
	w.ok(err)
	if !reflect.DeepEqual(&got, b) {
		t.Errorf("batch is\n%+v, want\n%+v", &got, b)
	}
	b.Stopped, b.Completing, b.Removing, b.Notify, b.CompleteAt = false, false, false, nil, time.Time{}
	w.ok(s.UpdateBatch(ctx, b))
	if got, _ = s.BatchByID(ctx, b.ID); !reflect.DeepEqual(&got, b) {
		t.Errorf("changed batch is\n%+v, want\n%+v", &got, b)
	}
	w.batch("alpha")
	w.batch("zeta")
	page, err := s.ListBatches(ctx, w.org.ID, "alpha", 1)
	w.ok(err)
	if len(page) != 1 || page[0].Name != "full" {
		t.Errorf("batches after alpha: %+v", page)
	}
}

func testCreateBatch(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	full := migration.User{
		EmailAddress: "Ann@Example.org", UserName: "ann", TargetUserName: "ann2", UserRoot: "/users/ann", TargetRoot: "#shared.ann",
		SourceSecret: []byte{0, 1}, TargetSecret: []byte{2},
		UserState: migration.UserState{
			Status: migration.UserWaiting, Code: migration.Throttled, Reason: "slow down", NextRunAt: noon, Yielded: true, Attempts: 3,
			FailingSince: noon.Add(-time.Hour), Takeovers: 1, Stopping: true, Completing: true, Removing: true, VerifyDue: true, DeletionsAsked: 21, DeletionsConfirmed: 22,
			FirstSyncedAt: noon.Add(-time.Minute), LastSyncedAt: noon.Add(-time.Second), LoggedInAt: noon.Add(-time.Hour),
		},
		Totals: migration.Totals{Copied: 1, Adopted: 2, Redelivered: 3, Surplus: 4, MovedAtSource: 5, FlagsUpdated: 6, Deleted: 8, KeptAtTarget: 9, Bytes: 7},
		Last: migration.Tally{
			Folders: 1, FoldersDone: 2, Seen: 3, Unchanged: 4, Copied: 5, Adopted: 6, Skipped: 7, Failed: 8, Redelivered: 9, Surplus: 10,
			MovedAtSource: 11, FlagsUpdated: 12, Deleted: 15, KeptAtTarget: 16, Bytes: 13, BytesTotal: 14,
		},
		Running: true,
	}
	b := w.plan("full", w.source, w.target)
	n, err := s.CreateBatch(ctx, b, seq(full))
	w.ok(err)
	equal(t, "users", n, 1)
	got := w.user(b, "ann@example.ORG")
	full.ID, full.OrgID, full.BatchID = got.ID, w.org.ID, b.ID
	if !reflect.DeepEqual(got, full) {
		t.Errorf("user is\n%+v, want\n%+v", got, full)
	}

	broken := errors.New("the upload broke off")
	_, err = s.CreateBatch(ctx, w.plan("broken", w.source, w.target), func(yield func(migration.User, error) bool) {
		_ = yield(due("x@example.org"), nil) && yield(migration.User{}, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("error is %v, want the sequence's", err)
	}
	_, err = s.CreateBatch(ctx, w.plan("twice", w.source, w.target), seq(due("x@example.org"), due("X@example.org")))
	w.refused(err, migration.Conflict)
	for _, name := range []string{"broken", "twice"} {
		_, err := s.BatchByName(ctx, w.org.ID, name)
		w.refused(err, migration.NotFound)
	}
}

func testScheduledBatches(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	for name, change := range map[string]func(*migration.Batch){
		"start":     func(b *migration.Batch) { b.StartedAt, b.StartAt = time.Time{}, noon },
		"later":     func(b *migration.Batch) { b.StartedAt, b.StartAt = time.Time{}, noon.Add(1e3) },
		"started":   func(b *migration.Batch) { b.StartAt = noon },
		"complete":  func(b *migration.Batch) { b.CompleteAt = noon },
		"completed": func(b *migration.Batch) { b.CompleteAt, b.Completing = noon, true },
		"removed":   func(b *migration.Batch) { b.CompleteAt, b.Removing = noon, true },
	} {
		b := w.plan(name, w.source, w.target)
		change(b)
		_, err := s.CreateBatch(ctx, b, seq())
		w.ok(err)
	}
	batches, err := s.ScheduledBatches(ctx, noon)
	w.ok(err)
	got := map[string]bool{}
	for _, b := range batches {
		got[b.Name] = true
	}
	if want := map[string]bool{"start": true, "complete": true}; !maps.Equal(got, want) {
		t.Errorf("scheduled: %v, want %v", got, want)
	}
}

func testDuplicates(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	a, o := newWorld(t, s, "acme"), newWorld(t, s, "other")
	first := a.batch("first", due("ann@example.org"), due("shared", func(u *migration.User) { u.TargetUserName = "bob@example.org" }))

	_, err := s.CreateBatch(ctx, a.plan("second", a.source, a.target), seq(due("new@example.org"), due("ANN@example.org")))
	if reason := a.refused(err, migration.DuplicateInOtherBatch); !strings.Contains(reason, "first") || !strings.Contains(reason, "ANN@example.org") {
		t.Errorf("reason: %s", reason)
	}
	_, err = s.CreateBatch(ctx, a.plan("second", a.source, a.target), seq(due("bob@example.org"))) // the same login
	a.refused(err, migration.DuplicateInOtherBatch)
	_, err = s.CreateBatch(ctx, o.plan("theirs", o.source, o.target), seq(due("ann@example.org")))
	if reason := a.refused(err, migration.AlreadyBeingMoved); strings.Contains(reason, "first") || strings.Contains(reason, "acme") {
		t.Errorf("reason tells of another organisation: %s", reason)
	}

	for _, tt := range []struct {
		w    *world
		want map[string]string
	}{{a, map[string]string{"Ann@Example.org": "first", "cid@example.org": "first"}}, {o, map[string]string{"Ann@Example.org": "", "cid@example.org": ""}}} {
		live, err := s.LiveMailboxes(ctx, tt.w.plan("new", tt.w.source, tt.w.target), []migration.User{
			{EmailAddress: "Ann@Example.org"}, {EmailAddress: "free@example.org"}, {EmailAddress: "cid@example.org", TargetUserName: "Bob@example.org"},
		})
		a.ok(err)
		if !maps.Equal(live, tt.want) {
			t.Errorf("live for %s: %v, want %v", tt.w.org.Name, live, tt.want)
		}
	}
	if live, _ := s.LiveMailboxes(ctx, first, []migration.User{{EmailAddress: "ann@example.org"}}); len(live) != 0 {
		t.Errorf("a batch is in its own way: %v", live)
	}
	a.batchBetween("elsewhere", a.source, a.endpoint("third", 1, 1), due("ann@example.org"))

	ann := a.user(first, "ann@example.org")
	_, err = s.ChangeUser(ctx, ann.ID, func(u *migration.User) error { u.Status = migration.UserCompleted; return nil })
	a.ok(err)
	second := a.batch("second", due("ann@example.org")) // completed: not live any more
	_, err = s.RemoveUsers(ctx, second.ID)
	a.ok(err)
	_, err = s.RemoveUsers(ctx, first.ID)
	a.ok(err)
	o.batch("theirs", due("ann@example.org"), due("bob@example.org"))
}

func testAddUsers(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	ask := func(u *migration.User) {
		u.Status, u.Code, u.NextRunAt = migration.UserNeedsCredentials, migration.AuthFailed, time.Time{}
	}
	b := w.batch("pilot", due("ann@example.org", ask), due("bob@example.org"), due("cid@example.org", ask),
		due("hal@example.org", func(u *migration.User) { // rejected, and has one more try
			u.Status, u.Code, u.NextRunAt, u.LoggedInAt = migration.UserWaiting, migration.AuthFailed, noon.Add(10*time.Minute), noon
		}))
	plain := func(email string) migration.User {
		u := due(email)
		u.UserState = migration.UserState{}
		return u
	}
	ann, cid, hal := plain("Ann@example.org"), plain("cid@example.org"), plain("hal@example.org")
	ann.SourceSecret, hal.SourceSecret = []byte("fresh"), []byte("fresh")
	cid.UserName, cid.SourceSecret = "", nil // blank keeps
	tried, err := s.TryUsers(ctx, b, seq(ann, plain("bob@example.org"), cid, plain("dan@example.org"), hal))
	w.ok(err)
	equal(t, "result of a try", tried, migration.AddResult{Created: 1, Unchanged: 2, Updated: 2})
	if u := w.user(b, "ann@example.org"); u.Status != migration.UserNeedsCredentials || string(u.SourceSecret) == "fresh" {
		t.Errorf("a user after a try: %+v", u)
	}
	_, err = s.UserByEmail(ctx, b.ID, "dan@example.org")
	w.refused(err, migration.NotFound)
	res, err := s.AddUsers(ctx, b, seq(ann, plain("bob@example.org"), cid, plain("dan@example.org"), hal))
	w.ok(err)
	equal(t, "result", res, migration.AddResult{Created: 1, Unchanged: 2, Updated: 2})
	if u := w.user(b, "hal@example.org"); u.Status != migration.UserQueued || u.NextRunAt.IsZero() || !u.LoggedInAt.IsZero() {
		t.Errorf("a user with new credentials in the place of those that were rejected: %+v", u.UserState)
	}
	if u := w.user(b, "ann@example.org"); u.Status != migration.UserQueued || u.NextRunAt.IsZero() || u.Code != "" || string(u.SourceSecret) != "fresh" {
		t.Errorf("a user with new credentials: %+v", u)
	}
	if u := w.user(b, "cid@example.org"); u.Status != migration.UserNeedsCredentials || u.UserName != "login-cid@example.org" {
		t.Errorf("a user without: %+v", u)
	}
	if u := w.user(b, "dan@example.org"); u.Status != migration.UserQueued || u.NextRunAt.IsZero() {
		t.Errorf("a new user of a started batch: %+v", u.UserState)
	}
	w.batch("other", due("eve@example.org"))
	_, err = s.AddUsers(ctx, b, seq(plain("fay@example.org"), plain("eve@example.org")))
	w.refused(err, migration.DuplicateInOtherBatch)
	_, err = s.UserByEmail(ctx, b.ID, "fay@example.org")
	w.refused(err, migration.NotFound)

	b.StartedAt = time.Time{}
	w.ok(s.UpdateBatch(ctx, b))
	_, err = s.AddUsers(ctx, b, seq(plain("gil@example.org")))
	w.ok(err)
	if u := w.user(b, "gil@example.org"); u.Status != migration.UserCreated || !u.NextRunAt.IsZero() {
		t.Errorf("a new user of a batch not started: %+v", u.UserState)
	}
}

// testAddManyUsers: more than are looked up in one statement.
func testAddManyUsers(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	const n = 2*askAtOnce + 1
	var users []migration.User
	var emails []string
	for i := range n {
		users = append(users, due(fmt.Sprintf("u%04d@example.org", i)))
		emails = append(emails, fmt.Sprintf("U%04d@Example.org", i))
	}
	b := w.batch("pilot", users[1:]...)
	users[n-1].UserName = "changed"
	users = append(users, users[n-1], users[0])
	res, err := s.AddUsers(ctx, b, seq(users...))
	w.ok(err)
	equal(t, "result", res, migration.AddResult{Created: 1, Unchanged: n - 2 + 2, Updated: 1})
	list, err := s.UsersByEmail(ctx, b.ID, append(emails, "nobody@example.org"))
	w.ok(err)
	if len(list) != n {
		t.Errorf("%d users found, want %d", len(list), n)
	}
	if u := w.user(b, emails[n-1]); u.UserName != "changed" {
		t.Errorf("the changed user: %+v", u)
	}
}

func testSummary(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"), due("bob@example.org", synced), due("cid@example.org", func(u *migration.User) {
		u.Status, u.NextRunAt = migration.UserFailed, time.Time{}
	}), due("dan@example.org", func(u *migration.User) { u.Status, u.NextRunAt = migration.UserCreated, time.Time{} }))
	w.admit(10)
	sum, err := s.Summary(ctx, b.ID)
	w.ok(err)
	want := migration.UserCounts{ByStatus: map[migration.UserStatus]int{
		migration.UserQueued: 2, migration.UserFailed: 1, migration.UserCreated: 1,
	}, Running: 2, Synced: 1, Unsynced: 2}
	if !reflect.DeepEqual(sum.Counts, want) {
		t.Errorf("counts are %+v, want %+v", sum.Counts, want)
	}
	if !sum.LastSyncedAt.Equal(noon.Add(-24 * time.Hour)) {
		t.Errorf("last synced at %v", sum.LastSyncedAt)
	}
	w.batch("second", due("eve@example.org", func(u *migration.User) { u.Status = migration.UserFailed }))
	newWorld(t, s, "other").batch("third", due("fay@example.org", func(u *migration.User) { u.Status = migration.UserFailed }))
	byStatus, err := s.UsersByStatus(ctx)
	w.ok(err)
	if want := map[migration.UserStatus]int{migration.UserQueued: 2, migration.UserFailed: 3, migration.UserCreated: 1}; !reflect.DeepEqual(byStatus, want) {
		t.Errorf("the users of all organisations are %v, want %v", byStatus, want)
	}
	if empty, err := s.Summary(ctx, 4711); err != nil || empty.Counts.Total() != 0 {
		t.Errorf("a batch without users: %+v, %v", empty, err)
	}
}

// testSummaryProperty: what SQL adds up is the sum of what package migration tells
// of each user.
func testSummaryProperty(t *testing.T, open opener) {
	s := open(t)
	w := newWorld(t, s, "acme")
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		number := rapid.Int64Range(0, 1000)
		var users []migration.User
		for i, n := 0, rapid.IntRange(0, 6).Draw(rt, "users"); i < n; i++ {
			u := due(string(rune('a'+i)) + "@example.org")
			u.Status = rapid.SampledFrom(migration.UserStatuses).Draw(rt, "status")
			u.Running = rapid.Bool().Draw(rt, "running")
			for _, f := range append(totalFields(&u.Totals), lastFields(&u.Last)...) {
				*f = number.Draw(rt, "number")
			}
			users = append(users, u)
		}
		b := w.plan("b", w.source, w.target)
		if _, err := s.CreateBatch(t.Context(), b, seq(users...)); err != nil {
			rt.Fatal(err)
		}
		defer func() {
			b.Removing = true
			if err := s.UpdateBatch(t.Context(), b); err != nil {
				rt.Fatal(err)
			}
			if _, err := s.RemoveUsers(t.Context(), b.ID); err != nil {
				rt.Fatal(err)
			}
			if _, err := s.purgeBatches(t.Context()); err != nil {
				rt.Fatal(err)
			}
		}()
		var want migration.Tally
		for _, u := range users {
			m := u.Messages()
			to := lastFields(&want)
			for i, f := range lastFields(&m) {
				*to[i] += *f
			}
		}
		sum, err := s.Summary(t.Context(), b.ID)
		if err != nil {
			rt.Fatal(err)
		}
		if sum.Messages != want {
			rt.Fatalf("messages are\n%+v, want\n%+v", sum.Messages, want)
		}
		if sum.Counts.Total() != len(users) {
			rt.Fatalf("%d users, want %d", sum.Counts.Total(), len(users))
		}
	})
}
