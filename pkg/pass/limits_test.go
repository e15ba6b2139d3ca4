package pass

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// ordering is a store that has orders for whoever asks.
type ordering struct {
	Store
	asked  chan []int64
	orders map[int64]migration.Order
}

func (o ordering) Beat(_ context.Context, _ string, tokens []int64) ([]int64, error) {
	return tokens, nil
}

func (o ordering) Orders(_ context.Context, tokens []int64) (map[int64]migration.Order, error) {
	o.asked <- tokens
	return o.orders, nil
}

func (o ordering) EndpointByID(context.Context, int64) (migration.Endpoint, error) {
	return migration.Endpoint{}, errors.New("away")
}

// One look is for all passes of the process, and each is told what is its own.
func TestOneLookIsForAllPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rest := &migration.Rest{Reason: "closed"}
		s := ordering{asked: make(chan []int64, 100), orders: map[int64]migration.Order{1: {Stop: true}, 2: {Yield: true}, 3: {Yield: true, Rest: rest}}}
		r := NewRunner(Config{Log: zap.NewNop(), Store: s, Slice: time.Hour})
		alive, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.KeepAlive(alive) }()
		passes := map[int64]*pass{}
		for token := range int64(5) {
			passes[token] = &pass{r: r, begun: time.Now(), hold: r.heart.take(migration.Lease{Token: token}, time.Now(), func(error) {})}
		}
		time.Sleep(beatEvery) // in the bubble
		synctest.Wait()
		for token, p := range passes {
			o := p.hold.orders()
			if o != s.orders[token] || p.yield() != (token >= 1 && token <= 3) {
				t.Errorf("lease %d: told %+v, yields %v", token, o, p.yield())
			}
			select {
			case <-p.hold.stopped:
				if token != 1 {
					t.Errorf("lease %d is to be cut off, and nobody stopped it", token)
				}
			default:
			}
		}
		if n := len(s.asked); n != 1 {
			t.Errorf("%d looks, want 1", n)
		} else if tokens := <-s.asked; len(tokens) != len(passes) {
			t.Errorf("looked for %v", tokens)
		}
		// Said again, it is no other order; taken back, it stands.
		time.Sleep(beatEvery) // in the bubble
		synctest.Wait()
		if n := len(s.asked); n != 1 {
			t.Errorf("%d more looks, want 1", n)
		}
		passes[2].hold.tell(migration.Order{})
		if !passes[2].yield() {
			t.Error("an order was taken back")
		}
		for _, p := range passes {
			r.heart.drop(p.hold)
		}
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAPassToldThatTheDayIsOverWaitsForTheNext(t *testing.T) {
	w := newWorld(t, nil, alice())
	rest := &migration.Rest{Code: migration.BudgetExhausted, Reason: "used up", Until: time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)}
	for _, order := range []migration.Order{{Yield: true}, {Yield: true, Rest: rest}} {
		l := w.admit()
		w.engine(func(_ context.Context, job mailsync.Job) (mailsync.Outcome, error) {
			if job.Yield() {
				t.Error("asked to yield before it was told")
			}
			for _, d := range w.heart.all() {
				d.tell(order)
			}
			<-job.Stop // also while it only waits
			return mailsync.Outcome{Tally: migration.Tally{Bytes: 7}, Yielded: job.Yield(), Progress: true}, nil
		})
		w.Handle(t.Context(), l.UserID, l.Token)
		u := w.user(l.UserID)
		want := migration.UserState{Status: migration.UserQueued, Yielded: true, NextRunAt: u.NextRunAt}
		if order.Rest != nil {
			want = migration.UserState{Status: migration.UserWaiting, Yielded: true, NextRunAt: rest.Until, Code: rest.Code, Reason: rest.Reason}
		}
		want.LoggedInAt = u.LoggedInAt // it got in
		if u.UserState != want || u.LoggedInAt.IsZero() {
			t.Errorf("told %+v the user is %+v, want %+v", order, u.UserState, want)
		}
	}
}

