package control_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestABatchIsReversed: of users that were synced, once nobody syncs them any more; whose
// passwords are erased needs new ones.
func TestABatchIsReversed(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(o *office) error
		want migration.UserStatus
	}{
		"stopped": {func(o *office) error {
			_, err := o.StopBatch(t.Context(), owner, "default", "pilot")
			return err
		}, migration.UserCreated},
		"completed": {func(o *office) error {
			if _, err := o.CompleteUser(t.Context(), owner, "default", "pilot", "a@a.example"); err != nil {
				return err
			}
			o.syncOne(t, migration.Result{})
			_, err := o.RemoveUser(t.Context(), owner, "default", "pilot", "b@a.example")
			if err == nil {
				_, err = o.CompleteBatch(t.Context(), owner, "default", "pilot", time.Time{})
			}
			return err
		}, migration.UserNeedsCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			o, ctx := newOffice(t), t.Context()
			_, _, err := o.CreateBatch(ctx, owner, "default", o.batch("pilot", "a.example", "a", func(b *control.NewBatch) { b.AutoStart, b.ExcludeFolders = true, []string{"#Junk#"} }))
			must(t, err)
			refused := func(what string, code migration.Code) {
				t.Helper()
				_, err := o.ReverseBatch(ctx, owner, "default", "pilot", "back")
				if f := migration.AsFault(err); err == nil || f.Code != code {
					t.Errorf("%s: error %v, want a %s", what, err, code)
				}
			}
			refused("a batch that syncs", migration.Conflict)
			o.syncOne(t, migration.Result{Progress: true})
			_, err = o.AddUsers(ctx, owner, "default", "pilot", file("a.example", "b"))
			must(t, err)
			refused("a batch that goes on", migration.Conflict)
			must(t, tt.end(o))
			b, err := o.ReverseBatch(ctx, owner, "default", "pilot", "")
			must(t, err)
			if b.Name != "pilot-back" || b.Status != migration.BatchCreated || b.SourceEndpoint != "new" || b.TargetEndpoint != "old" || b.AutoStart || b.ExcludeFolders[0] != "#Junk#" {
				t.Errorf("reversed: %+v", b)
			}
			users, err := o.Users(ctx, owner, "default", "pilot-back", migration.UserFilter{}, "", 10)
			must(t, err)
			if len(users) != 1 || users[0].EmailAddress != "a@a.example" || users[0].UserName != "a@a.example" || users[0].TargetUserName != "a" || users[0].Status != tt.want {
				t.Errorf("its users: %+v", users)
			}
			refused("a batch that is moved back already", migration.DuplicateInOtherBatch)
			if _, err := o.StartBatch(ctx, owner, "default", "pilot"); name == "stopped" && migration.AsFault(err).Code != migration.DuplicateInOtherBatch {
				t.Errorf("both directions at once: error %v", err)
			}
			_, err = o.StartBatch(ctx, owner, "default", "pilot-back")
			must(t, err)
			_, err = o.SetCredentials(ctx, owner, "default", "pilot-back", "a@a.example", control.UserCredentials{Password: migration.NewSecret("x"), TargetPassword: migration.NewSecret("y")})
			must(t, err)
			o.runOne(t)
		})
	}
}

// TestNothingIsReversedOfABatchThatSyncedNothing says so.
func TestNothingIsReversedOfABatchThatSyncedNothing(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	_, _, err := o.CreateBatch(ctx, owner, "default", o.batch("pilot", "a.example", "a", nil))
	must(t, err)
	_, err = o.StopBatch(ctx, owner, "default", "pilot")
	must(t, err)
	if _, err = o.ReverseBatch(ctx, owner, "default", "pilot", ""); err == nil || migration.AsFault(err).Code != migration.Conflict {
		t.Errorf("error %v, want a Conflict", err)
	}
}

// TestAFileInTheOtherDirectionIsRefused: all of its mailboxes that a live batch moves the
// other way at once, also in a dry run and when users are added; and whichever of two
// batches is started second.
func TestAFileInTheOtherDirectionIsRefused(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	_, _, err := o.CreateBatch(ctx, owner, "default", o.batch("pilot", "a.example", "abc", func(b *control.NewBatch) { b.AutoStart = true }))
	must(t, err)
	back := func(name, users string, dry bool) error {
		_, _, err := o.CreateBatch(ctx, owner, "default", o.batch(name, "a.example", users, func(b *control.NewBatch) {
			b.SourceEndpoint, b.TargetEndpoint, b.DryRun = "new", "old", dry
		}))
		return err
	}
	refused := func(what string, err error, lines ...int) {
		t.Helper()
		var file *control.ImportError
		if !errors.As(err, &file) || file.Fault.Code != migration.DuplicateInOtherBatch || len(file.Problems) != len(lines) {
			t.Fatalf("%s: error %v", what, err)
		}
		for i, p := range file.Problems {
			if p.Line != lines[i] || !strings.Contains(p.Reason, `is moved the other way by the live batch "pilot"`) {
				t.Errorf("%s: %+v, want line %d", what, p, lines[i])
			}
		}
	}
	refused("a dry run", back("back", "xabyc", true), 3, 4, 6)
	refused("a file", back("back", "xabyc", false), 3, 4, 6)
	must(t, back("others", "xy", false))
	_, err = o.AddUsers(ctx, owner, "default", "others", file("a.example", "xc"))
	refused("users to be added", err, 3)

	_, err = o.StopBatch(ctx, owner, "default", "pilot")
	must(t, err)
	must(t, back("back", "ab", false))
	_, err = o.StartBatch(ctx, owner, "default", "pilot")
	if f := migration.AsFault(err); err == nil || f.Code != migration.DuplicateInOtherBatch || !strings.Contains(f.Reason, `"back"`) || !strings.Contains(f.Reason, "other way") {
		t.Errorf("the second that is started: error %v", err)
	}
	_, err = o.StopBatch(ctx, owner, "default", "back")
	must(t, err)
	_, err = o.StartBatch(ctx, owner, "default", "pilot")
	must(t, err)
	if _, err = o.StartBatch(ctx, owner, "default", "back"); migration.AsFault(err).Code != migration.DuplicateInOtherBatch {
		t.Errorf("the other one then: error %v", err)
	}
}
