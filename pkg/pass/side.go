package pass

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// side is one of the two mailboxes of a pass.
type side struct {
	endpoint migration.Endpoint
	account  Account
	open     mailbox.Opener
	// further opens connections that the pass can do without: how that goes says nothing
	// about the endpoint or the password.
	further mailbox.Opener

	mu sync.Mutex
	// reached is whether the latest attempt to connect and log in went well.
	reached bool
	// entered is whether any did.
	entered bool
}

// login is how the user's mailbox at e is opened: with the user's own secret, or by
// the endpoint's administrator where there is none.
func (r *Runner) login(u *migration.User, e *migration.Endpoint, which migration.Side) (Account, error) {
	sealed := u.SourceSecret
	if which == migration.Target {
		sealed = u.TargetSecret
	}
	name, root := u.Mailbox(which)
	a := Account{EndpointID: e.ID, Preset: e.Preset, Host: e.Host, Port: e.Port, Security: e.Security, Trust: e.Trust, Side: which, Root: root, Compress: e.Compress, Namespaces: e.Namespaces, Login: migration.Login{User: name}}
	var err error
	switch {
	case len(sealed) > 0:
		a.Password, err = r.Vault.OfUser(u, sealed)
	case e.HasAdmin():
		a.Login = e.AdminLogin(name)
		a.Password, err = r.Vault.OfAdmin(e)
	default:
		return a, migration.NewFault(migration.AuthFailed, migration.ScopeUser, which,
			"there is no password for the "+string(which)+" mailbox, and its endpoint has no administrator", nil)
	}
	if err != nil {
		return a, migration.NewFault(migration.Internal, migration.ScopeUser, which,
			"unseal the password of the "+string(which)+" mailbox: "+why(err), err)
	}
	return a, nil
}

// why is what an operator has to know of an error: of a fault, what it says to people.
func why(err error) string {
	var f *migration.Fault
	if errors.As(err, &f) {
		return f.Reason
	}
	return err.Error()
}

// newSide returns a side whose opener takes note of how connecting went.
func (r *Runner) newSide(u *migration.User, e migration.Endpoint, which migration.Side) (*side, error) {
	a, err := r.login(u, &e, which)
	if err != nil {
		return nil, err
	}
	s := &side{endpoint: e, account: a}
	open := r.Open(a)
	var well, worked sync.Once
	s.open = func(ctx context.Context) (mailbox.Session, error) {
		session, err := open(ctx)
		if err == nil && e.Park != (migration.Park{}) && (a.Admin || !e.Park.Untried()) {
			well.Do(func() { r.reopen(ctx, e.ID) }) // others need not wait for the end of this pass
		}
		s.mu.Lock()
		s.reached = err == nil
		s.entered = s.entered || s.reached
		s.mu.Unlock()
		if a.Admin {
			if err == nil && time.Since(e.AdminWorkedAt) > noteAdmin {
				worked.Do(func() { r.adminWorked(ctx, &e) })
			}
			err = r.admins.judge(&e, err)
		}
		if err != nil {
			return nil, err
		}
		return paced{session, r.Rates, e.ID}, nil
	}
	s.further = func(ctx context.Context) (mailbox.Session, error) {
		session, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return paced{session, r.Rates, e.ID}, nil
	}
	return s, nil
}

func (s *side) wasReached() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reached
}

func (s *side) wasEntered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entered
}

// adminWorked has other workers, and those to come, know that the password is right. An
// error costs no more than that they have to see for themselves.
func (r *Runner) adminWorked(ctx context.Context, e *migration.Endpoint) {
	if err := r.Store.AdminWorked(ctx, e, time.Now().UTC()); err != nil {
		r.Log.Warn("administrator's login not noted", zap.Int64("endpoint", e.ID), zap.Error(err))
	}
}

// admins remembers, an endpoint each, how logins of its administrator went here. A
// rejected one says that the password is wrong, or that the user does not exist:
// most servers do not tell which. What worked elsewhere the endpoint itself tells.
type admins struct {
	mu   sync.Mutex
	seen map[int64]standing
}

// standing is what is known of one administrator's password.
type standing struct {
	sealed  string // which password
	worked  time.Time
	refused int // in a row since it worked
}

const (
	// trustAdmin is how long a login that worked speaks for the password.
	trustAdmin = 24 * time.Hour
	// noteAdmin is how old the note of such a login may be before it is written anew.
	noteAdmin = time.Hour
	// maxRefused rejections in a row are laid to the users' charge; more are not
	// chance.
	maxRefused = 2
)

// judge makes a rejected administrator's login the endpoint's fault, so that it
// pauses instead of its users one by one; except where the same password has just
// opened other mailboxes.
func (a *admins) judge(e *migration.Endpoint, err error) error {
	var f *migration.Fault
	rejected := errors.As(err, &f) && f.Code == migration.AuthFailed
	if err != nil && !rejected {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen == nil {
		a.seen = map[int64]standing{}
	}
	s := a.seen[e.ID]
	if s.sealed != string(e.AdminSecret) {
		s = standing{sealed: string(e.AdminSecret)}
	}
	if err == nil {
		s.worked, s.refused = time.Now(), 0
	} else {
		s.refused++
	}
	a.seen[e.ID] = s
	if err == nil || (time.Since(s.worked) < trustAdmin || time.Since(e.AdminWorkedAt) < trustAdmin) && s.refused <= maxRefused {
		return err
	}
	wide := *f
	wide.Scope = migration.ScopeEndpoint
	wide.Reason = migration.Clean("the administrator's login was rejected: " + f.Reason)
	return &wide
}
