package store

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func testNames(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")

	_, err := s.CreateOrg(ctx, "acme")
	w.refused(err, migration.Conflict)
	again := w.source
	w.refused(s.CreateEndpoint(ctx, &again), migration.Conflict)
	w.batch("pilot", due("ann@example.org"))
	_, err = s.CreateBatch(ctx, w.plan("pilot", w.source, w.target), seq())
	w.refused(err, migration.Conflict)

	_, err = s.OrgByName(ctx, "nobody")
	w.refused(err, migration.NotFound)
	_, err = s.EndpointByName(ctx, w.org.ID, "nothing")
	w.refused(err, migration.NotFound)
	_, err = s.BatchByName(ctx, w.org.ID, "nothing")
	w.refused(err, migration.NotFound)
	_, err = s.UserByID(ctx, 4711)
	w.refused(err, migration.NotFound)

	orgs, err := s.ListOrgs(ctx)
	w.ok(err)
	if len(orgs) != 2 || orgs[0].Name != "acme" || orgs[1].Name != migration.DefaultOrg || orgs[0].CreatedAt.IsZero() {
		t.Errorf("organisations: %+v", orgs)
	}
}

func testOtherOrganisations(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	a, b := newWorld(t, s, "acme"), newWorld(t, s, "other") // same endpoint names in both
	batch := a.batch("pilot", due("ann@example.org"))
	a.ok(s.CreateToken(ctx, migration.Token{ID: "t1", OrgID: a.org.ID, Role: migration.Admin, Hash: []byte("h1"), CreatedAt: noon}))
	a.ok(s.AddEvent(ctx, migration.Event{OrgID: a.org.ID, BatchID: batch.ID, Kind: "batch.created", Actor: "t1", At: noon}))
	a.ok(s.PutIdempotent(ctx, a.org.ID, "t1", "key", Idempotent{RequestHash: []byte("h"), Status: 200}))
	a.ok(s.KeepReport(ctx, a.org.ID, "old", []byte("report"), noon))

	_, err := s.BatchByName(ctx, b.org.ID, "pilot")
	b.refused(err, migration.NotFound)
	stolen := *batch
	stolen.OrgID = b.org.ID
	b.refused(s.UpdateBatch(ctx, &stolen), migration.NotFound)
	_, err = s.AddUsers(ctx, &stolen, seq())
	b.refused(err, migration.NotFound)
	foreign := a.source
	foreign.OrgID = b.org.ID
	b.refused(s.UpdateEndpoint(ctx, &foreign), migration.NotFound)
	plan := b.plan("mine", a.source, b.target)
	_, err = s.CreateBatch(ctx, plan, seq())
	b.refused(err, migration.NotFound)
	b.refused(s.RevokeToken(ctx, b.org.ID, "t1", noon), migration.NotFound)
	_, err = s.KeptReport(ctx, b.org.ID, "old")
	b.refused(err, migration.NotFound)
	if _, found, err := s.GetIdempotent(ctx, b.org.ID, "t1", "key"); found || err != nil {
		t.Errorf("idempotency key of another organisation: %v, %v", found, err)
	}
	batches, err := s.ListBatches(ctx, b.org.ID, "", 10)
	b.ok(err)
	tokens, err := s.ListTokens(ctx, b.org.ID)
	b.ok(err)
	events, err := s.EventsAfter(ctx, b.org.ID, batch.ID, 0, 10)
	b.ok(err)
	audit, err := s.Audit(ctx, b.org.ID, 0, 10)
	b.ok(err)
	if len(batches)+len(tokens)+len(events)+len(audit) != 0 {
		t.Errorf("another organisation's: %v %v %v %v", batches, tokens, events, audit)
	}
	a.ok(s.DeleteEndpoint(ctx, b.org.ID, "source")) // its own of the same name
	if _, err := s.EndpointByName(ctx, a.org.ID, "source"); err != nil {
		t.Errorf("the first organisation's endpoint: %v", err)
	}
}

func testTokens(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	want := migration.Token{ID: "t1", Role: migration.Owner, Hash: []byte{1, 2}, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	if n, err := s.CountTokens(ctx); n != 0 || err != nil {
		t.Fatalf("tokens of a new store: %d, %v", n, err)
	}
	for range 2 {
		if err := s.CreateToken(ctx, want); err != nil {
			refused(t, err, migration.Conflict)
		}
	}
	got, err := s.TokenByHash(ctx, []byte{1, 2})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("token is %+v, %v; want %+v", got, err, want)
	}
	for i := range 2 {
		if err := s.RevokeToken(ctx, 0, "t1", noon.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Error(err)
		}
	}
	if got, _ = s.TokenByHash(ctx, []byte{1, 2}); !got.RevokedAt.Equal(noon) {
		t.Errorf("revoked at %v, want the first time", got.RevokedAt)
	}
	_, err = s.TokenByHash(ctx, []byte{3})
	refused(t, err, migration.NotFound)
	if n, _ := s.CountTokens(ctx); n != 1 {
		t.Errorf("%d tokens, want 1", n)
	}
}

