package store

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// testOpposite: a mailbox is not moved to and fro, whoever asks and whatever it goes by,
// as long as both may run.
func testOpposite(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	a, o := newWorld(t, s, "acme"), newWorld(t, s, "other")
	login := func(email, source, target string) migration.User {
		return due(email, func(u *migration.User) { u.UserName, u.TargetUserName = source, target })
	}
	first := a.batch("first", login("ann@example.org", "ann-old", ""), login("bob@example.org", "Bob@old.example", "bob-new"),
		login("eve@example.org", "", ""), login("uta@example.org", "JÜRGEN", "Änne"), due("roo@example.org", func(u *migration.User) { u.UserName, u.UserRoot = "admin", "/users/roo" }))
	for name, x := range map[string]struct {
		user     migration.User
		opposite bool
	}{
		"the same address":                              {login("ANN@example.org", "whoever", "whatever"), true},
		"the logins, under another address":             {login("bob@old.example", "BOB-new", ""), true},
		"the logins, in another case that is not ASCII": {login("v@example.org", "ÄNNE", "Jürgen"), true},
		"the logins, both an address":                   {login("x@example.org", "eve@example.org", "eve@example.org"), true},
		"a root below a login": {due("y@example.org", func(u *migration.User) {
			u.UserName, u.TargetUserName, u.TargetRoot = "roo@example.org", "admin", "/users/roo"
		}), true},
		"another root below that login": {due("z@example.org", func(u *migration.User) {
			u.UserName, u.TargetUserName, u.TargetRoot = "roo@example.org", "admin", "/users/zoe"
		}), false},
		"from there to yet another mailbox": {login("bob@old.example", "bob-new", "bob-archive"), false},
		"to there from yet another mailbox": {login("bob@old.example", "bob-archive", ""), false},
		"nobody who is moved":               {login("new@example.org", "", ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, w := range []*world{a, o} {
				plan := w.plan("back-"+strings.ReplaceAll(name, " ", "-"), w.target, w.source)
				want := map[string]string{}
				code := migration.Code("")
				switch {
				case x.opposite && w == a:
					want[x.user.EmailAddress], code = "first", migration.DuplicateInOtherBatch
				case x.opposite:
					want[x.user.EmailAddress], code = "", migration.AlreadyBeingMoved
				}
				got, err := s.OppositeMailboxes(ctx, plan, []migration.User{login("free@example.org", "", ""), x.user})
				w.ok(err)
				if !maps.Equal(got, want) {
					t.Errorf("for %s: %v, want %v", w.org.Name, got, want)
				}
				_, err = s.CreateBatch(ctx, plan, seq(login("free@example.org", "", ""), x.user))
				if code == "" {
					w.ok(err)
					_, err = s.RemoveUsers(ctx, plan.ID)
					w.ok(err)
					continue
				}
				if reason := w.refused(err, code); !strings.Contains(reason, x.user.EmailAddress) || strings.Contains(reason, "first") != (w == a) || strings.Contains(reason, "other way") != (w == a) {
					t.Errorf("for %s: %s", w.org.Name, reason)
				}
			}
		})
	}

	back := a.plan("back", a.target, a.source)
	_, err := s.CreateBatch(ctx, back, seq(due("free@example.org")))
	a.ok(err)
	_, err = s.AddUsers(ctx, back, seq(due("eve@example.org")))
	a.refused(err, migration.DuplicateInOtherBatch)
	testCircle(a, o)

	movedBack := func(b *migration.Batch, email, wantWho, wantBy string) {
		t.Helper()
		if who, by, err := s.MovedBack(ctx, b, email); err != nil || who != wantWho || by != wantBy {
			t.Errorf("%q: %q by %q, error %v; want %q by %q", email, who, by, err, wantWho, wantBy)
		}
	}
	a.stop(first, true)
	_, err = s.AddUsers(ctx, back, seq(due("eve@example.org"))) // it may not run
	a.ok(err)
	movedBack(first, "", "eve@example.org", "back")
	movedBack(first, "ann@example.org", "", "")
	movedBack(back, "", "", "")
	_, err = s.AddUsers(ctx, first, seq(due("free@example.org"))) // nor may this: its start is asked
	a.ok(err)
	a.refused(a.start(first), migration.DuplicateInOtherBatch)
	a.stop(back, true)
	movedBack(first, "", "", "")
	testStartsAtOnce(t, []*Store{s, open(t)}, first, back)
	testComesIntoOneThatRuns(a, first)
	_, err = s.RemoveUsers(ctx, back.ID)
	a.ok(err)
	theirs := o.plan("theirs", o.target, o.source)
	_, err = s.CreateBatch(ctx, theirs, seq(due("eve@example.org")))
	o.ok(err)
	movedBack(first, "", "eve@example.org", "")
	eve := o.user(theirs, "eve@example.org")
	_, err = s.ChangeUser(ctx, eve.ID, func(u *migration.User) error { u.Status = migration.UserCompleted; return nil })
	o.ok(err)
	movedBack(first, "", "", "")
}

