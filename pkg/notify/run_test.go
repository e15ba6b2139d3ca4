package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/notify"
	"github.com/mailhaul/mailhaul/pkg/store"
	"github.com/mailhaul/mailhaul/pkg/store/storetest"
	"github.com/mailhaul/mailhaul/test/mailsink"
)

// world is a store with a batch, and several notifiers over it.
type world struct {
	*testing.T
	store *store.Store
	batch migration.Batch
	hook  migration.Webhook
	log   bytes.Buffer
	zap   *zap.Logger
	mail  notify.Server
	now   time.Time

	mu     sync.Mutex
	calls  []migration.Notice
	ids    []string
	answer int
}

func newWorld(t *testing.T, smtp int) *world {
	w := &world{T: t, now: time.Now().UTC().Add(time.Hour), answer: 200} // never before the store's own, however slow the machine
	w.zap = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(&w.log)), zap.DebugLevel))
	var err error
	if w.store, err = store.Open(t.Context(), storetest.SQLite(t, filepath.Join(t.TempDir(), "m.db"))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	org, err := w.store.OrgByName(t.Context(), migration.DefaultOrg)
	w.ok(err)
	w.ok(w.store.CreateToken(t.Context(), migration.Token{ID: "t1", OrgID: org.ID, Role: migration.Operator, Hash: []byte("h"), Email: "creator@example.org", CreatedAt: w.now}))
	e := migration.Endpoint{OrgID: org.ID, Name: "e", EndpointSpec: migration.EndpointSpec{Host: "h", MaxConcurrentMigrations: 9, MaxConcurrentIncrementalSyncs: 9}}
	w.ok(w.store.CreateEndpoint(t.Context(), &e))
	w.batch = migration.Batch{
		OrgID: org.ID, Name: "pilot", SourceEndpointID: e.ID, TargetEndpointID: e.ID, StartedAt: w.now, CreatedBy: "t1",
		BatchSpec: migration.BatchSpec{Notify: []string{"ops@example.org", "creator@example.org"}},
	}
	_, err = w.store.CreateBatch(t.Context(), &w.batch, func(yield func(migration.User, error) bool) {
		for i := range 3 {
			u := migration.User{EmailAddress: fmt.Sprintf("u%d@example.org", i)}
			u.Status = migration.UserQueued
			if !yield(u, nil) {
				return
			}
		}
	})
	w.ok(err)
	s := httptest.NewServer(http.HandlerFunc(w.called))
	t.Cleanup(s.Close)
	w.hook = migration.Webhook{OrgID: org.ID, URL: s.URL, Secret: []byte("sealed")}
	w.ok(w.store.CreateWebhook(t.Context(), &w.hook, 5))
	w.mail, err = notify.ParseServer(migration.NewSecret(fmt.Sprintf("smtp+plain://127.0.0.1:%d", smtp)), "haul@example.com")
	w.ok(err)
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) called(rw http.ResponseWriter, r *http.Request) {
	var n migration.Notice
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &n); err != nil {
		w.Errorf("%v in %s", err, body)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.ids = append(w.calls, n), append(w.ids, r.Header.Get("webhook-id"))
	rw.WriteHeader(w.answer)
}

// process is a new notifier, as a process that has just started.
func (w *world) process() *notify.Notifier {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	none := func(context.Context, string, string) ([]notify.Attachment, error) { return nil, nil }
	open := func(migration.Webhook) (migration.Secret, error) { return migration.NewSecret("whsec_AAAA"), nil }
	return notify.New(notify.Config{
		Store: w.store, Mail: notify.NewMail(w.mail, dial, nil, none), Webhook: notify.NewWebhooks(w.store, open, dial, nil),
		Log: w.zap, Now: func() time.Time { return w.now },
	})
}

// all has several processes look at the same moment.
func (w *world) all() {
	w.Helper()
	var group sync.WaitGroup
	for range 3 {
		n := w.process()
		group.Go(func() {
			if err := n.Once(w.Context()); err != nil {
				w.Error(err)
			}
		})
	}
	group.Wait()
}

// set puts all users into a state.
func (w *world) set(change func(i int, u *migration.User)) {
	w.Helper()
	list, err := w.store.ListUsers(w.Context(), w.batch.ID, migration.UserFilter{}, "", 10)
	w.ok(err)
	for i, u := range list {
		_, err := w.store.ChangeUser(w.Context(), u.ID, func(u *migration.User) error { change(i, u); return nil })
		w.ok(err)
	}
}

func recipients(mails []mailsink.Mail) (to []string) {
	for _, m := range mails {
		to = append(to, m.To)
	}
	slices.Sort(to)
	return to
}

