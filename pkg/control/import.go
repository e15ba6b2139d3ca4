package control

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/csvimport"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// ImportError is a file, or a list of mapping rules, with problems: all of them at once.
type ImportError struct {
	Fault    *migration.Fault
	Problems []csvimport.Problem
	More     int // further problems that are not listed
}

func (e *ImportError) Error() string { return e.Fault.Error() }

// Unwrap returns the fault.
func (e *ImportError) Unwrap() error { return e.Fault }

// asked is how many rows the store is asked about at a time.
const asked = 500

// checker finds what is wrong with rows beyond their form.
type checker struct {
	ends
	kind    csvimport.Kind
	refused map[int][]csvimport.Problem // by line
	pairs   map[[sha256.Size]byte]place // of an IMAP file, by its two mailboxes
	dup     int                         // of them, because the mailbox is in another live batch
	alien   int                         // of those, another organisation's
	outside int                         // because the mailbox is not in an endpoint's scope
}

// place is where a pair of mailboxes was first.
type place struct {
	line    int
	address string // folded
}

func (ch *checker) refuse(line int, column, reason string) {
	ch.refused[line] = append(ch.refused[line], csvimport.Problem{Line: line, Column: column, Reason: reason})
}

// checkFile validates a whole file against its batch and answers the number of rows.
//
//  1. Read it once for problems of form. Ask the store, some hundreds of rows at a
//     time, which are in another live batch, which are outside an endpoint's scope, and
//     which users have passwords already.
//  2. Only where rows are refused for that, read it once more, so that all problems
//     come in the order of the lines.
func (c *Control) checkFile(ctx context.Context, b *migration.Batch, e ends, f File) (int, error) {
	ch := &checker{ends: e, kind: csvimport.Kind(b.Type), refused: map[int][]csvimport.Problem{}, pairs: map[[sha256.Size]byte]place{}}
	var chunk []csvimport.Row
	var failed error
	ask := func() {
		if failed == nil {
			failed = c.checkRows(ctx, b, ch, chunk)
		}
		chunk = chunk[:0]
	}
	n, err := c.readThrough(ch.kind, e, f, func(r csvimport.Row) []csvimport.Problem {
		if chunk = append(chunk, r); len(chunk) == asked {
			ask()
		}
		return nil
	})
	if ask(); failed != nil {
		return 0, failed
	}
	if len(ch.refused) > 0 {
		n, err = c.readThrough(ch.kind, e, f, func(r csvimport.Row) []csvimport.Problem { return ch.refused[r.Line] })
	}
	return n, ch.verdict(err)
}

// checkRows notes which of the rows are refused.
func (c *Control) checkRows(ctx context.Context, b *migration.Batch, ch *checker, rows []csvimport.Row) error {
	found, err := c.store.LiveMailboxes(ctx, b, logins(rows))
	if err != nil {
		return fmt.Errorf("look for the mailboxes in other batches: %w", err)
	}
	back, err := c.store.OppositeMailboxes(ctx, b, logins(rows))
	if err != nil {
		return fmt.Errorf("look for the mailboxes in batches of the other direction: %w", err)
	}
	if err := c.checkScopes(ctx, ch, rows); err != nil {
		return err
	}
	var lacking []csvimport.Row
	for _, r := range rows {
		ch.pair(r)
		if batch, is := found[r.EmailAddress]; is {
			ch.elsewhere(r, batch, "is in the live batch %q already")
		} else if batch, is := back[r.EmailAddress]; is {
			ch.elsewhere(r, batch, "is moved the other way by the live batch %q, and each would copy the other's copies")
		} else if len(ch.lacks(r, nil)) > 0 {
			lacking = append(lacking, r)
		}
	}
	known, err := c.known(ctx, b, lacking)
	if err != nil {
		return err
	}
	for _, r := range lacking {
		for _, p := range ch.lacks(r, known[foldAddress(r.EmailAddress)]) {
			ch.refuse(r.Line, p.Column, p.Reason)
		}
	}
	return nil
}

