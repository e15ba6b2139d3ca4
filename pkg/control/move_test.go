package control_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// must fails the test for any error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// record is the head of an empty folder's record.
const record = `{"v":1,"target":"INBOX"}`

// syncOne admits and claims a user, writes a record, and ends the pass with result.
func (o *office) syncOne(t *testing.T, result migration.Result) {
	t.Helper()
	o.runOne(t)
	leases, err := o.store.LiveLeases(t.Context())
	must(t, err)
	l := leases[0]
	must(t, o.store.Commit(t.Context(), l.Token, migration.Window{Folder: "INBOX", Head: []byte(record), Append: []byte{0, 0}, Tally: result.Tally}))
	u, err := o.store.UserByID(t.Context(), l.UserID)
	must(t, err)
	result.Kind = l.Kind
	next := migration.Advance(u.ID, u.UserState, result, migration.Schedule{Interval: 24 * time.Hour}, o.now)
	must(t, o.store.Finish(t.Context(), l.Token, next, u.Totals.Add(result.Tally), result.Tally, nil, nil))
}

// runOne has a pass run.
func (o *office) runOne(t *testing.T) {
	t.Helper()
	leases, err := o.store.Admit(t.Context(), o.now, 1)
	must(t, err)
	if len(leases) != 1 {
		t.Fatalf("%d users admitted, want one", len(leases))
	}
	_, err = o.store.Claim(t.Context(), leases[0].Token, "worker")
	must(t, err)
}

// TestAUserIsMovedToAnotherBatch: with its records and its counts; it takes part there as
// that batch does, and what has to be mended first stays to be mended.
func TestAUserIsMovedToAnotherBatch(t *testing.T) {
	well := migration.Result{Progress: true, Tally: migration.Tally{Seen: 2, Copied: 2}}
	rejected := migration.Result{Fault: &migration.Fault{Code: migration.AuthFailed, Scope: migration.ScopeUser}}
	full := migration.Result{Fault: &migration.Fault{Code: migration.QuotaExceeded, Scope: migration.ScopeUser}}
	for _, tt := range []struct {
		user   string // new, stopped, or how its pass ended
		ended  migration.Result
		batch  string // new, started, stopped
		want   migration.UserStatus
		due    bool
		status migration.BatchStatus // of the batch it is in then
	}{
		{"new", migration.Result{}, "new", migration.UserCreated, false, migration.BatchCreated},
		{"new", migration.Result{}, "started", migration.UserQueued, true, migration.BatchSyncing},
		{"new", migration.Result{}, "stopped", migration.UserStopped, false, migration.BatchStopped},
		{"stopped", well, "started", migration.UserQueued, true, migration.BatchSyncing},
		{"synced", well, "started", migration.UserSynced, true, migration.BatchSyncing},
		{"synced", well, "new", migration.UserCreated, false, migration.BatchCreated},
		{"synced", well, "stopped", migration.UserStopped, false, migration.BatchStopped},
		{"rejected", rejected, "started", migration.UserNeedsCredentials, false, migration.BatchSyncing},
		{"full", full, "stopped", migration.UserFailed, false, migration.BatchStopped},
	} {
		t.Run(tt.user+" into "+tt.batch, func(t *testing.T) {
			o, ctx := newOffice(t), t.Context()
			_, _, err := o.CreateBatch(ctx, owner, "default", o.batch("one", "a.example", "a", func(b *control.NewBatch) { b.AutoStart = tt.user != "new" }))
			must(t, err)
			if tt.user != "new" {
				o.syncOne(t, tt.ended)
			}
			if tt.user == "stopped" {
				_, err := o.StopUser(ctx, owner, "default", "one", "a@a.example")
				must(t, err)
			}
			_, _, err = o.CreateBatch(ctx, owner, "default", o.batch("two", "b.example", "b", func(b *control.NewBatch) { b.AutoStart = tt.batch != "new" }))
			must(t, err)
			if tt.batch == "stopped" {
				_, err := o.StopBatch(ctx, owner, "default", "two")
				must(t, err)
			}
			before, err := o.User(ctx, owner, "default", "one", "a@a.example")
			must(t, err)
			u, err := o.MoveUser(ctx, owner, "default", "one", "a@a.example", "two")
			must(t, err)
			if u.Status != tt.want || u.NextRunAt.IsZero() == tt.due || u.ID != before.ID || u.FirstSyncedAt != before.FirstSyncedAt || u.Code != before.Code {
				t.Errorf("it was %+v, is %+v", before.UserState, u.UserState)
			}
			b, err := o.Batch(ctx, owner, "default", "two")
			must(t, err)
			if b.Status != tt.status || b.Summary.Counts.Total() != 2 || b.Summary.Messages.Copied != tt.ended.Tally.Copied {
				t.Errorf("the batch is %s with %+v", b.Status, b.Summary)
			}
			if left, err := o.Batch(ctx, owner, "default", "one"); err != nil || left.Summary.Counts.Total() != 0 {
				t.Errorf("the batch it left: %+v, error %v", left.Summary, err)
			}
			for _, name := range []string{"one", "two"} {
				events, err := o.Events(ctx, owner, "default", name, 0, 100)
				must(t, err)
				last := events[len(events)-1]
				if last.Kind != "user.moved" || last.Data["to"] != "two" || last.Data["from"] != "one" || last.EmailAddress != "a@a.example" {
					t.Errorf("the last event of %s: %+v", name, last)
				}
			}
		})
	}
}

