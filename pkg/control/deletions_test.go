package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestDeletionsAreConfirmedByTheirNumber: by no other one, and only where they are asked
// about.
func TestDeletionsAreConfirmedByTheirNumber(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	mirror := func(b *control.NewBatch) { b.AutoStart, b.Deletions = true, migration.Mirror }
	_, _, err := o.CreateBatch(ctx, owner, "default", o.batch("pilot", "a.example", "a", mirror))
	must(t, err)
	confirm := func(n int64) migration.User {
		t.Helper()
		u, err := o.ConfirmDeletions(ctx, owner, "default", "pilot", "a@a.example", n)
		must(t, err)
		return u
	}
	refused := func(what string, n int64, code migration.Code) {
		t.Helper()
		_, err := o.ConfirmDeletions(ctx, owner, "default", "pilot", "a@a.example", n)
		if f := migration.AsFault(err); err == nil || f.Code != code {
			t.Errorf("%s: error %v, want %s", what, err, code)
		}
	}
	refused("before anything was synced", 3, migration.Conflict)
	asks := migration.Result{Tally: migration.Tally{Seen: 9, ToDelete: 40}, Fault: migration.NewFault(migration.NeedsDecision, migration.ScopeUser, migration.Source, "40 are gone", nil)}
	o.syncOne(t, asks)
	refused("no number", 0, migration.NeedsDecision)
	refused("another number", 41, migration.NeedsDecision)
	if u := confirm(40); u.Status != migration.UserQueued || u.DeletionsConfirmed != 40 || u.DeletionsAsked != 0 || u.Code != "" {
		t.Errorf("confirmed: %+v", u.UserState)
	}
	refused("twice", 40, migration.Conflict)
	o.syncOne(t, migration.Result{Progress: true, Tally: migration.Tally{Seen: 9, Deleted: 40}})
	u, err := o.User(ctx, owner, "default", "pilot", "a@a.example")
	must(t, err)
	if m := u.Messages(); u.DeletionsConfirmed != 0 || m.Deleted != 40 || u.Status != migration.UserSynced {
		t.Errorf("synced: %+v, %+v", u.UserState, m)
	}
	refused("nothing is asked any more", 40, migration.Conflict)
	events, err := o.Events(ctx, owner, "default", "pilot", 0, 100)
	must(t, err)
	if !slices.ContainsFunc(events, func(e control.Event) bool {
		return e.Kind == "user.deletionsConfirmed" && fmt.Sprint(e.Data["deletions"]) == "40"
	}) {
		t.Errorf("the events do not tell: %+v", events)
	}
}

// TestABatchThatSyncedIsConfirmedBeforeItDeletes: by its name; one that did not is not.
func TestABatchThatSyncedIsConfirmedBeforeItDeletes(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	_, _, err := o.CreateBatch(ctx, owner, "default", o.batch("pilot", "a.example", "a", func(b *control.NewBatch) { b.AutoStart = true }))
	must(t, err)
	set := func(to, confirm string) (control.Batch, error) {
		return o.ChangeBatch(ctx, owner, "default", "pilot", confirm, func(s *migration.BatchSpec) { s.Deletions = to })
	}
	b, err := set(migration.Mirror, "")
	must(t, err)
	if b.Deletions != migration.Mirror {
		t.Errorf("%+v", b.BatchSpec)
	}
	_, err = set(migration.Keep, "")
	must(t, err)
	o.syncOne(t, migration.Result{Progress: true, Tally: migration.Tally{Seen: 2, Copied: 2}})
	for _, confirm := range []string{"", "Pilot"} {
		_, err := set(migration.Mirror, confirm)
		if f := migration.AsFault(err); err == nil || f.Code != migration.NeedsDecision || !strings.Contains(f.Reason, "--confirm pilot") {
			t.Errorf("confirmed with %q: %v", confirm, err)
		}
	}
	_, err = set(migration.Mirror, "pilot")
	must(t, err)
	_, err = o.ChangeBatch(ctx, owner, "default", "pilot", "", func(s *migration.BatchSpec) { s.NewestFirst = true }) // it is mirror already
	must(t, err)
	_, err = o.StopBatch(ctx, owner, "default", "pilot")
	must(t, err)
	if b, err := o.ReverseBatch(ctx, owner, "default", "pilot", "back"); err != nil || b.Deletions != migration.Keep {
		t.Errorf("reversed, its deletions are %q: %v", b.Deletions, err)
	}
}
