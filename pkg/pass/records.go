package pass

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	// storePatience is how long a pass waits for a store that does not answer. One that
	// is gone for longer than a lease lives ends the pass before that.
	storePatience = 20 * time.Second
	storePause    = 250 * time.Millisecond
)

// records are one user's, written with the lease's token.
type records struct {
	store Store
	token int64
	log   *zap.Logger
}

func (r records) Records(ctx context.Context) (list []migration.FolderRecord, err error) {
	err = patiently(ctx, func() error {
		list, err = r.store.Records(ctx, r.token)
		return err
	})
	return list, err
}

// Commit may write a window twice, where it was written although an error came back:
// to read it twice changes nothing.
func (r records) Commit(ctx context.Context, w migration.Window) error {
	err := patiently(ctx, func() error { return r.store.Commit(ctx, r.token, w) })
	// The folder's name is its owner's: no more than debug may tell it.
	r.log.Debug("window committed", zap.String("folder", migration.Clean(w.Folder)), zap.Int64("copied", w.Tally.Copied),
		zap.Int64("adopted", w.Tally.Adopted), zap.Int64("seen", w.Tally.Seen), zap.Int64("bytes", w.Tally.Bytes), zap.Error(err))
	return err
}

// patiently asks the store again while it does not answer: a restart of the database
// ends no pass and counts as nobody's fault. What the store refuses is final.
func patiently(ctx context.Context, ask func() error) error {
	patience := time.NewTimer(storePatience)
	defer patience.Stop()
	for {
		err := ask()
		var refused *migration.Fault
		if err == nil || errors.Is(err, migration.ErrLeaseLost) || errors.As(err, &refused) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-patience.C:
			return err
		case <-time.After(storePause):
		}
	}
}
