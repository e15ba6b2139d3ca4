package notify

import (
	"context"
	"errors"
	"net"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	lookEvery  = 5 * time.Second
	purgeEvery = time.Hour
	// keepFor is how long it is told what became of a delivery.
	keepFor = 30 * 24 * time.Hour
	// sendWithin bounds one attempt, and claimFor is longer: nobody else begins before.
	sendWithin = 2 * time.Minute
	claimFor   = 5 * time.Minute
	// grace is what an attempt under way gets when the process is to end.
	grace = 10 * time.Second

	eventsAtOnce     = 500
	deliveriesAtOnce = 100
	atOnce           = 8
	rounds           = 20 // of one look
)

// Dial opens a connection, or refuses to.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Store keeps what is to be told; pkg/store/deliveries.go says how.
type Store interface {
	NoteBatches(ctx context.Context) (int, error)
	QueueDeliveries(ctx context.Context, mail bool, limit int) (int, error)
	DueDeliveries(ctx context.Context, now time.Time, mail bool, limit int) ([]migration.Delivery, error)
	ClaimDelivery(ctx context.Context, d *migration.Delivery, until time.Time) (bool, error)
	EndDelivery(ctx context.Context, d migration.Delivery) error
	PurgeDeliveries(ctx context.Context, before time.Time) error
	WebhookByID(ctx context.Context, id int64) (migration.Webhook, error)
}

// Sender brings one delivery to its address. The answer is the other side's word; an
// error says why it was not brought, in words without secrets.
type Sender interface {
	Send(ctx context.Context, d migration.Delivery) (answer string, err error)
}

// refused marks an error after which another try is no use.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// Config is what a Notifier works with.
type Config struct {
	Store   Store
	Mail    Sender // nil: no mail is sent
	Webhook Sender
	Log     *zap.Logger
	// Now and Every may be left zero: the time, and five seconds.
	Now   func() time.Time
	Every time.Duration
}

// Notifier tells what there is to be told.
type Notifier struct{ Config }

// New returns a notifier.
func New(c Config) *Notifier {
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Now == nil {
		c.Now = func() time.Time { return time.Now().UTC() }
	}
	if c.Every == 0 {
		c.Every = lookEvery
	}
	return &Notifier{c}
}

// Run tells until ctx ends. An attempt under way then has a few seconds to end.
func (n *Notifier) Run(ctx context.Context) error {
	look, purge := time.NewTicker(n.Every), time.NewTicker(purgeEvery)
	defer look.Stop()
	defer purge.Stop()
	for {
		if err := n.Once(ctx); err != nil && ctx.Err() == nil {
			n.Log.Error("notifications not sent", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		case <-purge.C:
			if err := n.Store.PurgeDeliveries(ctx, n.Now().Add(-keepFor)); err != nil && ctx.Err() == nil {
				n.Log.Warn("old deliveries not purged", zap.Error(err))
			}
		}
	}
}

// Once does what is due now.
func (n *Notifier) Once(ctx context.Context) error {
	if _, err := n.Store.NoteBatches(ctx); err != nil {
		return err
	}
	for read := eventsAtOnce; read == eventsAtOnce; {
		var err error
		if read, err = n.Store.QueueDeliveries(ctx, n.Mail != nil, eventsAtOnce); err != nil {
			return err
		}
	}
	for range rounds {
		due, err := n.Store.DueDeliveries(ctx, n.Now(), n.Mail != nil, deliveriesAtOnce)
		if err != nil {
			return err
		}
		var all errgroup.Group
		all.SetLimit(atOnce)
		for _, d := range due {
			if ctx.Err() != nil {
				break
			}
			all.Go(func() error { return n.deliver(ctx, d) })
		}
		if err := all.Wait(); err != nil || len(due) < deliveriesAtOnce {
			return err
		}
	}
	return nil
}

// deliver makes one attempt, if no other process does.
func (n *Notifier) deliver(ctx context.Context, d migration.Delivery) error {
	sender := n.Webhook
	if d.WebhookID == 0 {
		sender = n.Mail
	}
	mine, err := n.Store.ClaimDelivery(ctx, &d, n.Now().Add(claimFor))
	if err != nil || !mine {
		return err
	}
	answer, err := n.send(ctx, sender, d)
	d.EndedAt, d.Answer = n.Now(), migration.Clean(answer)
	d.DueAt, d.Delivered = next(d, err)
	fields := []zap.Field{zap.Int64("delivery", d.ID), zap.Int64("event", d.EventID), zap.Int64("webhook", d.WebhookID), zap.String("kind", d.Kind), zap.Int("attempt", d.Attempts)}
	if err != nil {
		d.Answer = migration.Clean(err.Error())
		fields = append(fields, zap.String("reason", d.Answer), zap.Bool("givenUp", d.DueAt.IsZero()))
		n.Log.Warn("notification not delivered", fields...)
	} else {
		n.Log.Info("notification delivered", fields...)
	}
	// What was sent must not be forgotten because the process is to end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return n.Store.EndDelivery(ctx, d)
}

// send bounds an attempt, and lets one under way outlive ctx for a little.
func (n *Notifier) send(ctx context.Context, s Sender, d migration.Delivery) (string, error) {
	alone, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendWithin)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		late := time.NewTimer(grace)
		defer late.Stop()
		select {
		case <-late.C:
			cancel()
		case <-alone.Done():
		}
	})
	defer stop()
	return s.Send(alone, d)
}

const (
	firstPause = 30 * time.Second
	longest    = time.Hour
	giveUp     = 24 * time.Hour
)

// next says when a delivery is tried again after an attempt that ended in err; zero:
// it is not.
func next(d migration.Delivery, err error) (due time.Time, delivered bool) {
	if err == nil {
		return time.Time{}, true
	}
	if r := (refused{}); errors.As(err, &r) {
		return time.Time{}, false
	}
	pause := longest
	if d.Attempts < 8 {
		pause = min(longest, firstPause<<max(0, d.Attempts-1))
	}
	if due = d.EndedAt.Add(pause); due.Sub(d.CreatedAt) > giveUp {
		return time.Time{}, false
	}
	return due, false
}
