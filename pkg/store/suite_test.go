package store

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opener opens the database at a place that is the test's own; opened twice it is
// the same database.
type opener func(t *testing.T) *Store

func TestSQLite(t *testing.T) {
	first := filepath.Join(t.TempDir(), "migrated.db")
	s, err := Open(t.Context(), "sqlite://"+first)
	if err == nil {
		err = s.Close()
	}
	migrated, readErr := os.ReadFile(first) // once: it takes a good part of a second
	if err = errors.Join(err, readErr); err != nil {
		t.Fatal(err)
	}
	suite(t, func(t *testing.T) opener {
		path := filepath.Join(t.TempDir(), "a database ?#%.db")
		if err := os.WriteFile(path, migrated, 0o600); err != nil {
			t.Fatal(err)
		}
		return openerOf("sqlite://" + path)
	})
}

func openerOf(url string) opener {
	return func(t *testing.T) *Store {
		t.Helper()
		s, err := Open(t.Context(), url)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return s
	}
}

// suite is what every database has to pass.
func suite(t *testing.T, place func(t *testing.T) opener) {
	tests := []struct {
		name string
		run  func(t *testing.T, open opener)
	}{
		{"names", testNames},
		{"other organisations", testOtherOrganisations},
		{"tokens", testTokens},
		{"events", testEvents},
		{"idempotency", testIdempotency},
		{"endpoints", testEndpoints},
		{"scope", testScope},
		{"delete organisation", testDeleteOrg},
		{"batch round trip", testBatchRoundTrip},
		{"create batch", testCreateBatch},
		{"scheduled batches", testScheduledBatches},
		{"duplicates", testDuplicates},
		{"opposite directions", testOpposite},
		{"add users", testAddUsers},
		{"add many users", testAddManyUsers},
		{"list users", testListUsers},
		{"change user", testChangeUser},
		{"reverse batch", testReverseBatch},
		{"reverse batch in pieces", testReverseInPieces},
		{"reverse batch by who dies", testReverseDies},
		{"reverse batch that is started meanwhile", testReverseMeanwhile},
		{"verbs", testVerbs},
		{"summary", testSummary},
		{"summary equals users", testSummaryProperty},
		{"admission limits", testAdmissionLimits},
		{"both sides at one endpoint", testBothSides},
		{"admission order", testAdmissionOrder},
		{"share of resyncs", testShare},
		{"nobody starves", testNobodyStarves},
		{"round robin", testRoundRobin},
		{"slow organisation", testSlowOrganisation},
		{"full endpoint holds up nobody", testFullEndpoint},
		{"parked endpoint", testParked},
		{"one writer a mailbox", testOneWriter},
		{"who is not admitted", testNotAdmitted},
		{"whose turn it is after a wait", testTurnWhileWaiting},
		{"bound of due batches", testBound},
		{"claim", testClaim},
		{"beat", testBeat},
		{"stale tokens", testStale},
		{"takeover", testTakeover},
		{"unsettled", testUnsettled},
		{"asked meanwhile", testAskedMeanwhile},
		{"finish", testFinish},
		{"a verify hides nothing", testVerifyHidesNothing},
		{"a verify settles nothing", testVerifySettlesNothing},
		{"sync behind a verify", testSyncBehindAVerify},
		{"records", testRecords},
		{"progress", testProgress},
		{"usage", testUsage},
		{"deliveries", testDeliveries},
		{"endpoints at rest", testRests},
		{"traffic", testTraffic},
		{"traffic of a user", testUsersTraffic},
		{"throttled endpoint", testThrottle},
		{"orders", testOrders},
		{"changed endpoint wakes users", testRouse},
		{"workers", testWorkers},
		{"backlog", testBacklog},
		{"rival", testRival},
		{"copied", testCopied},
		{"reset", testReset},
		{"receipts and reports", testReceipts},
		{"preflights", testPreflights},
		{"preflights and verbs", testPreflightsAndVerbs},
		{"pilots", testPilots},
		{"remove", testRemove},
		{"purge leaves nothing", testPurge},
		{"remove by who dies", testRemoveDies},
		{"secrets are gone", testErase},
		{"rewrap", testRewrap},
		{"restart", testRestart},
		{"many at once", testConcurrent},
		{"changes at once", testChangesAtOnce},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, place(t)) })
	}
}

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// world is an organisation with two endpoints.
type world struct {
	*testing.T
	s              *Store
	org            migration.Org
	source, target migration.Endpoint
}