// TestAMovedUsersRecordsAreFoundByItsNextPass: nothing is copied again.
func TestAMovedUsersRecordsAreFoundByItsNextPass(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	_, _, err := o.CreateBatch(ctx, owner, "default", o.batch("one", "a.example", "a", func(b *control.NewBatch) { b.AutoStart = true }))
	must(t, err)
	o.syncOne(t, migration.Result{Progress: true, Tally: migration.Tally{Seen: 2, Copied: 2}})
	_, _, err = o.CreateBatch(ctx, owner, "default", o.batch("two", "b.example", "", func(b *control.NewBatch) { b.File = file("b.example", "b") }))
	must(t, err)
	_, err = o.MoveUser(ctx, owner, "default", "one", "A@a.example", "two")
	must(t, err)
	_, err = o.RemoveUser(ctx, owner, "default", "two", "b@b.example")
	must(t, err)
	_, err = o.StartBatch(ctx, owner, "default", "two")
	must(t, err)
	o.runOne(t)
	leases, err := o.store.LiveLeases(ctx)
	must(t, err)
	records, err := o.store.Records(ctx, leases[0].Token)
	if err != nil || len(records) != 1 || string(records[0].Head) != record {
		t.Errorf("records %+v, error %v", records, err)
	}
}

// TestWhatIsNotMoved says so, and leaves the user where it is.
func TestWhatIsNotMoved(t *testing.T) {
	for name, tt := range map[string]struct {
		code migration.Code
		to   string
		do   func(o *office) error
	}{
		"to the batch it is in":   {migration.InvalidArgument, "one", nil},
		"to a batch there is not": {migration.NotFound, "three", nil},
		"to one that completes": {migration.Conflict, "two", func(o *office) error {
			_, err := o.CompleteBatch(t.Context(), owner, "default", "two", time.Time{})
			return err
		}},
		"where its address is": {migration.Conflict, "two", func(o *office) error {
			_, err := o.AddUsers(t.Context(), owner, "default", "two", file("c.example", "c"))
			if err != nil {
				return err
			}
			u, err := o.store.UserByEmail(t.Context(), 1, "a@a.example")
			if err == nil {
				_, err = o.store.ChangeUser(t.Context(), u.ID, func(u *migration.User) error { u.EmailAddress = "c@c.example"; return nil })
			}
			return err
		}},
		"while its pass runs":      {migration.Conflict, "two", func(o *office) error { o.runOne(t); return nil }},
		"while it awaits its pass": {migration.Conflict, "two", func(o *office) error { _, err := o.store.Admit(t.Context(), o.now, 1); return err }},
		"to other endpoints": {migration.Conflict, "back", func(o *office) error {
			_, _, err := o.CreateBatch(t.Context(), owner, "default", o.batch("back", "d.example", "d", func(b *control.NewBatch) { b.SourceEndpoint, b.TargetEndpoint = "new", "old" }))
			return err
		}},
		"once it is completed": {migration.Conflict, "two", func(o *office) error {
			if _, err := o.CompleteUser(t.Context(), owner, "default", "one", "a@a.example"); err != nil {
				return err
			}
			o.syncOne(t, migration.Result{})
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o, ctx := newOffice(t), t.Context()
			_, _, err := o.CreateBatch(ctx, owner, "default", o.batch("one", "a.example", "a", func(b *control.NewBatch) { b.AutoStart = true }))
			must(t, err)
			_, _, err = o.CreateBatch(ctx, owner, "default", o.batch("two", "b.example", "b", nil))
			must(t, err)
			if tt.do != nil {
				must(t, tt.do(o))
			}
			users, err := o.Users(ctx, owner, "default", "one", migration.UserFilter{}, "", 10)
			must(t, err)
			_, err = o.MoveUser(ctx, owner, "default", "one", users[0].EmailAddress, tt.to)
			if f := migration.AsFault(err); err == nil || f.Code != tt.code || f.Reason == "" {
				t.Errorf("error %v, want %s", err, tt.code)
			}
			if after, err := o.Users(ctx, owner, "default", "one", migration.UserFilter{}, "", 10); err != nil || fmt.Sprint(after) != fmt.Sprint(users) {
				t.Errorf("the users are %+v, were %+v; error %v", after, users, err)
			}
		})
	}
}
