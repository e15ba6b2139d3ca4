package pass

import (
	"context"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestABatchsDeletionsReachTheEngine, with what was confirmed; a pass that asks tells the
// command that answers.
func TestABatchsDeletionsReachTheEngine(t *testing.T) {
	w := newWorld(t, nil, alice())
	var job mailsync.Job
	w.engine(func(_ context.Context, j mailsync.Job) (mailsync.Outcome, error) {
		job = j
		return mailsync.Outcome{Tally: migration.Tally{Seen: 3, ToDelete: 40}},
			migration.NewFault(migration.NeedsDecision, migration.ScopeUser, migration.Source, "40 are gone", nil)
	})
	w.run()
	if job.Mirror {
		t.Error("a batch that keeps mirrors")
	}
	_, err := w.db.ChangeBatch(t.Context(), w.batch.OrgID, w.batch.ID, func(b *migration.Batch) error { b.Deletions = migration.Mirror; return nil })
	must(t, err)
	confirm := func(n int64) {
		user, err := w.db.UserByEmail(t.Context(), w.batch.ID, "alice@new.example")
		must(t, err)
		_, err = w.db.ChangeUser(t.Context(), user.ID, func(u *migration.User) error {
			u.Status, u.NextRunAt, u.DeletionsConfirmed, u.FirstSyncedAt = migration.UserQueued, w.batch.CreatedAt, n, w.batch.CreatedAt
			return nil
		})
		must(t, err)
	}
	confirm(30)
	u := w.run()
	if !job.Mirror || job.ConfirmedDeletions != 30 {
		t.Errorf("the job has mirror %v, confirmed %d", job.Mirror, job.ConfirmedDeletions)
	}
	if u.Status != migration.UserFailed || u.DeletionsAsked != 40 || u.DeletionsConfirmed != 0 || u.NextRunAt.IsZero() ||
		!strings.HasSuffix(u.Reason, "mailhaul user confirm-deletions alice@new.example --batch b --confirm 40") {
		t.Errorf("%+v", u.UserState)
	}

	// A verify finds both sides the same; what the sync asks is still to be decided.
	_, err = w.db.VerifyUsers(t.Context(), w.batch.ID, w.batch.CreatedAt)
	must(t, err)
	after := w.run()
	if after.Status != migration.UserFailed || after.Code != u.Code || after.Reason != u.Reason || after.DeletionsAsked != 40 || after.VerifyDue || after.NextRunAt.IsZero() {
		t.Errorf("after a verify: %+v", after.UserState)
	}
	if told := w.events(); len(told) != 2 {
		t.Errorf("told is %v, want the failure of each sync once", told)
	}
}