func newWorld(t *testing.T, s *Store, org string) *world {
	t.Helper()
	w := &world{T: t, s: s}
	var err error
	if org == migration.DefaultOrg {
		w.org, err = s.OrgByName(t.Context(), org)
	} else {
		w.org, err = s.CreateOrg(t.Context(), org)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.source = w.endpoint("source", 20, 10)
	w.target = w.endpoint("target", 20, 10)
	return w
}

func (w *world) endpoint(name string, limit, resyncs int) migration.Endpoint {
	w.Helper()
	e := migration.Endpoint{OrgID: w.org.ID, Name: name, EndpointSpec: migration.EndpointSpec{
		Host: name + ".example", Port: 993, Security: migration.TLS, Auth: "password",
		MaxConcurrentMigrations: limit, MaxConcurrentIncrementalSyncs: resyncs,
	}}
	w.ok(w.s.CreateEndpoint(w.Context(), &e))
	return e
}

// limit changes an endpoint's limits.
func (w *world) limit(e *migration.Endpoint, limit, resyncs int) {
	w.Helper()
	e.MaxConcurrentMigrations, e.MaxConcurrentIncrementalSyncs = limit, resyncs
	w.ok(w.s.UpdateEndpoint(w.Context(), e))
}

// batch makes a started batch from w.source to w.target with the users given.
func (w *world) batch(name string, users ...migration.User) *migration.Batch {
	w.Helper()
	return w.batchBetween(name, w.source, w.target, users...)
}

func (w *world) batchBetween(name string, source, target migration.Endpoint, users ...migration.User) *migration.Batch {
	w.Helper()
	b := w.plan(name, source, target)
	if _, err := w.s.CreateBatch(w.Context(), b, seq(users...)); err != nil {
		w.Fatalf("create batch %s: %v", name, err)
	}
	return b
}

func (w *world) plan(name string, source, target migration.Endpoint) *migration.Batch {
	return &migration.Batch{
		OrgID: w.org.ID, Name: name, SourceEndpointID: source.ID, TargetEndpointID: target.ID, StartedAt: noon,
		BatchSpec: migration.BatchSpec{Type: "imap", Deletions: "keep", ResyncInterval: 24 * time.Hour},
	}
}

func seq(users ...migration.User) iter.Seq2[migration.User, error] {
	return func(yield func(migration.User, error) bool) {
		for _, u := range users {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// due is a user that is due since noon, in the state that change makes.
func due(email string, change ...func(*migration.User)) migration.User {
	u := migration.User{EmailAddress: email, UserName: "login-" + email, SourceSecret: []byte("sealed-source-" + email)}
	u.Status, u.NextRunAt = migration.UserQueued, noon
	for _, c := range change {
		c(&u)
	}
	return u
}

// many are n users that are due.
func many(prefix string, n int, change ...func(*migration.User)) []migration.User {
	var users []migration.User
	for i := range n {
		users = append(users, due(fmt.Sprintf("%s%03d@example.org", prefix, i), change...))
	}
	return users
}

func synced(u *migration.User) {
	u.Status, u.FirstSyncedAt, u.LastSyncedAt = migration.UserSynced, noon.Add(-24*time.Hour), noon.Add(-24*time.Hour)
}
func yielded(u *migration.User)    { u.Yielded = true }
func completing(u *migration.User) { u.Completing, u.Status = true, migration.UserCompleting }
func verifying(u *migration.User)  { synced(u); u.VerifyDue = true }

func (w *world) user(b *migration.Batch, email string) migration.User {
	w.Helper()
	u, err := w.s.UserByEmail(w.Context(), b.ID, email)
	w.ok(err)
	return u
}

// admit admits up to room users at noon.
func (w *world) admit(room int) []migration.Lease {
	w.Helper()
	leases, err := w.s.Admit(w.Context(), noon, room)
	w.ok(err)
	return leases
}

// one admits and claims the only user that is due.
func (w *world) one() migration.Lease {
	w.Helper()
	leases := w.admit(10)
	if len(leases) != 1 {
		w.Fatalf("admitted %d users, want 1", len(leases))
	}
	return w.claim(leases[0])
}

func (w *world) claim(l migration.Lease) migration.Lease {
	w.Helper()
	l, err := w.s.Claim(w.Context(), l.Token, "worker")
	w.ok(err)
	return l
}

// names are the addresses of the leases' users, in order.
func (w *world) names(leases []migration.Lease) []string {
	w.Helper()
	out := []string{}
	for _, l := range leases {
		u, err := w.s.UserByID(w.Context(), l.UserID)
		w.ok(err)
		out = append(out, u.EmailAddress)
	}
	return out
}

// inStep ends a lease's pass as a sync that found nothing wrong.
func (w *world) inStep(l migration.Lease) {
	w.Helper()
	if l.State == migration.LeaseQueued {
		l = w.claim(l)
	}
	u, err := w.s.UserByID(w.Context(), l.UserID)
	w.ok(err)
	next := migration.Advance(u.ID, u.UserState, migration.Result{Kind: l.Kind}, migration.Schedule{Interval: 24 * time.Hour}, noon)
	w.ok(w.s.Finish(w.Context(), l.Token, next, u.Totals, u.Last, nil, nil))
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// refused checks that err is a fault of code, and returns its reason.
func (w *world) refused(err error, code migration.Code) string {
	w.Helper()
	return refused(w.T, err, code)
}

func refused(t *testing.T, err error, code migration.Code) string {
	t.Helper()
	var f *migration.Fault
	if !errors.As(err, &f) || f.Code != code {
		t.Fatalf("error is %v, want a %s", err, code)
	}
	return f.Reason
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
