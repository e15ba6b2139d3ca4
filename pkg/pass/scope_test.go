package pass

import (
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestAPassAsksWhoMayMove before it connects: each side's list names that side's mailbox,
// and a change of either holds from the next pass on.
func TestAPassAsksWhoMayMove(t *testing.T) {
	w := newWorld(t, nil, alice())
	set := func(e migration.Endpoint, list []string) {
		t.Helper()
		_, err := w.db.ChangeScope(t.Context(), e.OrgID, e.ID, func([]string) ([]string, error) { return list, nil })
		must(t, err)
	}
	again := func() migration.User {
		t.Helper()
		if _, err := w.db.StartUsers(t.Context(), w.batch.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.SyncUsersNow(t.Context(), w.batch.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.accounts = nil
		return w.run()
	}
	set(w.source, []string{"ALICE"})
	set(w.target, []string{"Alice@new.example", "bob"})
	if u := w.run(); u.Status != migration.UserSynced {
		t.Fatalf("in both lists: %+v", u.UserState)
	}
	for _, tt := range []struct {
		e    migration.Endpoint
		list []string
		word string
	}{
		{w.source, []string{"bob", "eve"}, `alice is not among the 2 mailboxes that may move by the scope of endpoint "old"`},
		{w.target, []string{}, `alice@new.example is not among the 0 mailboxes that may move by the scope of endpoint "new"`},
	} {
		set(tt.e, tt.list)
		u := again()
		if u.Status != migration.UserFailed || u.Code != migration.NotInScope || !strings.Contains(u.Reason, tt.word) || !u.NextRunAt.IsZero() || len(w.accounts) != 0 {
			t.Errorf("off the list of %s: %+v after %d accounts", tt.e.Name, u.UserState, len(w.accounts))
		}
		set(tt.e, nil)
		if u := again(); u.Status != migration.UserSynced {
			t.Errorf("without the list of %s: %+v", tt.e.Name, u.UserState)
		}
	}
}

// TestNamespacesOfAnEndpointReachItsSide and no other.
func TestNamespacesOfAnEndpointReachItsSide(t *testing.T) {
	w := newWorld(t, func(w *world) { w.source.Namespaces = []string{migration.SharedFolders} }, alice())
	if u := w.run(); u.Status != migration.UserSynced || len(w.accounts) != 2 {
		t.Fatalf("%+v after %d accounts", u.UserState, len(w.accounts))
	}
	for _, a := range w.accounts {
		if (len(a.Namespaces) == 1) != (a.Side == migration.Source) {
			t.Errorf("%s: %v", a.Side, a.Namespaces)
		}
	}
}
