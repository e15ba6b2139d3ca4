package pass

import (
	"context"
	"errors"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// stuttering is a store that answers each question the second time only.
type stuttering struct {
	Store
	asked map[string]int
}

var errGone = errors.New("connection refused")

func (s *stuttering) gone(what string) bool {
	s.asked[what]++
	return s.asked[what] == 1
}

func (s *stuttering) EndpointByID(ctx context.Context, id int64) (migration.Endpoint, error) {
	if s.gone("endpoint") {
		return migration.Endpoint{}, errGone
	}
	return s.Store.EndpointByID(ctx, id)
}

func (s *stuttering) Records(ctx context.Context, token int64) ([]migration.FolderRecord, error) {
	if s.gone("records") {
		return nil, errGone
	}
	return s.Store.Records(ctx, token)
}

func (s *stuttering) Commit(ctx context.Context, token int64, w migration.Window) error {
	err := s.Store.Commit(ctx, token, w)
	if s.gone("commit") {
		return errGone // although it was written
	}
	return err
}

func TestAStoreThatIsAwayForAMomentEndsNoPass(t *testing.T) {
	w := newWorld(t, nil, alice())
	s := &stuttering{Store: w.Store, asked: map[string]int{}}
	w.Store = s
	w.engine(func(ctx context.Context, job mailsync.Job) (mailsync.Outcome, error) {
		if _, err := job.Records.Records(ctx); err != nil {
			return mailsync.Outcome{}, err
		}
		tally := migration.Tally{Seen: 1, Copied: 1}
		err := job.Records.Commit(ctx, migration.Window{Folder: "INBOX", Head: []byte("{}"), Append: []byte("x"), Tally: tally})
		return mailsync.Outcome{Tally: tally, Progress: true}, err
	})
	u := w.run()
	if u.Status != migration.UserSynced || u.Attempts != 0 || u.Totals.Copied != 1 {
		t.Errorf("after the pass: %+v, %+v", u.UserState, u.Totals)
	}
	for what, n := range s.asked {
		if n < 2 {
			t.Errorf("%s was asked %d times", what, n)
		}
	}
}

func TestWhatTheStoreRefusesIsNotAskedAgain(t *testing.T) {
	for _, refusal := range []error{migration.ErrLeaseLost, migration.NewFault(migration.NotFound, migration.ScopeUser, "", "gone", nil)} {
		n := 0
		err := patiently(t.Context(), func() error { n++; return refusal })
		if n != 1 || !errors.Is(err, refusal) {
			t.Errorf("asked %d times: %v", n, err)
		}
	}
}
