package control

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/mailhaul/mailhaul/pkg/csvimport"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// NewBatch is a batch to be made from a CSV file.
type NewBatch struct {
	Name string
	migration.BatchSpec
	File
	// DryRun checks everything and stores nothing.
	DryRun bool
}

// File is a CSV file as it was uploaded.
type File struct {
	CSV []byte
	// FileName names the batch where it has no name.
	FileName string
	// Encoding and AllowUnknownColumns are passed on to the import.
	Encoding            string
	AllowUnknownColumns bool
}

// Batch is a batch with what follows from its users.
type Batch struct {
	migration.Batch
	Status  migration.BatchStatus
	Summary migration.Summary
	Rate    Rate
	// Warnings are what is well to know of the file it was made from.
	Warnings []string
}

// CreateBatch checks the file and makes the batch with all its users, or nothing. It
// answers how many mailboxes there are, also for a dry run, whose Batch has no ID. Files of
// every type are checked; a batch is made of those that can be run.
func (c *Control) CreateBatch(ctx context.Context, a Actor, org string, in NewBatch) (Batch, int, error) {
	o, err := c.enter(ctx, a, org, migration.Operator)
	if err != nil {
		return Batch{}, 0, err
	}
	if in.Name == "" {
		in.Name = BatchName(in.FileName)
	}
	if err := checkName("batch", in.Name); err != nil {
		return Batch{}, 0, err
	}
	if err := c.completeBatchSpec(&in.BatchSpec); err != nil {
		return Batch{}, 0, err
	}
	b := migration.Batch{OrgID: o.ID, Name: in.Name, BatchSpec: in.BatchSpec, CreatedAt: c.now(), CreatedBy: a.TokenID}
	if in.AutoStart {
		b.StartedAt = b.CreatedAt
	}
	switch _, err := c.store.BatchByName(ctx, o.ID, in.Name); code(err) {
	case "":
		return Batch{}, 0, fault(migration.Conflict, "there is a batch %q already: its file is imported again by adding users (mailhaul batch add-users)", in.Name)
	case migration.NotFound:
	default:
		return Batch{}, 0, fmt.Errorf("find batch %q: %w", in.Name, err)
	}
	ends, err := c.ends(ctx, &b)
	if err != nil {
		return Batch{}, 0, err
	}
	n, err := c.checkFile(ctx, &b, ends, in.File)
	if err != nil {
		return Batch{}, 0, err
	}
	kind := csvimport.Kind(b.Type)
	if in.DryRun {
		return Batch{Batch: b, Status: b.Status(migration.UserCounts{}), Warnings: warnings(kind, n)}, n, nil
	}
	if kind != csvimport.IMAP {
		return Batch{}, 0, fault(migration.InvalidArgument, "nothing is wrong with the file of %d mailboxes, but batches of type %s cannot be run yet: such files can be checked (--dry-run), nothing was stored", n, kind)
	}
	if n, err = c.store.CreateBatch(ctx, &b, c.users(ctx, b, ends, in.File)); err != nil {
		return Batch{}, 0, fmt.Errorf("create batch %q: %w", in.Name, err)
	}
	c.audit(ctx, a, migration.Event{OrgID: o.ID, BatchID: b.ID, Kind: "batch.created", Data: map[string]any{"batch": b.Name, "users": n}})
	if in.AutoStart {
		c.audit(ctx, a, migration.Event{OrgID: o.ID, BatchID: b.ID, Kind: "batch.started", Data: map[string]any{"batch": b.Name, "users": n}})
		c.kick()
	}
	out, err := c.look(ctx, b)
	return out, n, err
}

func warnings(k csvimport.Kind, mailboxes int) []string {
	if w := k.Warning(mailboxes); w != "" {
		return []string{w}
	}
	return nil
}

// ends are a batch's two endpoints.
type ends struct{ source, target migration.Endpoint }

// ends finds the endpoints that b names and puts their IDs into it.
func (c *Control) ends(ctx context.Context, b *migration.Batch) (e ends, err error) {
	for _, end := range []struct {
		what, name string
		into       *migration.Endpoint
		id         *int64
	}{
		{"source endpoint", b.SourceEndpoint, &e.source, &b.SourceEndpointID},
		{"target endpoint", b.TargetEndpoint, &e.target, &b.TargetEndpointID},
	} {
		if end.name == "" {
			return ends{}, fault(migration.InvalidArgument, "no %s is named (see mailhaul endpoint list, GET …/endpoints)", end.what)
		}
		if err := checkName(end.what, end.name); err != nil {
			return ends{}, err
		}
		*end.into, err = c.store.EndpointByName(ctx, b.OrgID, end.name)
		if err := missing(err, end.what, end.name); err != nil {
			return ends{}, err
		}
		*end.id = end.into.ID
	}
	return e, nil
}

// AddUsers adds the rows of a file to a batch. Doing it again changes nothing; new
// passwords resume users who need them.
func (c *Control) AddUsers(ctx context.Context, a Actor, org, name string, f File) (migration.AddResult, error) {
	b, res, err := c.addUsers(ctx, a, org, name, f, c.store.AddUsers)
	if err != nil {
		return res, err
	}
	c.audit(ctx, a, migration.Event{OrgID: b.OrgID, BatchID: b.ID, Kind: "batch.usersAdded", Data: map[string]any{
		"batch": name, "created": res.Created, "updated": res.Updated, "unchanged": res.Unchanged,
	}})
	c.kick()
	return res, nil
}

