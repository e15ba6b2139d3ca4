package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/csvimport"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Scope answers the mailboxes that may move by an endpoint's scope, sorted; NotFound
// where it has no list, and all may.
func (c *Control) Scope(ctx context.Context, a Actor, org, name string) ([]string, error) {
	o, err := c.enter(ctx, a, org, migration.Viewer)
	if err != nil {
		return nil, err
	}
	e, err := c.endpoint(ctx, o.ID, name)
	if err != nil {
		return nil, err
	}
	list, err := c.store.Scope(ctx, e.ID)
	if err == nil && list == nil {
		err = fault(migration.NotFound, "endpoint %q has no scope: every mailbox may move", name)
	}
	return list, err
}

// SetScope puts a list in the place of an endpoint's scope; an empty one lets nobody move.
// Blank names are passed over: they keep the places of the others.
func (c *Control) SetScope(ctx context.Context, a Actor, org, name string, mailboxes []string) (migration.Endpoint, error) {
	return c.changeScope(ctx, a, org, name, func([]string) ([]string, error) {
		s := newScopeList(nil)
		s.add(mailboxes)
		return s.result()
	})
}

// EditScope adds mailboxes to an endpoint's scope, and takes others off. One that is
// there already is no problem; one to be taken off that is not there is: it was misspelt.
func (c *Control) EditScope(ctx context.Context, a Actor, org, name string, add, remove []string) (migration.Endpoint, error) {
	return c.changeScope(ctx, a, org, name, func(list []string) ([]string, error) {
		if list == nil {
			return nil, fault(migration.InvalidArgument, "endpoint %q has no scope, every mailbox may move: set one first", name)
		}
		s := newScopeList(list)
		s.remove(remove)
		s.add(add)
		return s.result()
	})
}

// ClearScope ends an endpoint's scope: every mailbox may move again.
func (c *Control) ClearScope(ctx context.Context, a Actor, org, name string) error {
	_, err := c.changeScope(ctx, a, org, name, func([]string) ([]string, error) { return nil, nil })
	return err
}

func (c *Control) changeScope(ctx context.Context, a Actor, org, name string, change func([]string) ([]string, error)) (migration.Endpoint, error) {
	o, err := c.enter(ctx, a, org, migration.Admin)
	if err != nil {
		return migration.Endpoint{}, err
	}
	e, err := c.endpoint(ctx, o.ID, name)
	if err != nil {
		return migration.Endpoint{}, err
	}
	was := e.ScopeSize
	e, err = c.store.ChangeScope(ctx, o.ID, e.ID, change)
	if code(err) == migration.NotFound {
		return migration.Endpoint{}, missing(err, "endpoint", name)
	}
	if err != nil {
		return migration.Endpoint{}, fmt.Errorf("change the scope of endpoint %q: %w", name, err)
	}
	c.audit(ctx, a, migration.Event{OrgID: o.ID, Kind: "endpoint.scopeChanged", Data: map[string]any{"endpoint": name, "mailboxes": e.ScopeSize, "before": was}})
	return e, nil
}

// scopeList is a scope that is being put together, with all that is wrong with it.
type scopeList struct {
	names    []string
	at       map[string]int // key -> place in names; a name that was taken off has none
	problems []csvimport.Problem
	more     int
}

func newScopeList(names []string) *scopeList {
	s := &scopeList{at: map[string]int{}}
	for _, name := range names {
		s.put(name)
	}
	return s
}

func (s *scopeList) put(name string) {
	s.at[migration.ScopeKey(name)] = len(s.names)
	s.names = append(s.names, name)
}

func (s *scopeList) refuse(line int, reason string) {
	if len(s.problems) == csvimport.MaxProblems {
		s.more++
		return
	}
	s.problems = append(s.problems, csvimport.Problem{Line: line, Reason: reason})
}

