package pass

import (
	"context"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// preflighting is a world whose batch is not started and whose preflights are due.
func preflighting(t *testing.T, look func(context.Context, mailsync.PreflightJob) (migration.Preflight, error)) *world {
	t.Helper()
	w := newWorld(t, func(w *world) { w.target.Preset = "gmail" }, alice())
	now := time.Now()
	if _, err := w.db.StopUsers(t.Context(), w.batch.ID); err != nil {
		t.Fatal(err)
	}
	_, err := w.db.ChangeBatch(t.Context(), w.batch.OrgID, w.batch.ID, func(b *migration.Batch) error {
		b.StartedAt, b.MaxMessageSize, b.ExcludeFolders = time.Time{}, 5000, []string{"out"}
		return nil
	})
	must(t, err)
	u, err := w.db.UserByEmail(t.Context(), w.batch.ID, alice().EmailAddress)
	must(t, err)
	_, err = w.db.ChangeUser(t.Context(), u.ID, func(u *migration.User) error { u.Status = migration.UserCreated; return nil })
	must(t, err)
	if n, err := w.db.PreflightUsers(t.Context(), w.batch.ID, now); err != nil || n != 1 {
		t.Fatalf("%d users, %v", n, err)
	}
	w.AppendLimit = func(preset string) int64 { return int64(len(preset)) }
	w.Engine.Preflight = func(ctx context.Context, job mailsync.PreflightJob) (migration.Preflight, error) {
		for _, open := range []mailbox.Opener{job.Source, job.Target} {
			if _, err := open(ctx); err != nil {
				return migration.Preflight{}, err
			}
		}
		return look(ctx, job)
	}
	return w
}

// found is what is kept of the only user's preflight; nil: nothing.
func (w *world) found() *migration.Preflight {
	w.t.Helper()
	list, err := w.db.ListPreflights(w.t.Context(), w.batch.ID, migration.LevelFailing+1, "", 10)
	must(w.t, err)
	if len(list) == 0 {
		return nil
	}
	return &list[0].Preflight
}

// events are the kinds of what was told of the batch.
func (w *world) events() (kinds []string) {
	w.t.Helper()
	list, err := w.db.EventsAfter(w.t.Context(), w.batch.OrgID, w.batch.ID, 0, 100)
	must(w.t, err)
	for _, e := range list {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func TestAPreflightLeavesTheUserWhereItWas(t *testing.T) {
	w := preflighting(t, func(_ context.Context, job mailsync.PreflightJob) (migration.Preflight, error) {
		if job.MaxMessageSize != 5000 || job.AppendLimit != int64(len("gmail")) || len(job.Exclude) != 1 || job.Records == nil {
			t.Errorf("the job %+v", job)
		}
		return migration.Preflight{Messages: 7}, nil
	})
	u := w.run()
	if u.Status != migration.UserCreated || u.PreflightFrom != "" || !u.NextRunAt.IsZero() || u.LoggedInAt.IsZero() || u.Totals != (migration.Totals{}) {
		t.Errorf("user %+v", u)
	}
	if p := w.found(); p == nil || p.Messages != 7 {
		t.Errorf("kept %+v", p)
	}
	if kinds := w.events(); len(kinds) != 0 {
		t.Errorf("events %q", kinds)
	}
}

func TestARejectedPreflightNeedsCredentials(t *testing.T) {
	w := preflighting(t, func(context.Context, mailsync.PreflightJob) (migration.Preflight, error) {
		f := fault(migration.AuthFailed, migration.ScopeUser, migration.Target)
		p := migration.Preflight{Messages: 3}
		p.FindFault(f)
		return p, f
	})
	u := w.run()
	if u.Status != migration.UserNeedsCredentials || u.Code != migration.AuthFailed {
		t.Errorf("user %+v", u.UserState)
	}
	if p := w.found(); p == nil || p.Level != migration.LevelFailing || p.Messages != 3 {
		t.Errorf("kept %+v", p)
	}
	if kinds := w.events(); len(kinds) != 1 || kinds[0] != "user.needsCredentials" {
		t.Errorf("events %q", kinds)
	}
}

// TestAPreflightThatHasToWait keeps nothing: it comes back.
func TestAPreflightThatHasToWait(t *testing.T) {
	w := preflighting(t, func(context.Context, mailsync.PreflightJob) (migration.Preflight, error) {
		return migration.Preflight{}, fault(migration.Throttled, migration.ScopeUser, migration.Source)
	})
	u := w.run()
	if u.Status != migration.UserWaiting || u.PreflightFrom != migration.UserCreated || u.NextRunAt.IsZero() || u.Attempts != 0 {
		t.Errorf("user %+v", u.UserState)
	}
	if p := w.found(); p != nil {
		t.Errorf("kept %+v", p)
	}
}

// TestAStartGoesBeforeAPreflight: the preflight under way ends, keeps nothing, and its
// user is synced.
func TestAStartGoesBeforeAPreflight(t *testing.T) {
	looking := make(chan struct{})
	w := preflighting(t, func(ctx context.Context, _ mailsync.PreflightJob) (migration.Preflight, error) {
		close(looking)
		<-ctx.Done()
		return migration.Preflight{}, context.Cause(ctx)
	})
	l := w.admit()
	wait := w.background(l)
	<-looking
	if u := w.user(l.UserID); u.Status != migration.UserValidating {
		t.Errorf("status %s while it runs", u.Status)
	}
	if _, err := w.db.StartUsers(t.Context(), w.batch.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	w.lookForOrders(t.Context(), w.heart.all())
	wait()
	if u := w.user(l.UserID); u.Status != migration.UserQueued || u.Kind() != migration.FirstSync || u.NextRunAt.IsZero() {
		t.Errorf("user %+v", u.UserState)
	}
	if p := w.found(); p != nil {
		t.Errorf("kept %+v", p)
	}
	if l := w.admit(); l.Kind != migration.FirstSync {
		t.Errorf("admitted for a %s", l.Kind)
	}
}