func addresses(rows []csvimport.Row) []string {
	var out []string
	for _, r := range rows {
		if r.EmailAddress != "" {
			out = append(out, r.EmailAddress)
		}
	}
	return out
}

// logins are the rows as users who have no more than names.
func logins(rows []csvimport.Row) []migration.User {
	var out []migration.User
	for _, r := range rows {
		if r.EmailAddress != "" {
			out = append(out, migration.User{EmailAddress: r.EmailAddress, UserName: r.UserName, TargetUserName: r.TargetUserName, UserRoot: r.UserRoot, TargetRoot: r.TargetRoot})
		}
	}
	return out
}

// known finds the users of b that the rows speak of, by folded address; a batch that
// is not stored yet has none.
func (c *Control) known(ctx context.Context, b *migration.Batch, rows []csvimport.Row) (map[string]*migration.User, error) {
	if b.ID == 0 || len(rows) == 0 {
		return nil, nil
	}
	list, err := c.store.UsersByEmail(ctx, b.ID, addresses(rows))
	if err != nil {
		return nil, fmt.Errorf("find users of %q: %w", b.Name, err)
	}
	out := make(map[string]*migration.User, len(list))
	for i := range list {
		out[foldAddress(list[i].EmailAddress)] = &list[i]
	}
	return out, nil
}

func (c *Control) readThrough(k csvimport.Kind, e ends, f File, each func(csvimport.Row) []csvimport.Problem) (int, error) {
	return csvimport.Check(bytes.NewReader(f.CSV), c.options(k, e, f), each)
}

func (c *Control) options(k csvimport.Kind, e ends, f File) csvimport.Options {
	return csvimport.Options{
		Kind:                k,
		AllowUnknownColumns: f.AllowUnknownColumns, PasswordOptional: e.source.HasAdmin(),
		Encoding: f.Encoding, Limit: c.limits,
	}
}

// elsewhere refuses a row whose mailbox is in another live batch, "" being another
// organisation's; how says it of one's own.
func (ch *checker) elsewhere(r csvimport.Row, batch, how string) {
	ch.dup++
	if batch == "" {
		ch.alien++
		ch.refuse(r.Line, "", fmt.Sprintf("%s is being moved by somebody else (%s)", r.EmailAddress, migration.AlreadyBeingMoved))
		return
	}
	ch.refuse(r.Line, "", fmt.Sprintf("%s "+how+" (%s)", r.EmailAddress, batch, migration.DuplicateInOtherBatch))
}

// lacks tells what is missing to log in on either side; of is the row's user in the
// batch, or nil. Of the other kinds both sides are opened by administrators.
func (ch *checker) lacks(r csvimport.Row, of *migration.User) (lacking []csvimport.Problem) {
	if ch.kind != csvimport.IMAP || of != nil && completed(of) {
		return nil
	}
	if !r.HasPassword && !ch.source.HasAdmin() && (of == nil || len(of.SourceSecret) == 0) {
		lacking = append(lacking, csvimport.Problem{Column: "Password", Reason: fmt.Sprintf("there is none, and the source endpoint %q has no administrator", ch.source.Name)})
	}
	if !r.HasTargetPassword && !ch.target.HasAdmin() && (of == nil || len(of.TargetSecret) == 0) {
		lacking = append(lacking, csvimport.Problem{Column: "TargetPassword", Reason: fmt.Sprintf("there is none, and the target endpoint %q has no administrator", ch.target.Name)})
	}
	return lacking
}

