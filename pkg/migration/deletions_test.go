package migration

import "testing"

// TestDeletionsAreAskedAboutUntilTheyAreDecided: the user is Failed and still synced every
// interval; a confirmation is good for one sync that comes to its end.
func TestDeletionsAreAskedAboutUntilTheyAreDecided(t *testing.T) {
	asks := Result{Kind: Resync, Progress: true, Tally: Tally{ToDelete: 40}, Fault: &Fault{Code: NeedsDecision, Scope: ScopeUser, Reason: "why"}}
	lost := Result{Kind: Resync, Fault: &Fault{Code: ConnectionFailed, Scope: ScopeUser}}
	for _, x := range []struct {
		name             string
		asked, confirmed int64 // before
		result           Result
		wantAsked, wantC int64
		status           UserStatus
		due              bool
	}{
		{"it is asked", 0, 0, asks, 40, 0, UserFailed, true},
		{"it is asked anew, for more than was confirmed", 0, 30, asks, 40, 0, UserFailed, true},
		{"it was confirmed, and is done", 0, 40, Result{Kind: Resync}, 0, 0, UserSynced, true},
		{"nobody answered, and the source looks right again", 40, 0, Result{Kind: Resync}, 0, 0, UserSynced, true},
		{"it was confirmed, and the connection broke", 0, 40, lost, 0, 40, UserWaiting, true},
		{"it was confirmed, and the pass yields", 0, 40, Result{Kind: Resync, Yielded: true}, 0, 40, UserQueued, true},
		{"a verify uses nothing up", 0, 40, Result{Kind: Verify}, 0, 40, UserSynced, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := UserState{Status: UserIncrementalSyncing, FirstSyncedAt: noon, DeletionsAsked: x.asked, DeletionsConfirmed: x.confirmed}
			n := Advance(7, s, x.result, Schedule{Interval: dayLong}, noon)
			if n.DeletionsAsked != x.wantAsked || n.DeletionsConfirmed != x.wantC || n.Status != x.status || n.NextRunAt.IsZero() == x.due {
				t.Errorf("%+v", n)
			}
		})
	}
}
