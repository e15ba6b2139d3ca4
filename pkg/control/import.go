package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/mailhaul/mailhaul/pkg/csvimport"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// ImportError is a file with problems: all of them at once.
type ImportError struct {
	Fault    *migration.Fault
	Problems []csvimport.Problem
	More     int // further problems that are not listed
}

func (e *ImportError) Error() string { return e.Fault.Error() }

// Unwrap returns the fault.
func (e *ImportError) Unwrap() error { return e.Fault }

// asked is how many addresses are looked up at a time.
const asked = 500

// checker finds what is wrong with rows beyond their form.
type checker struct {
	ends
	// known finds a row's user in the batch that is added to; nil for a new batch.
	known func(csvimport.Row) (migration.User, error)
	taken map[string]string // address -> other live batch, "" another organisation's
	dup   int               // rows refused because of taken
	alien int               // of those, another organisation's
	err   error             // of known
}

// checkFile validates a whole file against its batch and answers the number of rows.
//
//  1. Read it once: problems of form and of credentials; the addresses are collected.
//  2. Ask the store, some hundreds at a time, which of them are in another live batch.
//  3. Only where there are such, read it once more, so that all problems come in the
//     order of the lines.
func (c *Control) checkFile(ctx context.Context, b *migration.Batch, e ends, f File, known func(csvimport.Row) (migration.User, error)) (int, error) {
	ch := &checker{ends: e, known: known, taken: map[string]string{}}
	var chunk []string
	ask := func() {
		if len(chunk) == 0 || ch.err != nil {
			return
		}
		found, err := c.store.LiveMailboxes(ctx, b, chunk)
		if err != nil {
			ch.err = fmt.Errorf("look for the mailboxes in other batches: %w", err)
			return
		}
		for email, batch := range found {
			ch.taken[foldAddress(email)] = batch
		}
		chunk = chunk[:0]
	}
	n, err := c.readThrough(f, func(r csvimport.Row) string {
		if r.EmailAddress != "" {
			chunk = append(chunk, r.EmailAddress)
		}
		if len(chunk) == asked {
			ask()
		}
		return ch.credentials(r)
	})
	if ask(); ch.err != nil {
		return 0, ch.err
	}
	if len(ch.taken) > 0 {
		n, err = c.readThrough(f, func(r csvimport.Row) string {
			if reason := ch.elsewhere(r); reason != "" {
				return reason
			}
			return ch.credentials(r)
		})
	}
	if ch.err != nil {
		return 0, ch.err
	}
	return n, ch.verdict(err)
}

func (c *Control) readThrough(f File, each func(csvimport.Row) string) (int, error) {
	return csvimport.Check(bytes.NewReader(f.CSV), c.options(f), each)
}

func (c *Control) options(f File) csvimport.Options {
	return csvimport.Options{AllowUnknownColumns: f.AllowUnknownColumns, Encoding: f.Encoding, Limit: c.limits}
}

func (ch *checker) elsewhere(r csvimport.Row) string {
	batch, taken := ch.taken[foldAddress(r.EmailAddress)]
	switch {
	case !taken:
		return ""
	case batch == "":
		ch.dup++
		ch.alien++
		return fmt.Sprintf("%s is being moved by somebody else (%s)", r.EmailAddress, migration.AlreadyBeingMoved)
	default:
		ch.dup++
		return fmt.Sprintf("%s is in the live batch %q already (%s)", r.EmailAddress, batch, migration.DuplicateInOtherBatch)
	}
}

// credentials says what is missing to log in on either side.
func (ch *checker) credentials(r csvimport.Row) string {
	source := r.HasPassword || ch.source.HasAdmin()
	target := r.HasTargetPassword || ch.target.HasAdmin()
	if source && target {
		return ""
	}
	if ch.known != nil && ch.err == nil {
		u, err := ch.known(r)
		if err != nil && code(err) != migration.NotFound {
			ch.err = fmt.Errorf("find user %s: %w", r.EmailAddress, err)
		}
		source = source || err == nil && len(u.SourceSecret) > 0
		target = target || err == nil && len(u.TargetSecret) > 0
	}
	switch {
	case !source:
		return fmt.Sprintf("no Password, and the source endpoint %q has no administrator", ch.source.Name)
	case !target:
		return fmt.Sprintf("no TargetPassword, and the target endpoint %q has no administrator", ch.target.Name)
	}
	return ""
}