// pair refuses a row whose two mailboxes are those of another row, by another address,
// or are one: it would be copied onto itself.
func (ch *checker) pair(r csvimport.Row) {
	if ch.kind != csvimport.IMAP || r.EmailAddress == "" || r.UserName == "" {
		return
	}
	u := migration.User{EmailAddress: r.EmailAddress, UserName: r.UserName, TargetUserName: r.TargetUserName, UserRoot: r.UserRoot, TargetRoot: r.TargetRoot}
	login, root := u.Mailbox(migration.Source)
	source := strings.ToLower(login) + "\n" + root
	login, root = u.Mailbox(migration.Target)
	target := strings.ToLower(login) + "\n" + root
	if source == target && ch.source.System() == ch.target.System() {
		ch.refuse(r.Line, "UserName", "source and target are the same mailbox")
		return
	}
	key, address := sha256.Sum256([]byte(source+"\n"+target)), foldAddress(r.EmailAddress)
	first, twice := ch.pairs[key]
	switch {
	case !twice:
		ch.pairs[key] = place{r.Line, address}
	case first.address != address: // else the reading has told
		ch.refuse(r.Line, "TargetUserName", fmt.Sprintf("the same two mailboxes as in line %d", first.line))
	}
}

// verdict makes the import's problems into an error with a code: that of the other
// batches, or of the scopes, where there is nothing else wrong.
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
	case ch.outside == n && n == 1:
		out.Fault = fault(migration.NotInScope, "line %d, %s: %s", p.List[0].Line, p.List[0].Column, p.List[0].Reason)
	case ch.outside == n && n > 0:
		out.Fault = fault(migration.NotInScope, "%d mailboxes may not move, by the scope of an endpoint; nothing was stored", n)
	case n == 1:
		one, where := p.List[0], ""
		if one.Line > 0 {
			where = fmt.Sprintf(" in line %d", one.Line)
		}
		out.Fault = fault(p.Code, "the CSV file has a problem%s: %s", where, strings.TrimPrefix(one.Column+": "+one.Reason, ": "))
	default:
		out.Fault = fault(p.Code, "the CSV file has %d problems; nothing was stored", n)
	}
	return out
}

// users reads the file as users of b, secrets sealed as soon as some hundreds of rows
// are read. A password that its user has already is left out: sealed again it would
// look like a new one.
func (c *Control) users(ctx context.Context, b migration.Batch, e ends, f File) iter.Seq2[migration.User, error] {
	state := newcomer(&b, c.now())
	return func(yield func(migration.User, error) bool) {
		for rows, err := range inChunks(csvimport.Read(bytes.NewReader(f.CSV), c.options(csvimport.Kind(b.Type), e, f))) {
			var known map[string]*migration.User
			if err == nil {
				known, err = c.known(ctx, &b, withPassword(rows))
			}
			if err != nil {
				yield(migration.User{}, err)
				return
			}
			for _, r := range rows {
				c.withoutKnown(&r, known[foldAddress(r.EmailAddress)])
				u := migration.User{
					OrgID: b.OrgID, BatchID: b.ID, UserState: state,
					EmailAddress: r.EmailAddress, UserName: r.UserName, TargetUserName: r.TargetUserName,
					UserRoot: r.UserRoot, TargetRoot: r.TargetRoot,
				}
				if err := c.sealUser(&u, r.Password, r.TargetPassword); !yield(u, err) || err != nil {
					return
				}
			}
		}
	}
}

// withPassword returns the rows that bring one.
func withPassword(rows []csvimport.Row) []csvimport.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r csvimport.Row) bool { return !r.HasPassword && !r.HasTargetPassword })
}

// inChunks gathers rows until the store can be asked about them together. A slice is
// good until the next one.
func inChunks(rows iter.Seq2[csvimport.Row, error]) iter.Seq2[[]csvimport.Row, error] {
	return func(yield func([]csvimport.Row, error) bool) {
		chunk := make([]csvimport.Row, 0, asked)
		for r, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			if chunk = append(chunk, r); len(chunk) == asked {
				if !yield(chunk, nil) {
					return
				}
				chunk = chunk[:0]
			}
		}
		if len(chunk) > 0 {
			yield(chunk, nil)
		}
	}
}

// withoutKnown blanks the passwords of r that its user, which may be nil, has already, or
// does not need any more.
func (c *Control) withoutKnown(r *csvimport.Row, u *migration.User) {
	switch {
	case u == nil:
		return
	case completed(u): // what was erased stays so
		r.Password, r.TargetPassword = migration.Secret{}, migration.Secret{}
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