// TestEachAddressIsToldOnce: over several processes at once, again and again, of the
// first sync and of the last.
func TestEachAddressIsToldOnce(t *testing.T) {
	sink := mailsink.New(t, mailsink.Config{})
	w := newWorld(t, sink.Port)
	w.all()
	w.set(func(i int, u *migration.User) {
		if i > 0 { // one is still to come
			u.Status, u.FirstSyncedAt = migration.UserSynced, w.now
		}
	})
	w.all()
	if n := len(sink.Mails()) + len(w.calls); n != 0 {
		t.Fatalf("%d were told of a batch that syncs", n)
	}
	w.set(func(i int, u *migration.User) {
		if i == 0 {
			u.Status, u.Code = migration.UserNeedsCredentials, migration.AuthFailed
		}
	})
	for range 3 {
		w.all()
	}
	want := []string{"creator@example.org", "ops@example.org"}
	if got := recipients(sink.Mails()); !slices.Equal(got, want) {
		t.Errorf("mail went to %v, want %v", got, want)
	}
	if len(w.calls) != 1 || w.calls[0].Type != "batch.synced" || w.calls[0].Data.Status != "SyncedWithErrors" ||
		w.calls[0].Data.Users["Synced"] != 2 || w.calls[0].Data.Org != "default" || w.calls[0].Data.Batch != "pilot" {
		t.Errorf("called with %+v", w.calls)
	}
	_, err := w.store.ChangeBatch(t.Context(), w.batch.OrgID, w.batch.ID, func(b *migration.Batch) error { b.Completing = true; return nil })
	w.ok(err)
	w.set(func(i int, u *migration.User) { u.Status = migration.UserCompleted })
	for range 3 {
		w.all()
	}
	if got := recipients(sink.Mails()); !slices.Equal(got, append(want[:1:1], "creator@example.org", "ops@example.org", "ops@example.org")) {
		t.Errorf("after completion mail has gone to %v", got)
	}
	if len(w.calls) != 2 || w.calls[1].Type != "batch.completed" || w.calls[1].Data.Status != "Completed" {
		t.Errorf("called with %+v", w.calls)
	}
}

// TestWhatFailsIsTriedAgain: with the pauses of the schedule, under the same id, and
// for a day.
func TestWhatFailsIsTriedAgain(t *testing.T) {
	sink := mailsink.New(t, mailsink.Config{})
	w := newWorld(t, sink.Port)
	w.answer = 503
	w.ok(w.store.AddEvent(t.Context(), migration.Event{
		OrgID: w.batch.OrgID, BatchID: w.batch.ID, Kind: migration.EventUserFailed, At: w.now,
		Data: map[string]any{"emailAddress": "u0@example.org", "status": "Failed", "code": "QuotaExceeded", "reason": "full"},
	}))
	start := w.now
	w.all()
	if len(w.calls) != 1 || w.calls[0].Data.Remedy != migration.QuotaExceeded.Remedy() || w.calls[0].Data.EmailAddress != "u0@example.org" {
		t.Fatalf("called with %+v", w.calls)
	}
	w.now = start.Add(29 * time.Second)
	w.all()
	if len(w.calls) != 1 {
		t.Errorf("called again before its time")
	}
	last := w.now
	for range 60 {
		w.now = w.now.Add(time.Hour)
		before := len(w.calls)
		w.all()
		if len(w.calls) > before {
			last = w.now
		}
	}
	if d := last.Sub(start); d < 22*time.Hour || d > 25*time.Hour {
		t.Errorf("tried for %s, want a day", d)
	}
	if slices.ContainsFunc(w.ids, func(id string) bool { return id != w.ids[0] }) {
		t.Errorf("ids %v", w.ids)
	}
	list, err := w.store.ListDeliveries(t.Context(), w.hook.ID, 0, 10)
	w.ok(err)
	if len(list) != 1 || list[0].Delivered || !list[0].DueAt.IsZero() || list[0].Answer != "HTTP 503" || list[0].Attempts != len(w.calls) {
		t.Errorf("told of it: %+v", list)
	}
}

// TestMailIsPutOffOrGivenUp: by what the server says of the address.
func TestMailIsPutOffOrGivenUp(t *testing.T) {
	sink := mailsink.New(t, mailsink.Config{})
	sink.Answer("RCPT", "450 later", "550 nobody here", "250 fine")
	w := newWorld(t, sink.Port)
	w.set(func(i int, u *migration.User) { u.Status, u.FirstSyncedAt = migration.UserSynced, w.now })
	for range 4 {
		w.all()
		w.now = w.now.Add(2 * time.Minute)
	}
	if mails := sink.Mails(); len(mails) != 1 {
		t.Errorf("%d mails, want the one that was put off", len(mails))
	}
	if !strings.Contains(w.log.String(), `550 \"nobody here`) || !strings.Contains(w.log.String(), `"givenUp":true`) {
		t.Errorf("the log is %s", w.log.String())
	}
}

// TestALostAnswerIsTheOnlyThingThatTellsTwice: the server has the mail, and nobody
// knows; the second has the same Message-ID.
func TestALostAnswerIsTheOnlyThingThatTellsTwice(t *testing.T) {
	sink := mailsink.New(t, mailsink.Config{})
	w := newWorld(t, sink.Port)
	_, err := w.store.ChangeBatch(t.Context(), w.batch.OrgID, w.batch.ID, func(b *migration.Batch) error { b.Notify = nil; return nil })
	w.ok(err)
	w.set(func(i int, u *migration.User) { u.Status, u.FirstSyncedAt = migration.UserSynced, w.now })
	sink.Answer(".", "")
	for range 4 {
		w.all()
		w.now = w.now.Add(time.Minute)
	}
	mails := sink.Mails()
	if len(mails) != 2 || messageID(mails[0].Text) == "" || messageID(mails[0].Text) != messageID(mails[1].Text) {
		t.Errorf("got %d mails, %+v", len(mails), mails)
	}
}

func messageID(text string) string {
	_, rest, _ := strings.Cut(text, "Message-ID: ")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}
