package app

import (
	"context"
	"crypto/tls"
	"errors"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/statefile"
)

// Pair is one mailbox pair that is synced or verified without a server.
type Pair struct {
	Source, Target imapmail.Account
	// StateFile keeps the records from pass to pass; "": they are forgotten, and the
	// next pass recognises by itself what is at the target.
	StateFile string
	mailsync.Selection
	// TLS is the base of both sides' configuration; nil: the system's authorities.
	TLS *tls.Config

	// Mirror and ConfirmedDeletions are as in mailsync.Job.
	Mirror             bool
	ConfirmedDeletions int64

	MaxMessageSize int64
	NewestFirst    bool
	// Connections is how many each side may have at once; 0: one.
	Connections int
	DryRun      bool
	// Observe is told of a pass, ObserveVerify of a verify: see mailsync.
	Observe       func(migration.Tally)
	ObserveVerify func(read, all int64)
}

// Sync performs one pass.
func (p Pair) Sync(ctx context.Context) (out mailsync.Outcome, err error) {
	records, done, err := p.records()
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, done()) }()
	source, target := p.openers()
	return mailsync.Run(ctx, mailsync.Job{
		Source: source, Target: target, Records: records,
		Selection:      p.Selection,
		MaxMessageSize: p.MaxMessageSize, NewestFirst: p.NewestFirst, DryRun: p.DryRun, Observe: p.Observe,
		Connections: p.Connections, Mirror: p.Mirror, ConfirmedDeletions: p.ConfirmedDeletions,
	})
}

// Verify compares the two mailboxes message by message.
func (p Pair) Verify(ctx context.Context) (out migration.Receipt, err error) {
	records, done, err := p.records()
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, done()) }()
	source, target := p.openers()
	return mailsync.Verify(ctx, mailsync.VerifyJob{
		Source: source, Target: target, Records: records, Selection: p.Selection, Observe: p.ObserveVerify,
	})
}

func (p Pair) openers() (source, target mailbox.Opener) {
	options := imapmail.Options{TLS: p.TLS}
	p.Source.Side, p.Target.Side = migration.Source, migration.Target
	return imapmail.NewOpener(p.Source, options), imapmail.NewOpener(p.Target, options)
}

func (p Pair) records() (mailsync.Records, func() error, error) {
	if p.StateFile == "" {
		return mailsync.NewMemoryRecords(), func() error { return nil }, nil
	}
	f, err := statefile.Open(p.StateFile, statefile.Pair{Source: p.Source.User, Target: p.Target.User})
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}
