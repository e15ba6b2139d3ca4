package store

import (
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// testReverseBatch: users and records are turned round in one go; the batch that is moved
// back stays as it is, and is known to be moved back as long as that is so.
func testReverseBatch(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot", due("ann@example.org"), due("bob@example.org"), due("eve@example.org"))
	ann := w.user(b, "ann@example.org")
	for _, l := range w.admit(3) {
		_, err := s.Claim(ctx, l.Token, "w1")
		w.ok(err)
		w.ok(s.Commit(ctx, l.Token, migration.Window{Folder: "INBOX", Head: []byte("h"), Append: []byte("j")}))
		w.ok(s.Commit(ctx, l.Token, migration.Window{Folder: "INBOX", Append: []byte("k")}))
		if l.UserID == ann.ID {
			continue
		}
		w.ok(s.Finish(ctx, l.Token, migration.UserState{Status: migration.UserStopped, FirstSyncedAt: noon}, migration.Totals{}, migration.Tally{}, nil, nil))
	}
	back := migration.Batch{OrgID: b.OrgID, Name: "back", BatchSpec: b.BatchSpec, SourceEndpointID: b.TargetEndpointID, TargetEndpointID: b.SourceEndpointID}
	turn := func(u migration.User) (migration.User, bool) {
		return migration.User{EmailAddress: u.EmailAddress, UserName: "x", UserState: migration.UserState{Status: migration.UserQueued, NextRunAt: noon}},
			u.EmailAddress != "eve@example.org"
	}
	records := func(in []migration.FolderRecord) ([]migration.FolderRecord, error) {
		for i := range in {
			in[i].Folder += " back"
		}
		return in, nil
	}
	_, err := s.ReverseBatch(ctx, &back, b.ID, turn, records)
	w.refused(err, migration.Conflict) // ann's pass runs
	if _, name, err := s.MovedBack(ctx, b, ""); err != nil || name != "" {
		t.Errorf("moved back by %q, error %v", name, err)
	}
	for _, l := range w.live() {
		w.ok(s.Finish(ctx, l.Token, migration.UserState{Status: migration.UserStopped, FirstSyncedAt: noon}, migration.Totals{}, migration.Tally{}, nil, nil))
	}
	_, err = s.ReverseBatch(ctx, &back, b.ID, turn, records)
	w.refused(err, migration.DuplicateInOtherBatch) // it may go on
	stop := func(stopped bool) {
		_, err := s.ChangeBatch(ctx, b.OrgID, b.ID, func(b *migration.Batch) error { b.Stopped = stopped; return nil })
		w.ok(err)
	}
	stop(true)
	n, err := s.ReverseBatch(ctx, &back, b.ID, turn, records)
	w.ok(err)
	if n != 2 {
		t.Errorf("%d users, want ann and bob", n)
	}
	for email, want := range map[string]string{"": "back", "ann@example.org": "back", "eve@example.org": ""} {
		if _, name, err := s.MovedBack(ctx, b, email); err != nil || name != want {
			t.Errorf("%q is moved back by %q, error %v; want %q", email, name, err, want)
		}
	}
	stop(false)
	if _, name, err := s.MovedBack(ctx, &back, ""); err != nil || name != "pilot" {
		t.Errorf("back is moved back by %q, error %v", name, err)
	}
	leases := w.admit(3)
	if len(leases) != 2 {
		t.Fatalf("%d users of the new batch are admitted", len(leases))
	}
	for _, l := range leases {
		_, err := s.Claim(ctx, l.Token, "w1")
		w.ok(err)
		known, err := s.Records(ctx, l.Token)
		w.ok(err)
		if len(known) != 1 || known[0].Folder != "INBOX back" || string(known[0].Head) != "h" || len(known[0].Journal) != 2 || string(known[0].Journal[1]) != "k" {
			t.Errorf("records %+v", known)
		}
	}
}