func testEvents(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot")
	for i, actor := range []string{"t1", "", "t1", ""} {
		e := migration.Event{OrgID: w.org.ID, Kind: "k", Actor: actor, At: noon, Data: map[string]any{"n": float64(i)}}
		if i > 1 {
			e.BatchID = b.ID
		}
		w.ok(s.AddEvent(ctx, e))
	}
	n := func(events []migration.Event, err error) []float64 {
		t.Helper()
		w.ok(err)
		out := []float64{}
		for _, e := range events {
			out = append(out, e.Data["n"].(float64))
		}
		return out
	}
	all, err := s.EventsAfter(ctx, w.org.ID, 0, 0, 10)
	if got := n(all, err); !slices.Equal(got, []float64{0, 1, 2, 3}) {
		t.Errorf("all events: %v", got)
	}
	if got := n(s.EventsAfter(ctx, w.org.ID, 0, all[1].ID, 1)); !slices.Equal(got, []float64{2}) {
		t.Errorf("the one after the second: %v", got)
	}
	if got := n(s.EventsAfter(ctx, w.org.ID, b.ID, 0, 10)); !slices.Equal(got, []float64{2, 3}) {
		t.Errorf("the batch's: %v", got)
	}
	if got := n(s.Audit(ctx, w.org.ID, 0, 10)); !slices.Equal(got, []float64{2, 0}) {
		t.Errorf("audit: %v", got)
	}
	if got := n(s.Audit(ctx, w.org.ID, all[2].ID, 10)); !slices.Equal(got, []float64{0}) {
		t.Errorf("audit before the third: %v", got)
	}
	if !all[0].At.Equal(noon) || all[0].Actor != "t1" || all[0].Kind != "k" {
		t.Errorf("event: %+v", all[0])
	}
}

func testIdempotency(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	put := func(key string, v Idempotent) error { return s.PutIdempotent(ctx, 1, "t1", key, v) }
	hash := []byte("hash")
	answer := Idempotent{RequestHash: hash, Status: 201, Header: "Location: x", Body: []byte("{}"), At: noon}
	if _, found, err := s.GetIdempotent(ctx, 1, "t1", "a"); found || err != nil {
		t.Fatalf("an unknown key: %v, %v", found, err)
	}
	if err := put("a", Idempotent{RequestHash: hash, At: noon}); err != nil {
		t.Fatalf("take a key: %v", err)
	}
	refused(t, put("a", Idempotent{RequestHash: hash, At: noon}), migration.Conflict)
	if err := put("a", answer); err != nil {
		t.Fatalf("give the answer: %v", err)
	}
	refused(t, put("a", answer), migration.Conflict)
	got, found, err := s.GetIdempotent(ctx, 1, "t1", "a")
	if !found || err != nil || !reflect.DeepEqual(got, answer) {
		t.Errorf("answer is %+v, %v, %v", got, found, err)
	}
	if _, found, _ := s.GetIdempotent(ctx, 1, "t2", "a"); found {
		t.Error("another token has the key")
	}
	if err := put("b", answer); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteIdempotent(ctx, 1, "t1", "b"); err != nil {
		t.Fatal(err)
	}
	if err := s.PurgeIdempotent(ctx, noon.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b"} {
		if _, found, _ := s.GetIdempotent(ctx, 1, "t1", key); found {
			t.Errorf("key %s is still there", key)
		}
	}
}

