package pass

import (
	"context"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestWhatABatchCarriesReachesTheEngine: of a sync, and of the verify that follows it.
func TestWhatABatchCarriesReachesTheEngine(t *testing.T) {
	since, before := time.Date(2020, 2, 3, 0, 0, 0, 0, time.UTC), time.Date(2024, 1, 31, 0, 0, 0, 0, time.UTC)
	w := newWorld(t, nil, alice())
	_, err := w.db.ChangeBatch(t.Context(), w.batch.OrgID, w.batch.ID, func(b *migration.Batch) error {
		b.IncludeFolders, b.ExcludeFolders = []string{"in"}, []string{"out"}
		b.MailSince, b.MailBefore, b.MaxMessageSize = since, before, 5000
		return nil
	})
	must(t, err)
	if _, err := w.db.CompleteUsers(t.Context(), w.batch.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	looked := 0
	w.engine(func(_ context.Context, job mailsync.Job) (mailsync.Outcome, error) {
		looked++
		if job.Include[0] != "in" || job.Exclude[0] != "out" || !job.Since.Equal(since) || !job.Before.Equal(before) || job.MaxMessageSize != 5000 {
			t.Errorf("the sync's job: %+v", job)
		}
		return mailsync.Outcome{}, nil
	})
	w.Engine.Verify = func(_ context.Context, job mailsync.VerifyJob) (migration.Receipt, error) {
		looked++
		if job.Include[0] != "in" || job.Exclude[0] != "out" || !job.Since.Equal(since) || !job.Before.Equal(before) {
			t.Errorf("the verify's job: %+v", job)
		}
		return migration.Receipt{}, nil
	}
	if u := w.run(); u.Status != migration.UserCompleted || looked != 2 {
		t.Errorf("user %+v after %d jobs", u, looked)
	}
}