func TestAPassBegunWhileItsEndpointRestsConnectsNowhere(t *testing.T) {
	w := newWorld(t, nil, alice())
	l := w.admit()
	e := w.endpoint(w.target.ID)
	e.Hours = migration.Hours(time.Now().UTC().Add(2*time.Hour).Format("15:04") + "-" + time.Now().UTC().Add(3*time.Hour).Format("15:04"))
	must(t, w.db.UpdateEndpoint(t.Context(), &e))
	w.engine(func(context.Context, mailsync.Job) (mailsync.Outcome, error) {
		t.Error("the engine runs outside the hours")
		return mailsync.Outcome{}, nil
	})
	w.Handle(t.Context(), l.UserID, l.Token)
	if u := w.user(l.UserID); u.Status != migration.UserWaiting || !u.NextRunAt.After(time.Now().Add(time.Hour)) || u.Attempts != 0 || u.Reason == "" {
		t.Errorf("user is %+v", u.UserState)
	}
}

func TestAnEndpointThatAsksForTimeHasFewerPassesAndTheTimeIsCounted(t *testing.T) {
	w := newWorld(t, nil, alice())
	throttled := fault(migration.Throttled, migration.ScopeUser, migration.Source)
	throttled.RetryAfter = 90 * time.Second
	w.engine(func(context.Context, mailsync.Job) (mailsync.Outcome, error) { return mailsync.Outcome{}, throttled })
	begun := time.Now()
	u := w.run()
	if u.Status != migration.UserWaiting || u.Attempts != 0 || u.NextRunAt.Sub(begun) < 90*time.Second {
		t.Errorf("user is %+v", u.UserState)
	}
	if e := w.endpoint(w.source.ID); e.LimitAt(time.Now()) != 10 || w.endpoint(w.target.ID).Working != (migration.Working{}) {
		t.Errorf("source %+v, target %+v", e.Working, w.endpoint(w.target.ID).Working)
	}
	page := httptest.NewRecorder()
	w.Metrics.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if want := `mailhaul_throttled_seconds_total{endpoint="default/old"} 90`; !strings.Contains(page.Body.String(), want) {
		t.Errorf("the metrics lack %s", want)
	}
}

// A pass has as many connections as both endpoints allow it; what an operator changes
// holds from the next one on.
func TestAPassHasTheConnectionsThatBothEndpointsAllow(t *testing.T) {
	w := newWorld(t, func(w *world) { w.source.ConnectionsPerMailbox = 4 }, alice())
	var had []int
	for _, target := range []int{1, 3, 9} {
		e := w.endpoint(w.target.ID)
		e.ConnectionsPerMailbox = target
		must(t, w.db.UpdateEndpoint(t.Context(), &e))
		l := w.admit()
		w.engine(func(_ context.Context, job mailsync.Job) (mailsync.Outcome, error) {
			had = append(had, job.Connections)
			return mailsync.Outcome{Yielded: true, Progress: true}, nil // and due again at once
		})
		w.Handle(t.Context(), l.UserID, l.Token)
	}
	if want := []int{1, 3, 4}; !slices.Equal(had, want) {
		t.Errorf("passes had %v connections, want %v", had, want)
	}
}

// A further connection that is refused says nothing about the administrator's password
// or the endpoint, and the pass goes well.
func TestAFurtherConnectionRefusedAccusesNobody(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.source.LoginTemplate, w.source.AdminUser, w.source.AdminSecret = "{user}*{admin}", "root", []byte("a")
		w.source.ConnectionsPerMailbox, w.target.ConnectionsPerMailbox = 4, 4
	}, migration.User{EmailAddress: "alice@new.example", UserName: "alice", TargetSecret: []byte("t")})
	refused := fault(migration.AuthFailed, migration.ScopeUser, migration.Source)
	w.engine(func(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error) {
		w.connect = func(Account) error { return refused }
		for range 2 * maxRefused {
			if _, err := job.FurtherSource(ctx); err == nil {
				t.Error("it was not refused")
			}
		}
		w.connect = nil
		return mailsync.Outcome{Fewer: refused}, nil
	})
	if u, e := w.run(), w.endpoint(w.source.ID); u.Status != migration.UserSynced || e.Park != (migration.Park{}) {
		t.Errorf("user %+v, park %+v", u.UserState, e.Park)
	}
	e := w.endpoint(w.source.ID)
	if err := w.admins.judge(&e, refused); migration.AsFault(err).Scope != migration.ScopeUser {
		t.Errorf("the next login that is rejected is %v", err)
	}
}
