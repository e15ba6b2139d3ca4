package pass

import (
	"context"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Rates hold the traffic with endpoints to what their operators allow, over all workers
// together.
type Rates interface {
	// Enter tells that a pass begins at e, with its settings, until leave is called.
	Enter(e migration.Endpoint) (leave func())
	// Update tells the settings of e as they are now.
	Update(e migration.Endpoint)
	// Message returns when one more message may be read or written at the endpoint, or
	// at once, with its cause, when ctx ends.
	Message(ctx context.Context, endpointID int64) error
}

// freely is Rates where there are none.
type freely struct{}

func (freely) Enter(migration.Endpoint) func() { return func() {} }

func (freely) Update(migration.Endpoint) {}

func (freely) Message(context.Context, int64) error { return nil }

// enter begins a pass at its endpoints: at one that is both sides it counts once.
func (r *Runner) enter(source, target migration.Endpoint) (leave func()) {
	leaveSource := r.Rates.Enter(source)
	if source.ID == target.ID {
		return leaveSource
	}
	leaveTarget := r.Rates.Enter(target)
	return func() {
		leaveSource()
		leaveTarget()
	}
}

// refreshRates looks whether an operator has changed the endpoints of the running
// passes. Errors are for the next look.
func (r *Runner) refreshRates(ctx context.Context, held []*hold) {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	seen := map[int64]bool{}
	for _, d := range held {
		for _, id := range d.endpoints {
			if seen[id] {
				continue
			}
			seen[id] = true
			if e, err := r.Store.EndpointByID(ctx, id); err == nil {
				r.Rates.Update(e)
			}
		}
	}
}

// paced is a session whose messages, read or written, wait for their turn at the
// endpoint. What is read of them without their bodies is not a message's worth.
type paced struct {
	mailbox.Session
	rates    Rates
	endpoint int64
}

// Messages takes each message up when it is its turn; until then the server is not read
// from.
func (p paced) Messages(ctx context.Context, set mailbox.UIDSet, each func(mailbox.Message) error) error {
	return p.Session.Messages(ctx, set, func(m mailbox.Message) error {
		if err := p.rates.Message(ctx, p.endpoint); err != nil {
			return err
		}
		return each(m)
	})
}

func (p paced) Append(ctx context.Context, name string, mode mailbox.AppendMode) (mailbox.Appender, error) {
	a, err := p.Session.Append(ctx, name, mode)
	if err != nil {
		return nil, err
	}
	return pacedAppender{a, p}, nil
}

type pacedAppender struct {
	mailbox.Appender
	session paced
}

// Add sends the message when it is its turn. As with every error of an Appender, the
// connection is gone after one.
func (a pacedAppender) Add(ctx context.Context, m mailbox.NewMessage) error {
	if err := a.session.rates.Message(ctx, a.session.endpoint); err != nil {
		a.session.Kill(err)
		return err
	}
	return a.Appender.Add(ctx, m)
}
