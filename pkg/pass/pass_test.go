package pass

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestASyncLeavesTheUserSyncedAndDueAgain(t *testing.T) {
	w := newWorld(t, nil, alice())
	w.engine(func(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error) {
		tally := migration.Tally{Seen: 3, Copied: 2, Skipped: 1, Bytes: 20}
		if err := job.Records.Commit(ctx, migration.Window{Folder: "INBOX", Head: []byte("h"), Append: []byte("j"), Tally: tally}); err != nil {
			return mailsync.Outcome{}, err
		}
		return mailsync.Outcome{Tally: tally, Progress: true, Items: []migration.Item{{Folder: "INBOX", UID: 7, Code: migration.MessageTooLarge}}}, nil
	})
	u := w.run()
	if u.Status != migration.UserSynced || u.NextRunAt.IsZero() || u.Totals.Copied != 2 || u.Messages().Seen != 3 || w.leases() != 0 {
		t.Errorf("user %+v, %d leases", u, w.leases())
	}
	if a := w.accounts; a[0].User != "alice" || a[0].Password.Reveal() != "s" || a[0].Host != "old.example" ||
		a[1].User != "alice@new.example" || a[1].Password.Reveal() != "t" {
		t.Errorf("accounts %+v", a)
	}
	events, err := w.db.EventsAfter(t.Context(), u.OrgID, u.BatchID, 0, 10)
	if err != nil || len(events) != 1 || events[0].Kind != "user.synced" || events[0].Data["emailAddress"] != u.EmailAddress {
		t.Errorf("events %+v, error %v", events, err)
	}

	// The next pass finds the record of this one.
	if _, err := w.db.SyncUsersNow(t.Context(), w.batch.ID, u.LastSyncedAt); err != nil {
		t.Fatal(err)
	}
	w.engine(func(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error) {
		records, err := job.Records.Records(ctx)
		if err != nil || len(records) != 1 || string(records[0].Head) != "h" {
			t.Errorf("records %+v, error %v", records, err)
		}
		return mailsync.Outcome{Tally: migration.Tally{Seen: 3, Unchanged: 3}}, nil
	})
	if u = w.run(); u.Status != migration.UserSynced || u.Totals.Copied != 2 || u.Messages().Copied != 2 {
		t.Errorf("after the resync: %+v", u)
	}
}

func TestADoubledTaskRunsOnce(t *testing.T) {
	w := newWorld(t, nil, alice())
	runs := 0
	w.engine(func(context.Context, mailsync.Job) (mailsync.Outcome, error) { runs++; return mailsync.Outcome{}, nil })
	l := w.admit()
	for range 3 {
		w.Handle(t.Context(), l.UserID, l.Token)
	}
	if runs != 1 {
		t.Errorf("ran %d times", runs)
	}
}

// TestOnlyWhoIsNewDoubtsItsMailbox: a pass that died has left its mark in the records, if
// it sent anything; who was removed has left none.
func TestOnlyWhoIsNewDoubtsItsMailbox(t *testing.T) {
	w := newWorld(t, nil, alice())
	told := map[bool]bool{}
	for _, isNew := range []bool{false, true} {
		l := w.admit()
		_, err := w.db.Claim(t.Context(), l.Token, "w")
		must(t, err)
		next := migration.UserState{Status: migration.UserQueued, NextRunAt: time.Now().UTC().Add(-time.Second)}
		if !isNew {
			next.Takeovers, next.Yielded = 1, true
		}
		must(t, w.db.Release(t.Context(), l.Token, true, next))
		w.engine(func(_ context.Context, job mailsync.Job) (mailsync.Outcome, error) {
			told[isNew] = job.Unsettled
			return mailsync.Outcome{}, nil
		})
		u := w.run()
		_, err = w.db.SyncUsersNow(t.Context(), w.batch.ID, u.LastSyncedAt)
		must(t, err)
	}
	if len(told) != 2 || told[false] || !told[true] {
		t.Errorf("unsettled by whether the user is new: %v", told)
	}
}