// verdict makes the import's problems into an error with a code: that of the other
// batches where there is nothing else wrong.
func (ch *checker) verdict(err error) error {
	var p *csvimport.Problems
	if !errors.As(err, &p) {
		if err != nil {
			return fmt.Errorf("read the CSV file: %w", err)
		}
		return nil
	}
	n := len(p.List) + p.More
	out := &ImportError{Problems: p.List, More: p.More}
	switch {
	case ch.dup == n && ch.alien == n && n > 0:
		out.Fault = fault(migration.AlreadyBeingMoved, "all rejected mailboxes are being moved by somebody else")
	case ch.dup == n && n > 0:
		out.Fault = fault(migration.DuplicateInOtherBatch, "%s", p.List[0].Reason)
	case n == 1:
		out.Fault = fault(p.Code, "the CSV file has a problem in line %d: %s", p.List[0].Line, p.List[0].Reason)
	default:
		out.Fault = fault(p.Code, "the CSV file has %d problems; nothing was stored", n)
	}
	return out
}

// users reads the file as users of b, secrets sealed the moment their row is read.
// known finds a row's user in the batch; nil for a new batch. A password that the user
// has already is left out: sealed again it would look like a new one.
func (c *Control) users(b *migration.Batch, f File, known func(csvimport.Row) (migration.User, error)) iter.Seq2[migration.User, error] {
	state := newcomer(b, c.now())
	return func(yield func(migration.User, error) bool) {
		for r, err := range csvimport.Read(bytes.NewReader(f.CSV), c.options(f)) {
			if err == nil && known != nil {
				err = c.withoutKnown(&r, known)
			}
			if err != nil {
				yield(migration.User{}, err)
				return
			}
			u := migration.User{
				OrgID: b.OrgID, BatchID: b.ID, UserState: state,
				EmailAddress: r.EmailAddress, UserName: r.UserName, TargetUserName: r.TargetUserName,
				UserRoot: r.UserRoot, TargetRoot: r.TargetRoot,
			}
			if err = c.sealUser(&u, r.Password, r.TargetPassword); !yield(u, err) || err != nil {
				return
			}
		}
	}
}

// withoutKnown blanks the passwords of r that its user has already.
func (c *Control) withoutKnown(r *csvimport.Row, known func(csvimport.Row) (migration.User, error)) error {
	u, err := known(*r)
	if code(err) == migration.NotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find user %s: %w", r.EmailAddress, err)
	}
	for _, s := range []struct {
		given  *migration.Secret
		sealed []byte
	}{{&r.Password, u.SourceSecret}, {&r.TargetPassword, u.TargetSecret}} {
		if s.given.Empty() || len(s.sealed) == 0 {
			continue
		}
		// One that cannot be opened any more is replaced.
		if old, err := c.vault.Open(s.sealed, SecretOfOrg(u.OrgID)); err == nil && old == *s.given {
			*s.given = migration.Secret{}
		}
	}
	return nil
}

// sealUser puts the passwords that are not empty into u.
func (c *Control) sealUser(u *migration.User, source, target migration.Secret) error {
	for _, s := range []struct {
		secret migration.Secret
		into   *[]byte
	}{{source, &u.SourceSecret}, {target, &u.TargetSecret}} {
		if s.secret.Empty() {
			continue
		}
		sealed, err := c.vault.Seal(s.secret, SecretOfOrg(u.OrgID))
		if err != nil {
			return fmt.Errorf("seal a password of %s: %w", u.EmailAddress, err)
		}
		*s.into = sealed
	}
	return nil
}