// add puts names on the list; their places are the lines that problems tell.
func (s *scopeList) add(names []string) {
	first := map[string]int{}
	for i, name := range names {
		key := migration.ScopeKey(name)
		if name == "" {
			continue
		}
		if reason := scopeReason(name); reason != "" {
			s.refuse(i+1, reason)
		} else if line, twice := first[key]; twice {
			s.refuse(i+1, fmt.Sprintf("the same mailbox as in line %d", line))
		} else if first[key] = i + 1; !s.has(key) {
			s.put(name)
		}
	}
}

func (s *scopeList) has(key string) bool { _, is := s.at[key]; return is }

func (s *scopeList) remove(names []string) {
	for i, name := range names {
		key := migration.ScopeKey(name)
		if !s.has(key) {
			s.refuse(i+1, "not in the scope, so it cannot be taken off")
			continue
		}
		s.names[s.at[key]] = ""
		delete(s.at, key)
	}
}

// result is the list, or an *ImportError with all that is wrong.
func (s *scopeList) result() ([]string, error) {
	out := make([]string, 0, len(s.at))
	for _, name := range s.names {
		if name != "" {
			out = append(out, name)
		}
	}
	if n := len(out); n > migration.MaxInScope {
		tooMany := csvimport.Problem{Reason: fmt.Sprintf("%d mailboxes: a scope names at most %d", n, migration.MaxInScope)}
		s.problems = append([]csvimport.Problem{tooMany}, s.problems...)
	}
	switch n := len(s.problems) + s.more; n {
	case 0:
		return out, nil
	case 1:
		return nil, &ImportError{Problems: s.problems, Fault: fault(migration.InvalidArgument, "the list has a problem: %s", s.problems[0])}
	default:
		return nil, &ImportError{Problems: s.problems, More: s.more, Fault: fault(migration.InvalidArgument, "the list has %d problems; nothing was changed", n)}
	}
}

// scopeReason says what is wrong with a name, or "".
func scopeReason(name string) string {
	login, _, rooted := strings.Cut(name, " /")
	switch {
	case strings.ContainsAny(name, ",;"):
		return "a comma or semicolon: one mailbox a line, and nothing else"
	case login == "" || strings.HasPrefix(login, "@") || strings.HasSuffix(login, "@"):
		return "not a mailbox: give its login, such as ann@example.com"
	case !rooted && strings.Contains(name, " "):
		return "a space in the name: only a root folder, as in \"root@example.com /shared/ann\", has one before it"
	}
	return csvimport.NameReason(name)
}

// checkScopes notes which of the rows name a mailbox outside the scope of its endpoint.
// What a cross-tenant file names is the target's alone, a staged one the source's.
func (c *Control) checkScopes(ctx context.Context, ch *checker, rows []csvimport.Row) error {
	var err error
	if ch.kind != csvimport.CrossTenant {
		err = c.checkScope(ctx, ch, ch.source, rows, func(r csvimport.Row) (string, string, string) { return r.UserName, r.UserRoot, "UserName" })
	}
	if ch.kind != csvimport.Staged {
		err = errors.Join(err, c.checkScope(ctx, ch, ch.target, rows, func(r csvimport.Row) (string, string, string) {
			return r.TargetUserName, r.TargetRoot, "TargetUserName"
		}))
	}
	return err
}

func (c *Control) checkScope(ctx context.Context, ch *checker, e migration.Endpoint, rows []csvimport.Row,
	of func(csvimport.Row) (login, root, column string),
) error {
	if e.ScopeSize == nil {
		return nil
	}
	names, columns := make([]string, len(rows)), make([]string, len(rows))
	for i, r := range rows {
		login, root, column := of(r)
		if login == "" {
			login, column = r.EmailAddress, "EmailAddress"
		}
		names[i], columns[i] = migration.ScopeName(login, root), column
	}
	in, err := c.store.InScope(ctx, e.ID, names)
	if err != nil {
		return fmt.Errorf("look into the scope of %q: %w", e.Name, err)
	}
	for i, r := range rows {
		if names[i] != "" && !in[names[i]] { // no cell is quoted: it may be a password in the wrong column
			ch.outside++
			ch.refuse(r.Line, columns[i], fmt.Sprintf("this mailbox is not in the scope of endpoint %q (%s)", e.Name, migration.NotInScope))
		}
	}
	return nil
}