// untilYield stands for a long pass: it ends when it is asked to, between windows.
func untilYield(begun chan<- struct{}) func(context.Context, mailsync.Job) (mailsync.Outcome, error) {
	return func(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error) {
		close(begun)
		for !job.Yield() {
			if err := context.Cause(ctx); err != nil {
				return mailsync.Outcome{}, err
			}
		}
		return mailsync.Outcome{Yielded: true, Progress: true, Tally: migration.Tally{Seen: 2, Copied: 1}}, nil
	}
}

func TestAnOperatorsStopEndsARunningPass(t *testing.T) {
	w := newWorld(t, nil, alice())
	begun := make(chan struct{})
	w.engine(untilYield(begun))
	l := w.admit()
	wait := w.background(l)
	<-begun
	if n, err := w.db.StopUsers(t.Context(), w.batch.ID); err != nil || n != 1 {
		t.Fatalf("stopped %d, error %v", n, err)
	}
	w.lookForOrders(t.Context(), w.heart.all())
	wait()
	if u := w.user(l.UserID); u.Status != migration.UserStopped || !u.NextRunAt.IsZero() || u.Stopping {
		t.Errorf("user %+v", u.UserState)
	}
}

func TestADrainHandsThePassOn(t *testing.T) {
	w := newWorld(t, nil, alice())
	begun := make(chan struct{})
	w.engine(untilYield(begun))
	l := w.admit()
	wait := w.background(l)
	<-begun
	close(w.draining)
	wait()
	u := w.user(l.UserID)
	if u.Status != migration.UserQueued || !u.Yielded || u.NextRunAt.IsZero() || u.Attempts != 0 {
		t.Errorf("user %+v", u.UserState)
	}
	w.admit() // at once, by anybody
}

// TestWhatOnlyWaitsIsToldToStop: between windows nobody is asked while folders settle.
func TestWhatOnlyWaitsIsToldToStop(t *testing.T) {
	for _, drain := range []bool{true, false} {
		w := newWorld(t, nil, alice())
		begun := make(chan struct{})
		w.engine(func(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error) {
			close(begun)
			select {
			case <-job.Stop:
			case <-ctx.Done():
			}
			return mailsync.Outcome{Yielded: true}, context.Cause(ctx)
		})
		l := w.admit()
		wait := w.background(l)
		<-begun
		if drain {
			close(w.draining)
		} else {
			_, err := w.db.StopUsers(t.Context(), w.batch.ID)
			must(t, err)
			w.lookForOrders(t.Context(), w.heart.all())
		}
		wait()
		if w.leases() != 0 {
			t.Errorf("drain %v: the lease is not free", drain)
		}
	}
}

func TestALostLeaseEndsThePassWithoutAWord(t *testing.T) {
	w := newWorld(t, nil, alice())
	begun, cause := make(chan struct{}), make(chan error, 1)
	w.engine(func(ctx context.Context, _ mailsync.Job) (mailsync.Outcome, error) {
		close(begun)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return mailsync.Outcome{Tally: migration.Tally{Copied: 9}}, context.Cause(ctx)
	})
	l := w.admit()
	wait := w.background(l)
	<-begun
	taken := migration.UserState{Status: migration.UserQueued, Yielded: true}
	must(t, w.db.Release(t.Context(), l.Token, true, taken))
	w.beat(t.Context(), w.heart.all())
	wait()
	if err := <-cause; !errors.Is(err, migration.ErrLeaseLost) {
		t.Errorf("cause %v", err)
	}
	if u := w.user(l.UserID); u.Totals.Copied != 0 || u.Status != migration.UserQueued {
		t.Errorf("user %+v", u)
	}
}

