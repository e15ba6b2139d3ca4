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
	w := newWorld(t, func(w *world) { w.source.Preset, w.target.Preset = "exchange", "yahoo" }, alice())
	w.LeaveOut = func(e migration.EndpointSpec) []string { return []string{e.Preset} }
	w.Shown = func(preset string) int64 { return int64(len(preset)) }
	_, err := w.db.ChangeBatch(t.Context(), w.batch.OrgID, w.batch.ID, func(b *migration.Batch) error {
		b.IncludeFolders, b.ExcludeFolders = []string{"in"}, []string{"out"}
		b.MapFolders = []migration.FolderRule{{From: "a", To: "b"}}
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
		if job.Include[0] != "in" || job.Exclude[0] != "out" || len(job.MapFolders) != 1 || !job.Since.Equal(since) || !job.Before.Equal(before) || job.MaxMessageSize != 5000 ||
			job.LeaveOut[0] != "exchange" || job.Shown != 8 {
			t.Errorf("the sync's job: %+v", job)
		}
		return mailsync.Outcome{}, nil
	})
	w.Engine.Verify = func(_ context.Context, job mailsync.VerifyJob) (migration.Receipt, error) {
		looked++
		if job.Include[0] != "in" || job.Exclude[0] != "out" || len(job.MapFolders) != 1 || !job.Since.Equal(since) || !job.Before.Equal(before) || job.LeaveOut[0] != "exchange" {
			t.Errorf("the verify's job: %+v", job)
		}
		return migration.Receipt{}, nil
	}
	if u := w.run(); u.Status != migration.UserCompleted || looked != 2 {
		t.Errorf("user %+v after %d jobs", u, looked)
	}
}

// TestTooManyBadItemsFailTheUser until an operator has decided: nothing tries it again by
// itself, and its remedy says what to do.
func TestTooManyBadItemsFailTheUser(t *testing.T) {
	w := newWorld(t, nil, alice())
	limit := int64(2)
	_, err := w.db.ChangeBatch(t.Context(), w.batch.OrgID, w.batch.ID, func(b *migration.Batch) error {
		b.BadItemLimit = &limit
		return nil
	})
	must(t, err)
	w.engine(func(_ context.Context, job mailsync.Job) (mailsync.Outcome, error) {
		if job.MaxSkipped == nil || *job.MaxSkipped != limit || job.Again {
			t.Errorf("the job's limit is %v, want %d; skipped ones again: %v", job.MaxSkipped, limit, job.Again)
		}
		return mailsync.Outcome{Tally: migration.Tally{Seen: 9, Skipped: 3}, Items: []migration.Item{{UID: 1}, {UID: 2}, {UID: 3}}},
			migration.NewFault(migration.TooManyBadItems, migration.ScopeUser, "", "3 messages cannot be carried", nil)
	})
	u := w.run()
	if u.Status != migration.UserFailed || u.Code != migration.TooManyBadItems || !u.NextRunAt.IsZero() || u.Code.Remedy() == "" {
		t.Errorf("user %+v", u.UserState)
	}
	if items, err := w.db.ListItems(t.Context(), w.batch.ID, "", 0, 10); err != nil || len(items) != 3 {
		t.Errorf("%d items listed, want 3; error %v", len(items), err)
	}
	if s, err := w.db.Summary(t.Context(), w.batch.ID); err != nil || w.batch.Status(s.Counts) != migration.BatchFailed {
		t.Errorf("the batch's status is %s, error %v", w.batch.Status(s.Counts), err)
	}
	if _, err := w.db.StartUsers(t.Context(), w.batch.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	w.engine(func(_ context.Context, job mailsync.Job) (mailsync.Outcome, error) {
		if !job.Again {
			t.Error("what was skipped is not offered again")
		}
		return mailsync.Outcome{}, nil
	})
	if u := w.run(); u.Status != migration.UserSynced || u.Code != "" || u.Again {
		t.Errorf("once it was mended: %+v", u.UserState)
	}
}
