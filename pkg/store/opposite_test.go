package store

import (
	"maps"
	"strings"
	"testing"

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
		login("eve@example.org", "", ""), due("roo@example.org", func(u *migration.User) { u.UserName, u.UserRoot = "admin", "/users/roo" }))
	for name, x := range map[string]struct {
		user     migration.User
		opposite bool
	}{
		"the same address":                  {login("ANN@example.org", "whoever", "whatever"), true},
		"the logins, under another address": {login("bob@old.example", "BOB-new", ""), true},
		"the logins, both an address":       {login("x@example.org", "eve@example.org", "eve@example.org"), true},
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
	a.batchBetween("onwards", a.target, a.endpoint("third", 1, 1), due("ann@example.org")) // a chain is no circle

	stop := func(b *migration.Batch, stopped bool) {
		t.Helper()
		_, err := s.ChangeBatch(ctx, b.OrgID, b.ID, func(b *migration.Batch) error { b.Stopped = stopped; return nil })
		a.ok(err)
		b.Stopped = stopped
	}
	movedBack := func(b *migration.Batch, email, wantWho, wantBy string) {
		t.Helper()
		if who, by, err := s.MovedBack(ctx, b, email); err != nil || who != wantWho || by != wantBy {
			t.Errorf("%q: %q by %q, error %v; want %q by %q", email, who, by, err, wantWho, wantBy)
		}
	}
	stop(first, true)
	_, err = s.AddUsers(ctx, back, seq(due("eve@example.org"))) // it may not run
	a.ok(err)
	movedBack(first, "", "eve@example.org", "back")
	movedBack(first, "ann@example.org", "", "")
	movedBack(back, "", "", "")
	_, err = s.AddUsers(ctx, first, seq(due("free@example.org"))) // nor may this: its start is asked
	a.ok(err)
	stop(back, true)
	movedBack(first, "", "", "")
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
