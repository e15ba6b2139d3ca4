package control_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/store"
	"github.com/mailhaul/mailhaul/pkg/store/storetest"
	"github.com/mailhaul/mailhaul/pkg/vault"
	"github.com/mailhaul/mailhaul/test/servers"
)

// office is the use cases over a store of its own, with a clock that is set.
type office struct {
	*control.Control
	store *store.Store
	now   time.Time
}

var owner = control.Actor{Role: migration.Owner}

func newOffice(t *testing.T) *office {
	t.Helper()
	return newOfficeOn(t, storetest.SQLite(t, filepath.Join(t.TempDir(), "m.db")))
}

func newOfficeOn(t *testing.T, database string) *office {
	t.Helper()
	s, err := store.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	sealer, err := vault.Open(vault.GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	o := &office{store: s, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	o.Control = control.New(control.Config{Store: s, Vault: sealer, Now: func() time.Time { return o.now }})
	for _, name := range []string{"old", "new"} {
		if _, err := o.CreateEndpoint(t.Context(), owner, "default", name, migration.EndpointSpec{Host: name + ".example.com"}, migration.Secret{}, true); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// file is of the users a, b, c ... at a domain.
func file(domain, users string) control.File {
	var csv strings.Builder
	csv.WriteString("EmailAddress,UserName,Password,TargetPassword\n")
	for _, u := range users {
		fmt.Fprintf(&csv, "%c@%s,%c,x,y\n", u, domain, u)
	}
	return control.File{CSV: []byte(csv.String())}
}

func (o *office) batch(name, domain, users string, change func(*control.NewBatch)) control.NewBatch {
	in := control.NewBatch{Name: name, File: file(domain, users), BatchSpec: migration.BatchSpec{SourceEndpoint: "old", TargetEndpoint: "new"}}
	if change != nil {
		change(&in)
	}
	return in
}

// TestABatchStartsAndCompletesAtItsTime: not before, by itself, and not while it is
// stopped.
func TestABatchStartsAndCompletesAtItsTime(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	start, end := o.now.Add(time.Hour), o.now.Add(2*time.Hour)
	if _, _, err := o.CreateBatch(ctx, owner, "default", o.batch("pilot", "a.example", "ab", func(b *control.NewBatch) { b.StartAt = start })); err != nil {
		t.Fatal(err)
	}
	status := func() string {
		t.Helper()
		if err := o.Scheduled(ctx); err != nil {
			t.Fatal(err)
		}
		b, err := o.Batch(ctx, owner, "default", "pilot")
		if err != nil {
			t.Fatal(err)
		}
		return string(b.Status)
	}
	expect := func(at time.Time, want string) {
		t.Helper()
		o.now = at
		if got := status(); got != want {
			t.Errorf("at %s the batch is %s, want %s", at, got, want)
		}
	}
	expect(start.Add(-time.Second), "Created")
	expect(start, "Syncing")
	if _, err := o.CompleteBatch(ctx, owner, "default", "pilot", end); err != nil {
		t.Fatal(err)
	}
	expect(end.Add(-time.Second), "Syncing")
	if _, err := o.StopBatch(ctx, owner, "default", "pilot"); err != nil {
		t.Fatal(err)
	}
	expect(end.Add(time.Minute), "Stopped")
	if _, err := o.StartBatch(ctx, owner, "default", "pilot"); err != nil {
		t.Fatal(err)
	}
	expect(end.Add(2*time.Minute), "Completing")
}

// TestWhatIsCompletedStaysAsItIs: its counts are the proof of the move, and a stop or a
// reset would be followed by no sync that mends them.
func TestWhatIsCompletedStaysAsItIs(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	_, _, err := o.CreateBatch(ctx, owner, "default", o.batch("pilot", "a.example", "a", nil))
	must(t, err)
	_, err = o.CompleteBatch(ctx, owner, "default", "pilot", o.now.Add(-365*24*time.Hour))
	if err == nil || migration.AsFault(err).Code != migration.InvalidArgument {
		t.Errorf("completed at a time of last year: %v", err)
	}
	_, err = o.CompleteBatch(ctx, owner, "default", "pilot", o.now)
	must(t, err)
	o.syncOne(t, migration.Result{Progress: true, Tally: migration.Tally{Seen: 2, Copied: 2}})

	if _, err := o.ResetUser(ctx, owner, "default", "pilot", "a@a.example"); err == nil || migration.AsFault(err).Code != migration.Conflict {
		t.Errorf("reset: %v", err)
	}
	if _, err := o.SetCredentials(ctx, owner, "default", "pilot", "a@a.example", control.UserCredentials{Password: migration.NewSecret("p")}); err == nil || migration.AsFault(err).Code != migration.Conflict {
		t.Errorf("a password for nobody: %v", err)
	}
	b, err := o.StopBatch(ctx, owner, "default", "pilot")
	must(t, err)
	if b.Stopped || b.Status != migration.BatchCompleted {
		t.Errorf("stopped: %+v", b)
	}
	if _, err := o.SyncBatch(ctx, owner, "default", "pilot"); err == nil || !strings.Contains(err.Error(), "is completed") {
		t.Errorf("sync after a stop: %v", err)
	}
}

// TestAnErasedPasswordStaysErased: the file that a batch was made from brings back none of
// a user that is completed.
func TestAnErasedPasswordStaysErased(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	b, _, err := o.CreateBatch(ctx, owner, "default", o.batch("pilot", "a.example", "ab", nil))
	must(t, err)
	_, err = o.StartBatch(ctx, owner, "default", "pilot")
	must(t, err)
	well := migration.Result{Progress: true, Tally: migration.Tally{Seen: 2, Copied: 2}}
	o.syncOne(t, well)
	o.syncOne(t, well)
	_, err = o.CompleteUser(ctx, owner, "default", "pilot", "a@a.example")
	must(t, err)
	o.syncOne(t, well)

	blank := control.File{CSV: []byte("EmailAddress,UserName,Password\na@a.example,a,\n")}
	for _, f := range []control.File{file("a.example", "ab"), blank} {
		got, err := o.AddUsers(ctx, owner, "default", "pilot", f)
		if err != nil || got.Updated+got.Created > 0 {
			t.Errorf("added again: %+v, %v", got, err)
		}
	}
	users, err := o.store.UsersByEmail(ctx, b.ID, []string{"a@a.example", "b@a.example"})
	must(t, err)
	for _, u := range users {
		gone := u.Status == migration.UserCompleted
		if gone != (u.EmailAddress == "a@a.example") || gone != (len(u.SourceSecret) == 0) || gone != (len(u.TargetSecret) == 0) {
			t.Errorf("%s, %s, has passwords of %d and %d bytes", u.EmailAddress, u.Status, len(u.SourceSecret), len(u.TargetSecret))
		}
	}
}

// TestNothingIsAskedOfACompletedBatch: a verify that reaches nobody would find nothing
// wrong.
func TestNothingIsAskedOfACompletedBatch(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	if _, _, err := o.CreateBatch(ctx, owner, "default", o.batch("pilot", "a.example", "a", nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := o.StartBatch(ctx, owner, "default", "pilot"); err != nil {
		t.Fatal(err)
	}
	verbs := map[string]func() error{
		"verify": func() error { _, err := o.VerifyBatch(ctx, owner, "default", "pilot"); return err },
		"sync":   func() error { _, err := o.SyncBatch(ctx, owner, "default", "pilot"); return err },
	}
	for verb, do := range verbs {
		if err := do(); err != nil {
			t.Errorf("%s of a batch with nobody in step yet: %v", verb, err)
		}
	}
	if _, err := o.RemoveUser(ctx, owner, "default", "pilot", "a@a.example"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.CompleteBatch(ctx, owner, "default", "pilot", time.Time{}); err != nil {
		t.Fatal(err)
	}
	for verb, do := range verbs {
		if err := do(); err == nil || !strings.Contains(err.Error(), "is completed") {
			t.Errorf("%s of a completed batch: %v", verb, err)
		}
	}
}

// stories is how many TestCountsAreTheSumOfTheUsers tells; the same ones each time.
var stories = flag.Int("control.stories", 12, "stories of a batch")

// TestCountsAreTheSumOfTheUsers does verbs and passes at random; after each, the batch's
// counts are those of its users, and its status is the first of the rules that applies. On
// both databases; then by several callers at once, who are looked at when all are through.
func TestCountsAreTheSumOfTheUsers(t *testing.T) {
	for database, x := range map[string]struct {
		open    func(*testing.T) *office
		stories int
	}{
		"SQLite":     {newOffice, *stories},
		"PostgreSQL": {func(t *testing.T) *office { return newOfficeOn(t, servers.Postgres(t).URL) }, *stories / 2},
	} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			o, met := x.open(t), map[string]int{}
			for n := range x.stories {
				r := o.randomBatch(t, n, met)
				for range 25 {
					r.must(r.step())
					r.look()
				}
				r.end()
			}
			for n := range x.stories / 3 {
				o.randomBatch(t, 100+n, met).together()
			}
			t.Logf("met: %v", met)
			if len(met) < 5 {
				t.Errorf("of eleven statuses %d were met: the stories are too short to tell much", len(met))
			}
		})
	}
}

// randomBatch begins the nth story.
func (o *office) randomBatch(t *testing.T, n int, met map[string]int) *randomBatch {
	r := &randomBatch{office: o, T: t, met: met, random: rand.New(rand.NewPCG(uint64(n), 1)), name: fmt.Sprint("b", n), domain: fmt.Sprintf("b%d.example", n)}
	_, _, err := o.CreateBatch(t.Context(), owner, "default", o.batch(r.name, r.domain, "abc", func(b *control.NewBatch) { b.AutoStart = n%4 > 0 }))
	r.must(err)
	r.look()
	return r
}

// together has four callers do things to the batch at once, in rounds; an hour passes
// after each.
func (r *randomBatch) together() {
	const callers = 4
	for round := range 4 {
		var all errgroup.Group
		for n := range callers {
			caller := &randomBatch{office: r.office, T: r.T, name: r.name, domain: r.domain, crowded: true, random: rand.New(rand.NewPCG(r.random.Uint64(), uint64(n)))}
			all.Go(func() error {
				for range 5 {
					if err := caller.step(); err != nil {
						return err
					}
				}
				return nil
			})
		}
		r.must(all.Wait())
		r.story = append(r.story, fmt.Sprint("round ", round))
		r.look()
		r.now = r.now.Add(time.Hour)
	}
	r.end()
}

// randomBatch is a batch to which things happen.
type randomBatch struct {
	*office
	*testing.T
	random       *rand.Rand
	name, domain string
	story        []string
	crowded      bool           // others do things to it at the same moment
	met          map[string]int // statuses, how often
}

// any is one of list.
func (r *randomBatch) any(list ...string) string { return list[r.random.IntN(len(list))] }

// must fails the test for an error that is no refusal.
func (r *randomBatch) must(err error) {
	r.Helper()
	if err = r.unexpected(err); err != nil {
		r.Fatalf("%s: %v: %v", r.name, r.story, err)
	}
}

// unexpected returns err, unless it is a refusal: of a verb, or of a lease that somebody
// else was quicker to take or to end.
func (r *randomBatch) unexpected(err error) error {
	f := migration.AsFault(err)
	if f == nil || f.Code == migration.Conflict || f.Code == migration.NotFound || r.crowded && errors.Is(err, migration.ErrLeaseLost) {
		return nil
	}
	return err
}

// step does one thing to the batch, to one of its users, or to a pass.
func (r *randomBatch) step() error {
	ctx := r.Context()
	who := r.any("a", "b", "c", "d") + "@" + r.domain
	onBatch := func(do func() (control.Batch, error)) func() error {
		return func() error { _, err := do(); return err }
	}
	onUser := func(do func() (migration.User, error)) func() error {
		return func() error { _, err := do(); return err }
	}
	verbs := map[string]func() error{
		"start":       onBatch(func() (control.Batch, error) { return r.StartBatch(ctx, owner, "default", r.name) }),
		"stop":        onBatch(func() (control.Batch, error) { return r.StopBatch(ctx, owner, "default", r.name) }),
		"sync":        onBatch(func() (control.Batch, error) { return r.SyncBatch(ctx, owner, "default", r.name) }),
		"preflight":   onBatch(func() (control.Batch, error) { return r.PreflightBatch(ctx, owner, "default", r.name) }),
		"verify":      onBatch(func() (control.Batch, error) { return r.VerifyBatch(ctx, owner, "default", r.name) }),
		"complete":    onBatch(func() (control.Batch, error) { return r.CompleteBatch(ctx, owner, "default", r.name, time.Time{}) }),
		"retry":       onUser(func() (migration.User, error) { return r.RetryUser(ctx, owner, "default", r.name, who) }),
		"stop user":   onUser(func() (migration.User, error) { return r.StopUser(ctx, owner, "default", r.name, who) }),
		"finish user": onUser(func() (migration.User, error) { return r.CompleteUser(ctx, owner, "default", r.name, who) }),
		"reset":       onUser(func() (migration.User, error) { return r.ResetUser(ctx, owner, "default", r.name, who) }),
		"credentials": onUser(func() (migration.User, error) {
			return r.SetCredentials(ctx, owner, "default", r.name, who, control.UserCredentials{Password: migration.NewSecret("z")})
		}),
		"remove user": func() error { _, err := r.RemoveUser(ctx, owner, "default", r.name, who); return err },
		"add users":   func() error { _, err := r.AddUsers(ctx, owner, "default", r.name, file(r.domain, "cd")); return err },
		"an hour":     func() error { r.now = r.now.Add(time.Hour); return nil },
		"admit":       func() error { _, err := r.store.Admit(ctx, r.now, 1); return err },
		"claim":       func() error { return r.pass(migration.LeaseQueued) },
		"end":         func() error { return r.pass(migration.LeaseRunning) },
	}
	did := r.any("begin", "begin", "end", "work", "work", "work", "work", "work", "start", "start", "start", "start", "stop", "preflight", "sync", "verify", "complete", "retry",
		"stop user", "finish user", "reset", "credentials", "remove user", "add users", "an hour")
	if did == "complete" && len(r.story) < 8 {
		did = "work" // after it not much happens any more
	}
	if r.crowded && (did == "an hour" || did == "begin") {
		did = "admit" // its claim is another's
	}
	r.story = append(r.story, did)
	parts, several := map[string][]string{"begin": {"admit", "claim"}, "work": {"admit", "claim", "end"}}[did]
	if !several {
		parts = []string{did}
	}
	for _, part := range parts {
		if err := r.unexpected(verbs[part]()); err != nil {
			return fmt.Errorf("%v: %s: %w", r.story, part, err)
		}
	}
	return nil
}

// pass claims the first lease in that state, or ends its pass in one of many ways.
func (r *randomBatch) pass(in migration.LeaseState) error {
	ctx := r.Context()
	leases, err := r.store.LiveLeases(ctx)
	if err != nil {
		return err
	}
	for _, l := range leases {
		if l.State != in {
			continue
		}
		if in == migration.LeaseQueued {
			_, err := r.store.Claim(ctx, l.Token, "worker")
			return err
		}
		u, err := r.store.UserByID(ctx, l.UserID)
		if err != nil {
			return err
		}
		fault := func(c migration.Code) migration.Result {
			return migration.Result{Kind: l.Kind, Fault: &migration.Fault{Code: c, Scope: migration.ScopeUser}}
		}
		result := map[string]migration.Result{
			"well": {Kind: l.Kind, Progress: true, Tally: migration.Tally{Seen: 2, Copied: 2}}, "skipped": {Kind: l.Kind, Tally: migration.Tally{Seen: 2, Skipped: 1}},
			"yielded": {Kind: l.Kind, Yielded: true}, "rejected": fault(migration.AuthFailed), "full": fault(migration.QuotaExceeded),
			"cut": fault(migration.ConnectionFailed), "slow": fault(migration.Throttled),
		}[r.any("well", "well", "well", "skipped", "yielded", "rejected", "full", "cut", "slow")]
		next := migration.Advance(u.ID, u.UserState, result, migration.Schedule{Interval: 24 * time.Hour}, r.now)
		return r.store.Finish(ctx, l.Token, next, u.Totals.Add(result.Tally), result.Tally, nil, nil)
	}
	return nil
}

// look compares what is told of the batch with its users.
func (r *randomBatch) look() {
	ctx := r.Context()
	b, err := r.Batch(ctx, owner, "default", r.name)
	r.must(err)
	users, err := r.Users(ctx, owner, "default", r.name, migration.UserFilter{}, "", 100)
	r.must(err)
	leases, err := r.store.LiveLeases(ctx)
	r.must(err)
	counts, running, synced, unsynced := map[migration.UserStatus]int{}, 0, 0, 0
	var copied, seen int64
	for _, u := range users {
		copied, seen = copied+u.Messages().Copied, seen+u.Messages().Seen
		counts[u.Status]++
		for _, l := range leases {
			if l.UserID == u.ID && l.Kind != migration.Preflighting { // which count as nobody's pass
				running++
			}
			if l.UserID == u.ID && l.State == migration.LeaseQueued && (u.Status == migration.UserStopped || u.Status == migration.UserNeedsCredentials || u.Status == migration.UserCreated) {
				r.Fatalf("%s: after %v %s is %s, and admitted", r.name, r.story, u.EmailAddress, u.Status)
			}
		}
		switch {
		case !u.FirstSyncedAt.IsZero():
			synced++
		case u.Status == migration.UserFailed, u.Status == migration.UserNeedsCredentials, u.Status == migration.UserStopped, u.Status == migration.UserRemoving,
			u.Status == migration.UserCompleted, u.Status == migration.UserCompletedWithWarnings:
		default:
			unsynced++
		}
	}
	if got := b.Summary.Counts; !maps.Equal(got.ByStatus, counts) || got.Running != running || got.Total() != len(users) {
		r.Fatalf("%s: after %v the batch counts %+v, its users are %v, %d with a pass", r.name, r.story, got, counts, running)
	}
	if m := b.Summary.Messages; m.Copied != copied || m.Seen != seen {
		r.Fatalf("%s: after %v the batch has copied %d of %d messages, its users %d of %d", r.name, r.story, m.Copied, m.Seen, copied, seen)
	}
	want := statusByTheRules(b.Batch, counts, len(users), running, synced, unsynced)
	r.met[want]++
	if string(b.Status) != want {
		r.Fatalf("%s: after %v the batch is %s, want %s: %v, %d with a pass, %d synced, %d still to be", r.name, r.story, b.Status, want, counts, running, synced, unsynced)
	}
}

// end leaves no pass and no user of the batch behind.
func (r *randomBatch) end() {
	ctx := r.Context()
	_, err := r.RemoveBatch(ctx, owner, "default", r.name, control.Removal{Force: true})
	r.must(err)
	leases, err := r.store.LiveLeases(ctx)
	r.must(err)
	for _, l := range leases {
		if l.State == migration.LeaseQueued {
			_, err := r.store.Claim(ctx, l.Token, "worker")
			r.must(err)
		}
		r.must(r.store.Finish(ctx, l.Token, migration.UserState{Status: migration.UserRemoving, Removing: true}, migration.Totals{}, migration.Tally{}, nil, nil))
	}
	_, err = r.store.PurgeRemoved(ctx)
	r.must(err)
	if _, err := r.Batch(ctx, owner, "default", r.name); migration.AsFault(err) == nil || migration.AsFault(err).Code != migration.NotFound {
		r.Fatalf("the batch is still there: %v", err)
	}
}

// statusByTheRules is the batch's status as docs/rules.md has it, written down once more.
func statusByTheRules(b migration.Batch, n map[migration.UserStatus]int, users, running, synced, unsynced int) string {
	failed := n[migration.UserFailed]
	done := n[migration.UserCompleted] + n[migration.UserCompletedWithWarnings]
	for _, rule := range []struct {
		applies bool
		status  string
	}{
		{b.Removing, "Removing"},
		{b.Completing && done+failed < users, "Completing"},
		{b.Completing && failed > 0, "CompletedWithErrors"},
		{b.Completing, "Completed"},
		{b.Stopped && running > 0, "Stopping"},
		{b.Stopped, "Stopped"},
		{b.StartedAt.IsZero(), "Created"},
		{unsynced > 0, "Syncing"},
		{synced == 0 && users > 0, "Failed"},
		{failed+n[migration.UserNeedsCredentials] > 0, "SyncedWithErrors"},
	} {
		if rule.applies {
			return rule.status
		}
	}
	return "Synced"
}

// TestNewCredentialsBringOnWhoWantsThem, by hand and by the file: whose login was rejected,
// and whose password could not be unsealed. Nobody else is hurried, and who was stopped
// stays so.
func TestNewCredentialsBringOnWhoWantsThem(t *testing.T) {
	fails := func(code migration.Code) migration.Result {
		return migration.Result{Fault: &migration.Fault{Code: code, Scope: migration.ScopeUser, Reason: "why"}}
	}
	for _, tt := range []struct {
		name    string
		ended   migration.Result
		stopped bool
		want    migration.UserStatus
	}{
		{"rejected", fails(migration.AuthFailed), false, migration.UserQueued},
		{"unsealed", fails(migration.Internal), false, migration.UserQueued},
		{"hung up on", fails(migration.ConnectionFailed), false, migration.UserWaiting},
		{"full", fails(migration.QuotaExceeded), false, migration.UserFailed},
		{"rejected and stopped", fails(migration.AuthFailed), true, migration.UserStopped},
	} {
		for _, how := range []string{"by hand", "by the file"} {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				o, ctx := newOffice(t), t.Context()
				b, _, err := o.CreateBatch(ctx, owner, "default", o.batch("pilot", "a.example", "a", nil))
				must(t, err)
				_, err = o.StartBatch(ctx, owner, "default", "pilot")
				must(t, err)
				o.syncOne(t, tt.ended)
				if tt.stopped {
					_, err = o.StopUser(ctx, owner, "default", "pilot", "a@a.example")
					must(t, err)
				}
				if how == "by hand" {
					_, err = o.SetCredentials(ctx, owner, "default", "pilot", "a@a.example", control.UserCredentials{Password: migration.NewSecret("fresh")})
				} else {
					csv := "EmailAddress,UserName,Password\na@a.example,a,fresh\n"
					_, err = o.AddUsers(ctx, owner, "default", "pilot", control.File{CSV: []byte(csv)})
				}
				must(t, err)
				users, err := o.store.UsersByEmail(ctx, b.ID, []string{"a@a.example"})
				must(t, err)
				u := users[0]
				if on := u.Status == migration.UserQueued; u.Status != tt.want || on != (u.Code == "") || on && u.NextRunAt.IsZero() {
					t.Errorf("it is %s (%s), due %s; want %s", u.Status, u.Code, u.NextRunAt, tt.want)
				}
			})
		}
	}
}

// TestNewCredentialsEndAPreflight: of a user that failed, in a batch that does not run. It
// is as one that was just added, and nothing of the preflight is left to be waited for.
func TestNewCredentialsEndAPreflight(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	b, _, err := o.CreateBatch(ctx, owner, "default", o.batch("pilot", "a.example", "a", nil))
	must(t, err)
	users, err := o.store.UsersByEmail(ctx, b.ID, []string{"a@a.example"})
	must(t, err)
	_, err = o.store.ChangeUser(ctx, users[0].ID, func(u *migration.User) error {
		u.Status, u.PreflightFrom, u.Code, u.NextRunAt = migration.UserWaiting, migration.UserFailed, migration.Internal, o.now.Add(time.Hour)
		return nil
	})
	must(t, err)
	u, err := o.SetCredentials(ctx, owner, "default", "pilot", "a@a.example", control.UserCredentials{Password: migration.NewSecret("fresh")})
	must(t, err)
	if u.Status != migration.UserCreated || u.PreflightFrom != "" || u.Code != "" || !u.NextRunAt.IsZero() {
		t.Errorf("%+v", u.UserState)
	}
}
