package store

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// atOnce has several processes do the same, and returns the sum of what they tell. None
// begins before all are there: to open a database takes longer than what they do.
func (w *world) atOnce(open opener, do func(s *Store) (int, error)) int {
	w.Helper()
	var sum atomic.Int64
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range 4 {
		s := open(w.T)
		all.Go(func() {
			<-begin
			n, err := do(s)
			if err != nil {
				w.Error(err)
			}
			sum.Add(int64(n))
		})
	}
	close(begin)
	all.Wait()
	return int(sum.Load())
}

// testDeliveries: an event is noted once, queued once for each address, and each row
// goes to one process; what a batch that is gone leaves behind goes with its end.
func testDeliveries(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"), due("bob@example.org"))
	_, err := s.ChangeBatch(ctx, w.org.ID, b.ID, func(b *migration.Batch) error { b.Notify = []string{"ops@example.org"}; return nil })
	w.ok(err)
	hook := migration.Webhook{OrgID: w.org.ID, URL: "https://hooks.example.com", Secret: []byte("SEALED-HOOK")}
	w.ok(s.CreateWebhook(ctx, &hook, 1))
	w.refused(s.CreateWebhook(ctx, &migration.Webhook{OrgID: w.org.ID, Secret: []byte("x")}, 1), migration.Conflict)

	note := func(s *Store) (int, error) { return s.NoteBatches(ctx) }
	equal(t, "batches noted in mid-sync", w.atOnce(open, note), 0)
	for _, email := range []string{"ann@example.org", "bob@example.org"} {
		_, err := s.ChangeUser(ctx, w.user(b, email).ID, func(u *migration.User) error {
			u.Status, u.FirstSyncedAt, u.NextRunAt = migration.UserSynced, noon, time.Time{}
			return nil
		})
		w.ok(err)
	}
	equal(t, "batches noted in step", w.atOnce(open, note), 1)
	equal(t, "noted again", w.atOnce(open, note), 0)
	// Who had looked before the other wrote.
	late, err := s.noteBatch(ctx, b.ID, "told_synced", migration.EventBatchSynced, []migration.BatchStatus{migration.BatchSynced})
	w.ok(err)
	equal(t, "noted by one who came second", late, 0)
	events, err := s.EventsAfter(ctx, w.org.ID, b.ID, 0, 10)
	w.ok(err)
	if len(events) != 1 || events[0].Kind != migration.EventBatchSynced || events[0].Data["status"] != "Synced" {
		t.Errorf("events %+v", events)
	}
	equal(t, "events read", w.atOnce(open, func(s *Store) (int, error) { return s.QueueDeliveries(ctx, true, 100) }), 1)
	later := time.Now().Add(time.Hour)
	due, err := s.DueDeliveries(ctx, later, true, 10)
	w.ok(err)
	if len(due) != 2 {
		t.Fatalf("due: %+v, want mail and webhook", due)
	}
	calls, err := s.DueDeliveries(ctx, later, false, 10)
	w.ok(err)
	equal(t, "due without mail", len(calls), 1)
	for _, d := range due {
		claimed := w.atOnce(open, func(s *Store) (int, error) {
			mine, err := s.ClaimDelivery(ctx, &migration.Delivery{ID: d.ID, Attempts: d.Attempts}, later.Add(time.Minute))
			if mine {
				return 1, err
			}
			return 0, err
		})
		equal(t, "claims of a delivery", claimed, 1)
	}
	if again, _ := s.DueDeliveries(ctx, later, true, 10); len(again) != 0 {
		t.Errorf("claimed and due: %+v", again)
	}
	// Its claimer died.
	again, err := s.DueDeliveries(ctx, later.Add(2*time.Minute), true, 10)
	w.ok(err)
	if len(again) != 2 || again[0].Attempts != 1 {
		t.Errorf("after the claim: %+v", again)
	}
	for _, d := range again {
		d.DueAt, d.Delivered, d.EndedAt, d.Answer = time.Time{}, true, noon, "HTTP 204"
		stale := d
		stale.Attempts = 0
		w.ok(s.EndDelivery(ctx, stale))
		w.ok(s.EndDelivery(ctx, d))
	}
	list, err := s.ListWebhooks(ctx, w.org.ID)
	w.ok(err)
	if len(list) != 1 || list[0].Last == nil || !list[0].Last.Delivered || list[0].Last.Answer != "HTTP 204" {
		t.Errorf("webhooks %+v", list)
	}
	mails, err := s.ListMails(ctx, b.ID, 0, 10)
	w.ok(err)
	if len(mails) != 1 || mails[0].Address == "" || mails[0].WebhookID != 0 {
		t.Errorf("mails %+v", mails)
	}
	testEndOfDeliveries(w, b, hook)
}

func testEndOfDeliveries(w *world, b *migration.Batch, hook migration.Webhook) {
	w.Helper()
	s, ctx := w.s, w.Context()
	// A failure that no pass tells of: its worker died once too often.
	_, err := s.StartUsers(ctx, b.ID, noon)
	w.ok(err)
	_, err = s.ChangeUser(ctx, w.user(b, "ann@example.org").ID, func(u *migration.User) error {
		u.Status, u.NextRunAt = migration.UserQueued, noon
		return nil
	})
	w.ok(err)
	w.ok(s.Release(ctx, w.one().Token, true, migration.UserState{Status: migration.UserFailed, Code: migration.Internal, Reason: "3 workers died"}))
	read, err := s.QueueDeliveries(ctx, true, 100)
	w.ok(err)
	equal(w.T, "events of the failure", read, 1)
	list, err := s.ListDeliveries(ctx, hook.ID, 0, 10)
	w.ok(err)
	if len(list) != 2 || list[0].Kind != migration.EventUserFailed {
		w.Fatalf("deliveries %+v", list)
	}
	_, err = s.ChangeBatch(ctx, w.org.ID, b.ID, func(b *migration.Batch) error { b.Removing = true; return nil })
	w.ok(err)
	_, err = s.RemoveUsers(ctx, b.ID)
	w.ok(err)
	_, err = s.PurgeRemoved(ctx)
	w.ok(err)
	equal(w.T, "deliveries of a batch that is gone", w.count("deliveries"), 1)
	list[0].DueAt = time.Time{}
	w.ok(s.EndDelivery(ctx, list[0]))
	equal(w.T, "deliveries at the end", w.count("deliveries"), 0)
	w.ok(s.DeleteOrg(ctx, w.org.ID))
	equal(w.T, "webhooks of an organisation that is gone", w.count("webhooks"), 0)
	_, err = s.PurgeRemoved(ctx)
	w.ok(err)
	w.gone("SEALED-HOOK")
}
