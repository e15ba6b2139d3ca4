package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

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
	w.stop(b, true)
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
	w.refused(w.start(b), migration.DuplicateInOtherBatch)
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

// reversal is a batch of more users than a piece has, stopped, and what it is turned
// round to.
func (w *world) reversal() (from *migration.Batch, back migration.Batch) {
	users := make([]migration.User, turnedAtOnce+3)
	for i := range users {
		users[i] = migration.User{EmailAddress: fmt.Sprintf("u%03d@example.org", i)}
	}
	from = w.batch("pilot", users...)
	w.stop(from, true)
	return from, migration.Batch{OrgID: from.OrgID, Name: "back", BatchSpec: from.BatchSpec, SourceEndpointID: from.TargetEndpointID, TargetEndpointID: from.SourceEndpointID}
}

func (w *world) start(b *migration.Batch) error {
	_, err := w.s.ChangeBatch(w.Context(), b.OrgID, b.ID, func(b *migration.Batch) error { b.StartedAt, b.Stopped = noon, false; return nil })
	return err
}

func (w *world) stop(b *migration.Batch, stopped bool) {
	w.Helper()
	_, err := w.s.ChangeBatch(w.Context(), b.OrgID, b.ID, func(b *migration.Batch) error { b.Stopped = stopped; return nil })
	w.ok(err)
}

func turnAll(u migration.User) (migration.User, bool) {
	return migration.User{EmailAddress: u.EmailAddress, UserState: migration.UserState{Status: migration.UserQueued, NextRunAt: noon}}, true
}

func asTheyAre(in []migration.FolderRecord) ([]migration.FolderRecord, error) { return in, nil }

// stands is how many rows of users a batch of that name has, shown or not; -1 without it.
func (w *world) stands(name string) (n int) {
	w.Helper()
	w.ok(w.s.r.QueryRowContext(w.Context(), `SELECT COALESCE((SELECT (SELECT COUNT(*) FROM users u WHERE u.batch_id = b.id) FROM batches b WHERE b.name = $1), -1)`, name).Scan(&n))
	return n
}

// testReverseInPieces: between two pieces the new batch is not shown, nobody of it is let
// in, and the other batch is neither started nor moved back once more. Broken off there
// nothing of it is left, and it can be asked for again.
func testReverseInPieces(t *testing.T, open opener) {
	s := open(t)
	w := newWorld(t, s, "acme")
	from, back := w.reversal()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	looked := 0
	_, err := s.ReverseBatch(ctx, &back, from.ID, func(u migration.User) (migration.User, bool) {
		if looked++; looked == turnedAtOnce+1 {
			if n := w.stands("back"); n != turnedAtOnce {
				t.Errorf("%d users before the second piece, want %d", n, turnedAtOnce)
			}
			w.betweenPieces(from)
			cancel()
		}
		return turnAll(u)
	}, asTheyAre)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if _, _, err := s.MovedBack(t.Context(), from, ""); err != nil {
		t.Errorf("it may be started again: %v", err)
	}
	if n := w.stands("back"); n != -1 {
		t.Errorf("%d users are left of what was broken off", n)
	}
	n, err := s.ReverseBatch(t.Context(), &back, from.ID, turnAll, asTheyAre)
	w.ok(err)
	if n != turnedAtOnce+3 || w.stands("back") != n || len(w.admit(10)) != 10 {
		t.Errorf("%d users of the second attempt", n)
	}
}

// betweenPieces looks at a batch that is being made of from as everybody else does.
func (w *world) betweenPieces(from *migration.Batch) {
	w.Helper()
	_, err := w.s.BatchByName(w.Context(), from.OrgID, "back")
	w.refused(err, migration.NotFound)
	if list, err := w.s.ListBatches(w.Context(), from.OrgID, "", 10); err != nil || len(list) != 1 {
		w.Errorf("%d batches are listed, error %v", len(list), err)
	}
	_, _, err = w.s.MovedBack(w.Context(), from, "")
	w.refused(err, migration.Conflict)
}

// testReverseDies: what a process that died was making is as if it had not begun, once no
// piece has come for a while; and one that comes all the same is refused.
func testReverseDies(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	clock := noon
	s.now = func() time.Time { return clock }
	from, back := w.reversal()
	ghost := &making{s: s, of: from.ID, turn: turnAll, records: asTheyAre}
	w.ok(ghost.begin(ctx, back))
	_, err := s.PurgeRemoved(ctx) // without users it is not one that is removed
	w.ok(err)
	more, err := ghost.piece(ctx)
	w.ok(err)
	if !more {
		t.Fatal("there are no more users")
	}
	w.betweenPieces(from)
	if leases := w.admit(5); len(leases) != 0 {
		t.Errorf("%d users of half a batch are admitted", len(leases))
	}
	_, err = s.ReverseBatch(ctx, &back, from.ID, turnAll, asTheyAre)
	w.refused(err, migration.Conflict) // once more

	clock = clock.Add(makingDies - time.Second)
	_, err = s.PurgeRemoved(ctx)
	w.ok(err)
	if n := w.stands("back"); n != turnedAtOnce {
		t.Fatalf("%d users of a batch that is being made", n)
	}
	clock = clock.Add(time.Second)
	_, err = s.PurgeRemoved(ctx)
	w.ok(err)
	if n := w.stands("back"); n != -1 {
		t.Errorf("%d users of a batch that nobody makes", n)
	}
	_, err = ghost.piece(ctx)
	w.refused(err, migration.Conflict)
	w.refused(ghost.end(ctx), migration.Conflict)
	_, err = s.ReverseBatch(ctx, &back, from.ID, turnAll, asTheyAre)
	w.ok(err)
}

// testReverseMeanwhile: a batch is not started between two pieces, and not moved back where
// something else has changed.
func testReverseMeanwhile(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	from, back := w.reversal()
	m := &making{s: s, of: from.ID, turn: turnAll, records: asTheyAre}
	w.ok(m.begin(ctx, back))
	_, err := m.piece(ctx)
	w.ok(err)
	w.refused(w.start(from), migration.Conflict)
	_, err = m.piece(ctx)
	w.ok(err)
	_, err = s.ChangeBatch(ctx, from.OrgID, from.ID, func(b *migration.Batch) error { b.Completing = true; return nil })
	w.ok(err)
	_, err = m.piece(ctx)
	w.refused(err, migration.Conflict)
	w.refused(m.end(ctx), migration.Conflict)
}