// TryUsers is AddUsers without keeping anything: what is wrong with the file, or what
// would come of it.
func (c *Control) TryUsers(ctx context.Context, a Actor, org, name string, f File) (migration.AddResult, error) {
	_, res, err := c.addUsers(ctx, a, org, name, f, c.store.TryUsers)
	return res, err
}

// addUsers hands the users of a file without problems to add.
func (c *Control) addUsers(ctx context.Context, a Actor, org, name string, f File,
	add func(context.Context, *migration.Batch, iter.Seq2[migration.User, error]) (migration.AddResult, error),
) (b migration.Batch, res migration.AddResult, err error) {
	if b, err = c.enterBatch(ctx, a, org, name, migration.Operator); err != nil {
		return b, res, err
	}
	if err := notEnding(b); err != nil {
		return b, res, err
	}
	ends, err := c.ends(ctx, &b)
	if err != nil {
		return b, res, err
	}
	if _, err := c.checkFile(ctx, &b, ends, f); err != nil {
		return b, res, err
	}
	if res, err = add(ctx, &b, c.users(ctx, b, ends, f)); err != nil {
		return b, res, fmt.Errorf("add users to %q: %w", name, err)
	}
	return b, res, nil
}

// Batches lists an organisation's batches by name.
func (c *Control) Batches(ctx context.Context, a Actor, org, after string, limit int) ([]Batch, error) {
	o, err := c.enter(ctx, a, org, migration.Viewer)
	if err != nil {
		return nil, err
	}
	list, err := c.store.ListBatches(ctx, o.ID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	out := make([]Batch, len(list))
	for i, b := range list {
		if out[i], err = c.look(ctx, b); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Batch finds one batch.
func (c *Control) Batch(ctx context.Context, a Actor, org, name string) (Batch, error) {
	b, err := c.enterBatch(ctx, a, org, name, migration.Viewer)
	if err != nil {
		return Batch{}, err
	}
	return c.look(ctx, b)
}

func (c *Control) enterBatch(ctx context.Context, a Actor, org, name string, need migration.Role) (migration.Batch, error) {
	o, err := c.enter(ctx, a, org, need)
	if err != nil {
		return migration.Batch{}, err
	}
	b, err := c.store.BatchByName(ctx, o.ID, name)
	if err := missing(err, "batch", name); err != nil {
		return migration.Batch{}, err
	}
	return b, nil
}

func (c *Control) look(ctx context.Context, b migration.Batch) (Batch, error) {
	s, err := c.store.Summary(ctx, b.ID)
	if err != nil {
		return Batch{}, fmt.Errorf("summarise batch %q: %w", b.Name, err)
	}
	out := Batch{Batch: b, Status: b.Status(s.Counts), Summary: s}
	out.Rate = c.rates.observe(b.ID, out.Status, s, c.now())
	return out, nil
}

// ChangeBatch changes a batch's settings, also while it runs. Its type and endpoints
// stay; when it starts can be changed until it has. confirm is its name where a change
// makes it delete mail.
func (c *Control) ChangeBatch(ctx context.Context, a Actor, org, name, confirm string, change func(*migration.BatchSpec)) (Batch, error) {
	if err := c.mayChange(ctx, a, org, name, confirm, change); err != nil {
		return Batch{}, err
	}
	b, err := c.changeBatch(ctx, a, org, name, func(b *migration.Batch) error {
		before := b.BatchSpec
		change(&b.BatchSpec)
		switch {
		case b.Type != before.Type || b.SourceEndpoint != before.SourceEndpoint || b.TargetEndpoint != before.TargetEndpoint:
			return fault(migration.InvalidArgument, "a batch's type and endpoints cannot be changed: make a new batch")
		case !b.StartAt.Equal(before.StartAt) || b.AutoStart != before.AutoStart:
			return fault(migration.InvalidArgument, "when a batch starts cannot be changed: start it, or make a new batch")
		}
		return c.completeBatchSpec(&b.BatchSpec)
	})
	if err != nil {
		return Batch{}, err
	}
	c.audit(ctx, a, migration.Event{OrgID: b.OrgID, BatchID: b.ID, Kind: "batch.updated", Data: map[string]any{"batch": name}})
	return c.look(ctx, b)
}

// changeBatch changes a batch as it is; of changes at once none is lost.
func (c *Control) changeBatch(ctx context.Context, a Actor, org, name string, change func(*migration.Batch) error) (migration.Batch, error) {
	b, err := c.enterBatch(ctx, a, org, name, migration.Operator)
	if err != nil {
		return b, err
	}
	changed, err := c.store.ChangeBatch(ctx, b.OrgID, b.ID, func(b *migration.Batch) error {
		if b.Removing {
			return fault(migration.Conflict, "batch %q is being removed", name)
		}
		return change(b)
	})
	if code(err) == migration.NotFound {
		return b, missing(err, "batch", name)
	}
	if err != nil {
		return b, fmt.Errorf("change batch %q: %w", name, err)
	}
	return changed, nil
}

func notEnding(b migration.Batch) error {
	switch {
	case b.Removing:
		return fault(migration.Conflict, "batch %q is being removed", b.Name)
	case b.Completing:
		return fault(migration.Conflict, "batch %q is being completed: nothing is added to it any more", b.Name)
	}
	return nil
}

// newcomer is the state of a user who is added to b now.
func newcomer(b *migration.Batch, now time.Time) migration.UserState {
	switch {
	case b.Stopped:
		return migration.UserState{Status: migration.UserStopped}
	case !b.StartedAt.IsZero():
		return migration.UserState{Status: migration.UserQueued, NextRunAt: now}
	default:
		return migration.UserState{Status: migration.UserCreated}
	}
}