func testEndpoints(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	e := migration.Endpoint{OrgID: w.org.ID, Name: "full", AdminSecret: []byte("sealed"), EndpointSpec: migration.EndpointSpec{
		Preset: "dovecot", Host: "IMAP.example", Port: 143, Security: migration.StartTLS, Auth: "password", LoginTemplate: "{user}*{admin}",
		Trust: migration.Trust{TLSPin: "ab12"}, AdminUser: "admin", TestMailbox: "ann", MaxConcurrentMigrations: 7, MaxConcurrentIncrementalSyncs: 3,
		Hours: "18:00-06:00", DailyBytes: 1, BytesPerSecond: 2, MessagesPerSecond: 3, ConnectionsPerMailbox: 4, Compress: true, Namespaces: []string{"others", "shared"},
	}, Park: migration.Park{Until: noon, Interval: 10 * time.Second, Code: migration.ConnectionFailed, Reason: "no route", Held: true}}
	w.ok(s.CreateEndpoint(ctx, &e))
	got, err := s.EndpointByName(ctx, w.org.ID, "full")
	w.ok(err)
	if !reflect.DeepEqual(got, e) {
		t.Errorf("endpoint is\n%+v, want\n%+v", got, e)
	}
	w.ok(s.AdminWorked(ctx, &migration.Endpoint{ID: e.ID, AdminSecret: []byte("another")}, noon))
	if got, _ = s.EndpointByID(ctx, e.ID); !got.AdminWorkedAt.IsZero() {
		t.Errorf("a password that was replaced worked at %v", got.AdminWorkedAt)
	}
	w.ok(s.AdminWorked(ctx, &e, noon))
	if got, _ = s.EndpointByID(ctx, e.ID); !got.AdminWorkedAt.Equal(noon) {
		t.Errorf("the password worked at %v", got.AdminWorkedAt)
	}
	e.AdminSecret, e.Port, e.Namespaces = nil, 993, nil
	e.Trust = migration.Trust{TLSInsecure: true}
	w.ok(s.UpdateEndpoint(ctx, &e))
	w.ok(s.SetPark(ctx, e.ID, migration.Park{}))
	e.Park = migration.Park{}
	if got, _ = s.EndpointByID(ctx, e.ID); !reflect.DeepEqual(got, e) {
		t.Errorf("changed endpoint is\n%+v, want\n%+v", got, e)
	}
	w.batch("pilot", due("ann@example.org"))
	if reason := w.refused(s.DeleteEndpoint(ctx, w.org.ID, "source"), migration.Conflict); !strings.Contains(reason, "pilot") {
		t.Errorf("reason does not name the batch: %s", reason)
	}
	w.ok(s.DeleteEndpoint(ctx, w.org.ID, "full"))
	w.refused(s.DeleteEndpoint(ctx, w.org.ID, "full"), migration.NotFound)
	list, err := s.ListEndpoints(ctx, w.org.ID)
	w.ok(err)
	if len(list) != 2 || list[0].Name != "source" || list[1].Name != "target" {
		t.Errorf("endpoints: %+v", list)
	}
}

func testDeleteOrg(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	b := w.batch("pilot")
	w.ok(s.AddEvent(ctx, migration.Event{OrgID: w.org.ID, Kind: "k", Actor: "t", At: noon}))
	w.refused(s.DeleteOrg(ctx, w.org.ID), migration.Conflict)
	b.Removing = true
	w.ok(s.UpdateBatch(ctx, b))
	if n, err := s.PurgeRemoved(ctx); n != 1 || err != nil {
		t.Fatalf("purged %d, %v", n, err)
	}
	w.ok(s.DeleteOrg(ctx, w.org.ID))
	w.refused(s.DeleteOrg(ctx, w.org.ID), migration.NotFound)
	def, err := s.OrgByName(ctx, migration.DefaultOrg)
	w.ok(err)
	w.refused(s.DeleteOrg(ctx, def.ID), migration.Conflict)
}

func testRewrap(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	w.source.AdminSecret = []byte("old-admin")
	w.ok(s.UpdateEndpoint(ctx, &w.source))
	b := w.batch("pilot", due("ann@example.org"), due("bob@example.org", func(u *migration.User) {
		u.SourceSecret, u.TargetSecret = []byte("old-1"), []byte("old-2")
	}), due("cid@example.org", func(u *migration.User) { u.SourceSecret = nil }))
	var last int64
	rows := 0
	for {
		next, n, err := s.RewrapSecrets(ctx, last, 1, func(sealed []byte) ([]byte, error) {
			return bytes.Replace(sealed, []byte("old"), []byte("new"), 1), nil
		})
		w.ok(err)
		if n == 0 {
			break
		}
		last, rows = next, rows+n
	}
	equal(t, "rows", rows, 3)
	e, err := s.EndpointByID(ctx, w.source.ID)
	w.ok(err)
	bob := w.user(b, "bob@example.org")
	if string(e.AdminSecret) != "new-admin" || string(bob.SourceSecret) != "new-1" || string(bob.TargetSecret) != "new-2" {
		t.Errorf("secrets are %q, %q, %q", e.AdminSecret, bob.SourceSecret, bob.TargetSecret)
	}
	if cid := w.user(b, "cid@example.org"); cid.SourceSecret != nil {
		t.Errorf("a secret came from nowhere: %q", cid.SourceSecret)
	}
}