func TestALastSyncIsVerifiedAndForgetsSecrets(t *testing.T) {
	rows := []struct {
		story   string
		receipt migration.Receipt
		want    migration.UserStatus
	}{
		{"all the same", migration.Receipt{Messages: 4, Digest: "d"}, migration.UserCompleted},
		{"one is missing", migration.Receipt{Messages: 4, Missing: 1}, migration.UserCompletedWithWarnings},
	}
	for _, row := range rows {
		t.Run(row.story, func(t *testing.T) {
			w := newWorld(t, nil, alice())
			w.Engine.Verify = func(context.Context, mailsync.VerifyJob) (migration.Receipt, error) { return row.receipt, nil }
			if _, err := w.db.CompleteUsers(t.Context(), w.batch.ID, w.batch.CreatedAt); err != nil {
				t.Fatal(err)
			}
			u := w.run()
			if u.Status != row.want || u.SourceSecret != nil || u.TargetSecret != nil {
				t.Errorf("user %+v", u)
			}
			receipts, err := w.db.ListReceipts(t.Context(), w.batch.ID, "", 10)
			if err != nil || len(receipts) != 1 || receipts[0].Messages != 4 {
				t.Errorf("receipts %+v, error %v", receipts, err)
			}
		})
	}
}

func TestAVerifyThatFailsIsTriedAgainBeforeSecretsAreErased(t *testing.T) {
	w := newWorld(t, nil, alice())
	w.Engine.Verify = func(context.Context, mailsync.VerifyJob) (migration.Receipt, error) {
		return migration.Receipt{}, fault(migration.ConnectionFailed, migration.ScopeUser, migration.Target)
	}
	if _, err := w.db.CompleteUsers(t.Context(), w.batch.ID, w.batch.CreatedAt); err != nil {
		t.Fatal(err)
	}
	if u := w.run(); u.Status != migration.UserWaiting || u.NextRunAt.IsZero() || u.SourceSecret == nil || !u.Completing {
		t.Errorf("user %+v", u)
	}
}

func TestAPanicIsAFaultOfOurs(t *testing.T) {
	w := newWorld(t, nil, alice())
	w.engine(func(context.Context, mailsync.Job) (mailsync.Outcome, error) { panic("oops") })
	if u := w.run(); u.Status != migration.UserWaiting || u.Code != migration.Internal || u.Attempts != 1 {
		t.Errorf("user %+v", u.UserState)
	}
}

func TestARejectedPasswordIsTheUsersOnly(t *testing.T) {
	w := newWorld(t, nil, alice())
	w.connect = func(Account) error { return fault(migration.AuthFailed, migration.ScopeUser, migration.Source) }
	u := w.run()
	if u.Status != migration.UserNeedsCredentials || !u.NextRunAt.IsZero() || w.endpoint(w.source.ID).Park != (migration.Park{}) {
		t.Errorf("user %+v, park %+v", u.UserState, w.endpoint(w.source.ID).Park)
	}
}

// A server that rejects for a while what worked today is asked once more, ten minutes
// later; new credentials that are wrong are not.
func TestCredentialsThatWorkedGetOneMoreTry(t *testing.T) {
	w := newWorld(t, nil, alice())
	u := w.run()
	if u.Status != migration.UserSynced || u.LoggedInAt.IsZero() {
		t.Fatalf("user %+v", u.UserState)
	}
	w.connect = func(a Account) error {
		if a.Side == migration.Target {
			return nil
		}
		return fault(migration.AuthFailed, migration.ScopeUser, migration.Source)
	}
	again := func() migration.User {
		_, err := w.db.ChangeUser(t.Context(), u.ID, func(u *migration.User) error {
			u.NextRunAt = time.Now().UTC()
			return nil
		})
		must(t, err)
		return w.run()
	}
	began := time.Now()
	u = again()
	if left := u.NextRunAt.Sub(began); u.Status != migration.UserWaiting || u.Code != migration.AuthFailed || left < 10*time.Minute {
		t.Errorf("after the first rejection: %+v", u.UserState)
	}
	if u = again(); u.Status != migration.UserNeedsCredentials || !u.NextRunAt.IsZero() {
		t.Errorf("after the second: %+v", u.UserState)
	}
}

func TestAUserWithoutAPasswordNeedsOne(t *testing.T) {
	w := newWorld(t, nil, migration.User{EmailAddress: "alice@new.example", UserName: "alice", SourceSecret: []byte("s")})
	if u := w.run(); u.Status != migration.UserNeedsCredentials || u.Code != migration.AuthFailed {
		t.Errorf("user %+v", u.UserState)
	}
}
