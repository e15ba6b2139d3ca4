package imapmail

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Account says which mailbox to open and how to log in to it.
type Account struct {
	Host     string
	Port     int
	Security migration.Security
	migration.Trust
	User string // the login name as it goes over the wire
	// AuthorizationID is whom to act as (RFC 4616 authzid), "" for User itself.
	AuthorizationID string
	Password        migration.Secret
	Side            migration.Side // for faults
	// Root is the folder, "/" between its parts, that stands for the whole mailbox:
	// only it and what is below it is seen, and it is what INBOX means. "" for all.
	Root string
	// Namespaces are those beside the personal one that are listed and may be written to:
	// migration.OtherUsers, migration.SharedFolders.
	Namespaces []string
	// Compress has the connection compressed (RFC 4978) where the server can do it.
	Compress bool
	Quirks
}

// Quirks are what is known of a mail system and what it does not tell itself.
type Quirks struct {
	// Forbidden, FoldsCase and TrimsNames are as in mailbox.Naming.
	Forbidden             string
	FoldsCase, TrimsNames bool
	// NeedsID has the client name itself (RFC 2971) before a folder is opened.
	NeedsID bool
	// Missing are capabilities that are not used, whatever is announced.
	Missing []string
}

// Options are what all accounts of a process share.
type Options struct {
	// Dial opens TCP connections; nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is the base of each connection's configuration; nil: the system's
	// authorities. The host's name is always verified unless it, or the account's
	// Trust, says otherwise.
	TLS *tls.Config
	// Patience is how long a server may keep a reply waiting without getting on with
	// it; 0: a minute.
	Patience time.Duration
	// OnBytes is told of bytes as they come in and go out, by several goroutines; nil
	// allowed. It must not block.
	OnBytes func(in, out int)
	// Pace holds what connections read and write to a rate; nil: none. Bytes are those
	// of IMAP: what TLS adds is not counted.
	Pace Pacer
}

// NewOpener returns the Opener of one account. An error of it is a *migration.Fault,
// or the cause with which the context ended.
func NewOpener(a Account, o Options) mailbox.Opener {
	names, marks := &nameBook{}, &labels{}
	return func(ctx context.Context) (mailbox.Session, error) {
		b := &opening{account: a, options: o, timeout: o.patience(), names: names, labels: marks}
		return b.open(ctx)
	}
}

func (o Options) patience() time.Duration {
	if o.Patience > 0 {
		return o.Patience
	}
	return progressTimeout
}

func (b *opening) open(ctx context.Context) (*session, error) {
	if err := b.dial(ctx); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { b.conn.kill(context.Cause(ctx)) })
	defer stop()
	for _, step := range b.steps() {
		if err := step.do(ctx); err != nil {
			b.conn.kill(err)
			return nil, err
		}
	}
	return b.session(), nil
}

// step is one stage of opening; Test tells of each.
type step struct {
	name string
	do   func(context.Context) error
}

// steps are the stages between the TCP connection and the session.
func (b *opening) steps() []step {
	secure := []step{{"TLS", b.handshake}, {"greeting", b.greet}}
	switch b.account.Security {
	case migration.StartTLS:
		secure = []step{{"greeting", b.greet}, {"TLS", b.startTLS}}
	case migration.Plain:
		secure = []step{{"greeting", b.greet}}
	}
	return append(secure, step{"login", b.login}, step{"compression", b.compress})
}
