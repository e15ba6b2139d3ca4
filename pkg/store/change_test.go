package store

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// testChangesAtOnce: of changes that several processes make to one batch or endpoint
// at the same time, none is lost.
func testChangesAtOnce(t *testing.T, open opener) {
	stores, ctx := []*Store{open(t), open(t)}, t.Context()
	w := newWorld(t, stores[0], "acme")
	b := w.batch("pilot")
	const each = 10
	var g errgroup.Group
	for i := range 4 {
		s := stores[i%2]
		g.Go(func() error {
			for range each {
				_, err := s.ChangeBatch(ctx, w.org.ID, b.ID, func(b *migration.Batch) error {
					b.Notify = append(b.Notify, fmt.Sprint(len(b.Notify)))
					return nil
				})
				if err != nil {
					return err
				}
				_, err = s.ChangeEndpoint(ctx, w.org.ID, w.source.ID, func(e *migration.Endpoint) error {
					e.Park.Interval += time.Second
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	w.ok(g.Wait())
	after, err := stores[1].BatchByID(ctx, b.ID)
	w.ok(err)
	equal(t, "changes of the batch", len(after.Notify), 4*each)
	e, err := stores[1].EndpointByID(ctx, w.source.ID)
	w.ok(err)
	equal(t, "changes of the endpoint", e.Park.Interval, 4*each*time.Second)

	refusal := conflict("no")
	_, err = stores[0].ChangeBatch(ctx, w.org.ID, b.ID, func(b *migration.Batch) error { b.Stopped = true; return refusal })
	w.refused(err, migration.Conflict)
	if after, _ = stores[0].BatchByID(ctx, b.ID); after.Stopped {
		t.Error("a refused change was written")
	}
	_, err = stores[0].ChangeBatch(ctx, w.org.ID+1, b.ID, func(*migration.Batch) error { return nil })
	w.refused(err, migration.NotFound)
	_, err = stores[0].ChangeEndpoint(ctx, w.org.ID+1, w.source.ID, func(*migration.Endpoint) error { return nil })
	w.refused(err, migration.NotFound)
}
