package app

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/servers"
)

// An outage that is longer than a lease lives has its passes taken over, which takes
// the test half a minute: -postgres.gone 10s.
var postgresGone = flag.Duration("postgres.gone", 3*time.Second, "how long PostgreSQL is away")

func TestUsersAreSyncedOnPostgres(t *testing.T) {
	const users = 20
	r := newRigOn(t, servers.Postgres(t).URL, users, 3*time.Second)
	r.worker(8)
	r.worker(8)
	eventually(t, "everybody is synced", func() bool { return r.summary().Counts.Synced == users })
	eventually(t, "everybody is synced a second time", func() bool { return r.boxes.everybodyRan(users, 2) })
}

func TestAPostgresThatDiesInTheMiddleIsNobodysFault(t *testing.T) {
	const users = 12
	server := servers.Postgres(t)
	r := newRigOn(t, server.URL, users, time.Hour)
	gate := make(chan struct{})
	r.boxes.work = func(ctx context.Context, job mailsync.Job, _ string) (mailsync.Outcome, error) {
		select {
		case <-gate:
		case <-ctx.Done():
			return mailsync.Outcome{}, context.Cause(ctx)
		}
		tally := migration.Tally{Seen: 1, Copied: 1}
		err := job.Records.Commit(ctx, migration.Window{Folder: "INBOX", Head: []byte("{}"), Append: []byte("x"), Tally: tally})
		return mailsync.Outcome{Tally: tally, Progress: true}, err
	}
	r.worker(4)
	eventually(t, "all slots are busy", func() bool {
		r.boxes.mu.Lock()
		defer r.boxes.mu.Unlock()
		return len(r.boxes.runs) == 4
	})
	must(t, server.Kill())
	close(gate) // windows are to be written while nobody is there
	<-time.After(*postgresGone)
	must(t, server.Start())
	eventually(t, "everybody is synced", func() bool { return r.summary().Counts.Synced == users })
	list, err := r.store.ListUsers(t.Context(), r.batch.ID, migration.UserFilter{}, "", users)
	must(t, err)
	for _, u := range list {
		if u.Status != migration.UserSynced || u.Attempts != 0 || u.Totals.Copied != 1 {
			t.Errorf("%s: %+v, copied %d", u.EmailAddress, u.UserState, u.Totals.Copied)
		}
	}
}
