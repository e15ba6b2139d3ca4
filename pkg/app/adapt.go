package app

import (
	"context"
	"net"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/pass"
	"github.com/mailhaul/mailhaul/pkg/provider"
	"github.com/mailhaul/mailhaul/pkg/queue"
	"github.com/mailhaul/mailhaul/pkg/vault"
)

// leaseQueue is the queue as package dispatch sees it.
type leaseQueue struct{ *queue.Client }

func task(l migration.Lease) queue.Task {
	return queue.Task{UserID: l.UserID, Token: l.Token, Kind: l.Kind}
}

func (q leaseQueue) Enqueue(ctx context.Context, l migration.Lease) error {
	return q.Client.Enqueue(ctx, task(l))
}

func (q leaseQueue) Missing(ctx context.Context, leases []migration.Lease) ([]migration.Lease, error) {
	tasks := make([]queue.Task, len(leases))
	byToken := make(map[int64]migration.Lease, len(leases))
	for i, l := range leases {
		tasks[i], byToken[l.Token] = task(l), l
	}
	missing, err := q.Client.Missing(ctx, tasks)
	out := make([]migration.Lease, len(missing))
	for i, t := range missing {
		out[i] = byToken[t.Token]
	}
	return out, err
}

// secrets is the vault as package pass sees it: package control sealed what it
// unseals.
type secrets struct{ vault *vault.Vault }

func (s secrets) OfUser(u *migration.User, sealed []byte) (migration.Secret, error) {
	return s.vault.Open(sealed, control.SecretOfOrg(u.OrgID))
}

func (s secrets) OfAdmin(e *migration.Endpoint) (migration.Secret, error) {
	return s.vault.Open(e.AdminSecret, control.SecretOfEndpoint(e.OrgID, e.Name))
}

// dialer opens the connections to mail servers.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// opener opens mailboxes for passes, over connections that keep to the endpoints' rates.
func (d dialer) opener(b budgets) func(a pass.Account) mailbox.Opener {
	return func(a pass.Account) mailbox.Opener {
		return imapmail.NewOpener(imapmail.Account{
			Host: a.Host, Port: a.Port, Security: a.Security, Trust: a.Trust, User: a.User, AuthorizationID: a.AuthorizationID,
			Password: a.Password, Side: a.Side, Root: a.Root, Compress: a.Compress, Namespaces: a.Namespaces, Quirks: quirksOf(a.Preset),
		}, imapmail.Options{Dial: d, Pace: b.Bytes(a.EndpointID)})
	}
}

// quirksOf is what a preset knows beyond what the server tells.
func quirksOf(preset string) imapmail.Quirks {
	p, _ := provider.Lookup(preset)
	return imapmail.Quirks{Forbidden: p.Forbidden, FoldsCase: p.FoldsCase, TrimsNames: p.TrimNames, NeedsID: p.NeedsID, Missing: p.Missing}
}

// appendLimitOf is the largest message that a preset's servers take by default.
func appendLimitOf(preset string) int64 {
	p, _ := provider.Lookup(preset)
	return p.AppendLimit
}

// leaveOut are the folders that a preset leaves out by default: public ones among them
// unless the endpoint asks for them.
func leaveOut(e migration.EndpointSpec) []string {
	p, _ := provider.Lookup(e.Preset)
	if slices.Contains(e.Namespaces, migration.SharedFolders) {
		return p.LeftOut
	}
	return slices.Concat(p.LeftOut, p.PublicFolders)
}

// shownOf is how many messages a preset's servers show of a folder; 0: all.
func shownOf(preset string) int64 {
	p, _ := provider.Lookup(preset)
	return int64(p.VisiblePerBox)
}

// tester is the mail adapter's staged test as package control sees it.
type tester struct{ dial dialer }

func (t tester) Test(ctx context.Context, p control.Probe) []control.Stage {
	stages := imapmail.Test(ctx, imapmail.Account{
		Host: p.Host, Port: p.Port, Security: p.Security, Trust: p.Trust, User: p.User, AuthorizationID: p.AuthorizationID, Password: p.Password,
		Compress: p.Compress, Quirks: quirksOf(p.Preset),
	}, imapmail.Options{Dial: t.dial})
	out := make([]control.Stage, len(stages))
	for i, s := range stages {
		out[i] = control.Stage(s)
	}
	return out
}
