package pass

import (
	"context"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestAnEndpointThatIsDownIsParkedAndItsUsersGoOnLater(t *testing.T) {
	w := newWorld(t, nil, alice())
	w.connect = func(a Account) error {
		if a.Side == migration.Target {
			return fault(migration.ConnectionFailed, migration.ScopeEndpoint, migration.Target)
		}
		return nil
	}
	u := w.run()
	e := w.endpoint(w.target.ID)
	if u.Status != migration.UserWaiting || u.Attempts != 0 || !e.Park.Until.After(time.Now()) || e.Park.Code != migration.ConnectionFailed {
		t.Fatalf("user %+v, park %+v", u.UserState, e.Park)
	}
	if p := w.endpoint(w.source.ID).Park; p != (migration.Park{}) {
		t.Errorf("the source is parked too: %+v", p)
	}
	if l, err := w.db.Admit(t.Context(), time.Now().UTC(), 10); err != nil || len(l) != 0 {
		t.Errorf("admitted %v while parked, error %v", l, err)
	}

	// The probe finds it well: the park ends.
	must(t, w.db.SetPark(t.Context(), e.ID, migration.Park{Until: time.Now().UTC().Add(-time.Second), Interval: e.Park.Interval}))
	w.connect = nil
	if u = w.run(); u.Status != migration.UserSynced || w.endpoint(e.ID).Park != (migration.Park{}) {
		t.Errorf("user %+v, park %+v", u.UserState, w.endpoint(e.ID).Park)
	}
}

func TestOneOutageIsOnePark(t *testing.T) {
	w := newWorld(t, nil, alice())
	p := &pass{r: w.Runner, log: w.Log}
	down := fault(migration.ConnectionFailed, migration.ScopeEndpoint, migration.Target)
	must(t, p.parkAt(t.Context(), w.target.ID, down))
	first := w.endpoint(w.target.ID).Park
	must(t, p.parkAt(t.Context(), w.target.ID, down)) // another of the passes that ran
	if again := w.endpoint(w.target.ID).Park; !again.Until.Equal(first.Until) || again.Interval != first.Interval {
		t.Errorf("park grew from %+v to %+v", first, again)
	}
}

func TestACutConnectionIsNotAnEndpointThatIsDown(t *testing.T) {
	w := newWorld(t, nil, alice())
	w.engine(func(context.Context, mailsync.Job) (mailsync.Outcome, error) {
		return mailsync.Outcome{}, fault(migration.ConnectionFailed, migration.ScopeEndpoint, migration.Source)
	})
	u := w.run()
	if u.Attempts != 1 || w.endpoint(w.source.ID).Park != (migration.Park{}) {
		t.Errorf("user %+v, park %+v", u.UserState, w.endpoint(w.source.ID).Park)
	}
}

func TestARejectedAdministratorPausesTheEndpoint(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.source.LoginTemplate, w.source.AdminUser, w.source.AdminSecret = "{user}*{admin}", "root", []byte("a")
		w.source.Preset = "dovecot"
	}, migration.User{EmailAddress: "alice@new.example", UserName: "alice", TargetSecret: []byte("t")})
	w.connect = func(a Account) error {
		if !a.Admin {
			return nil
		}
		if a.User != "alice*root" || a.Password.Reveal() != "a" || a.Preset != "dovecot" {
			t.Errorf("account %+v", a)
		}
		return fault(migration.AuthFailed, migration.ScopeUser, migration.Source)
	}
	u := w.run()
	if e := w.endpoint(w.source.ID); u.Status != migration.UserWaiting || !e.Park.Held {
		t.Errorf("user %+v, park %+v", u.UserState, e.Park)
	}
}

// A worker that has just begun knows from the store that the password is right: a mailbox
// that does not exist is that user's fault only.
func TestAWorkerThatBeginsBelievesTheOthersAboutAnAdministrator(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.source.LoginTemplate, w.source.AdminUser, w.source.AdminSecret = "{user}*{admin}", "root", []byte("a")
	}, migration.User{EmailAddress: "alice@new.example", UserName: "alice", TargetSecret: []byte("t")},
		migration.User{EmailAddress: "nobody@new.example", UserName: "nobody", TargetSecret: []byte("t")})
	if u := w.run(); u.Status != migration.UserSynced {
		t.Fatalf("user %+v", u.UserState)
	}
	if e := w.endpoint(w.source.ID); time.Since(e.AdminWorkedAt) > time.Minute {
		t.Fatalf("worked at %v", e.AdminWorkedAt)
	}
	w.admins.seen = nil
	w.connect = func(a Account) error {
		if !a.Admin {
			return nil
		}
		return fault(migration.AuthFailed, migration.ScopeUser, migration.Source)
	}
	u := w.run()
	if e := w.endpoint(w.source.ID); u.Code != migration.AuthFailed || e.Park.Held {
		t.Errorf("user %+v, park %+v", u.UserState, e.Park)
	}
}

func TestOneUnknownMailboxDoesNotAccuseAnAdministratorThatWorks(t *testing.T) {
	e := &migration.Endpoint{ID: 1, AdminSecret: []byte("a")}
	other := &migration.Endpoint{ID: 1, AdminSecret: []byte("b")}
	elsewhere := &migration.Endpoint{ID: 1, AdminSecret: []byte("a"), AdminWorkedAt: time.Now().Add(-time.Hour)}
	longAgo := &migration.Endpoint{ID: 1, AdminSecret: []byte("a"), AdminWorkedAt: time.Now().Add(-25 * time.Hour)}
	rejected := fault(migration.AuthFailed, migration.ScopeUser, migration.Source)
	rows := []struct {
		story string
		did   []error // what went before, with e
		at    *migration.Endpoint
		want  migration.Scope
	}{
		{"the first login of all", nil, e, migration.ScopeEndpoint},
		{"it has just opened another mailbox", []error{nil}, e, migration.ScopeUser},
		{"the third in a row", []error{nil, rejected, rejected}, e, migration.ScopeEndpoint},
		{"it worked in between", []error{nil, rejected, rejected, nil}, e, migration.ScopeUser},
		{"another worker got in with it", nil, elsewhere, migration.ScopeUser},
		{"another worker got in, the third in a row here", []error{rejected, rejected}, elsewhere, migration.ScopeEndpoint},
		{"another worker got in long ago", nil, longAgo, migration.ScopeEndpoint},
		{"another password worked", []error{nil}, other, migration.ScopeEndpoint},
	}
	for _, row := range rows {
		var a admins
		for _, err := range row.did {
			_ = a.judge(e, err)
		}
		if got := migration.AsFault(a.judge(row.at, rejected)); got.Scope != row.want || got.Code != migration.AuthFailed {
			t.Errorf("%s: scope %s, want %s", row.story, got.Scope, row.want)
		}
	}
}