// testCircle: a chain is none, but its end is not led back to its beginning, which is in
// the batch first.
func testCircle(a, o *world) {
	a.Helper()
	third, theirThird := a.endpoint("third", 1, 1), o.endpoint("third", 1, 1)
	a.batchBetween("onwards", a.target, third, due("ann@example.org"))
	a.batchBetween("home", third, a.source, due("kid@example.org"))
	rests := a.plan("rests-there", third, a.source)
	rests.Stopped = true
	_, err := a.s.CreateBatch(a.Context(), rests, seq(due("ANN@example.org", func(u *migration.User) { u.UserName = "ann-3" })))
	a.ok(err)
	if reason := a.refused(a.start(rests), migration.DuplicateInOtherBatch); !strings.Contains(reason, `ann@example.org is moved on`) || !strings.Contains(reason, `"onwards"`) {
		a.Error(reason)
	}
	_, err = o.s.CreateBatch(o.Context(), o.plan("round", theirThird, o.source), seq(due("ann@example.org")))
	if reason := o.refused(err, migration.AlreadyBeingMoved); strings.Contains(reason, "onwards") {
		o.Error(reason)
	}
	b, err := a.s.BatchByName(a.Context(), a.org.ID, "onwards")
	a.ok(err)
	a.stop(&b, true)
	a.ok(a.start(rests))
	a.refused(a.start(&b), migration.DuplicateInOtherBatch)
	for _, name := range []string{"onwards", "home", "rests-there"} {
		b, err := a.s.BatchByName(a.Context(), a.org.ID, name)
		a.ok(err)
		_, err = a.s.RemoveUsers(a.Context(), b.ID)
		a.ok(err)
	}
}

// testStartsAtOnce: of two stopped batches that would move a mailbox to and fro, started
// in the same moment by two processes, one is.
func testStartsAtOnce(t *testing.T, stores []*Store, batches ...*migration.Batch) {
	for range 3 {
		met := make(chan struct{})
		errs := make(chan error, 2)
		for i, b := range batches {
			go func() {
				_, err := stores[i].ChangeBatch(context.WithoutCancel(t.Context()), b.OrgID, b.ID, func(b *migration.Batch) error {
					select { // both in here would look before either has begun
					case met <- struct{}{}:
					case <-met:
						t.Error("the second was let in before the first had ended")
					case <-time.After(50 * time.Millisecond):
					}
					b.StartedAt, b.Stopped = noon, false
					return nil
				})
				errs <- err
			}()
		}
		if one, other := <-errs, <-errs; (one == nil) == (other == nil) {
			t.Errorf("started at once: %v, %v", one, other)
		} else {
			refused(t, errors.Join(one, other), migration.DuplicateInOtherBatch)
		}
		for i, b := range batches {
			_, err := stores[i].ChangeBatch(t.Context(), b.OrgID, b.ID, func(b *migration.Batch) error { b.Stopped = true; return nil })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// testComesIntoOneThatRuns: nor does such a user come, by a file or by a move, into a batch
// that was started since it was looked at. first is stopped, back is, and has eve.
func testComesIntoOneThatRuns(w *world, first *migration.Batch) {
	w.Helper()
	ctx := w.Context()
	other := w.batchBetween("other", w.target, w.source, due("ida@example.org"), due("kim@example.org"))
	rests := w.plan("rests", w.source, w.target)
	rests.Stopped = true
	_, err := w.s.CreateBatch(ctx, rests, seq(due("kim@example.org")))
	w.ok(err)
	if !w.s.dialect.manyWriters {
		w.stop(first, false)
	}
	_, err = w.s.AddUsers(ctx, first, func(yield func(migration.User, error) bool) {
		if w.s.dialect.manyWriters { // it is started in the middle of the file
			w.stop(first, false)
		}
		yield(due("ida@example.org"), nil)
	})
	w.refused(err, migration.DuplicateInOtherBatch)
	move := func() error {
		_, err := w.s.ChangeUser(ctx, w.user(rests, "kim@example.org").ID, func(u *migration.User) error { u.BatchID = first.ID; return nil })
		return err
	}
	w.refused(move(), migration.DuplicateInOtherBatch)
	w.stop(first, true)
	w.ok(move())
	for _, b := range []*migration.Batch{rests, other} {
		_, err = w.s.RemoveUsers(ctx, b.ID)
		w.ok(err)
	}
}
