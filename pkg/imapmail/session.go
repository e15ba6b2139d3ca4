package imapmail

import (
	"context"
	"strings"

	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// session is one authenticated connection.
type session struct {
	account Account
	names   *nameBook
	labels  *labels
	conn    *conn
	client  *imapclient.Client
	words   capabilities
	caps    mailbox.Caps

	// The answer to NAMESPACE (or LIST "" "") is on its way from the start, and read
	// when it is needed.
	namespace *imapclient.NamespaceCommand
	root      *imapclient.ListCommand
	naming    mailbox.Naming
	greeting  string
	others    []namespace // that are not the user's own
	pipe      *pipe
	tags      int
	asked     bool // the server has asked for a literal: it takes our APPEND lines
	unasked   unasked

	open    openFolder
	rest    *mailbox.UIDSet // all that is shown of the open folder; nil: everything
	foresee foresight
}

var _ mailbox.Session = (*session)(nil)

// session hands the connection to go-imap, as one that is logged in already.
func (b *opening) session() *session {
	s := &session{account: b.account, names: b.names, labels: b.labels, conn: b.conn, words: b.words, caps: b.words.caps(), greeting: b.greeting}
	s.account.Root = strings.Trim(s.account.Root, "/")
	s.naming = quirks(b.greeting)
	s.naming.Forbidden += b.account.Forbidden
	s.naming.FoldsCase, s.naming.TrimsNames = b.account.FoldsCase, b.account.TrimsNames
	b.conn.greeting = []byte("* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
	s.unasked.session = s
	s.pipe = newPipe(s)
	s.client = imapclient.New(outward{b.conn}, &imapclient.Options{
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Fetch: s.unasked.take},
	})
	_ = s.client.WaitGreeting() // our own: it cannot fail
	if s.caps.Namespace {
		s.namespace = s.client.Namespace()
	} else {
		s.root = s.client.List("", "", nil)
	}
	return s
}

// quirks is what is known of a server's folder names from its greeting. Measured
// with Cyrus 3.6.1 and Courier 5.0.13.
func quirks(greeting string) mailbox.Naming {
	switch {
	case strings.Contains(greeting, "Cyrus IMAP"):
		return mailbox.Naming{Forbidden: "!\"%/;<>\\`{|}"}
	case strings.Contains(greeting, "Courier-IMAP"):
		return mailbox.Naming{Forbidden: "/"}
	}
	return mailbox.Naming{}
}

// usualPrefix is where a server that has no NAMESPACE keeps folders: Courier always
// below INBOX, Cyrus where dots separate, which is its older default.
func usualPrefix(greeting, delimiter string) string {
	if delimiter == "." && (strings.Contains(greeting, "Courier-IMAP") || strings.Contains(greeting, "Cyrus IMAP")) {
		return "INBOX."
	}
	return ""
}

func (s *session) Caps() mailbox.Caps { return s.caps }

func (s *session) Naming() mailbox.Naming {
	s.settle()
	return s.naming
}

// settle reads the answer to what was sent at the start. An error of it is the
// connection's, and the next command tells it.
func (s *session) settle() {
	if s.namespace == nil && s.root == nil {
		return
	}
	s.conn.await(1)
	defer s.conn.await(-1)
	if s.namespace != nil {
		if data, err := s.namespace.Wait(); err == nil {
			s.namespaces(data)
		}
		s.namespace = nil
	}
	if s.root != nil {
		if rows, err := s.root.Collect(); err == nil && len(rows) > 0 {
			s.naming.Delimiter = delimiter(rows[0].Delim)
			s.naming.Prefix = usualPrefix(s.greeting, s.naming.Delimiter)
		}
		s.root = nil
	}
	if s.account.Root != "" {
		if s.naming.Delimiter != "" {
			s.account.Root = strings.ReplaceAll(s.account.Root, "/", s.naming.Delimiter)
		}
		s.naming.Prefix = s.account.Root + s.naming.Delimiter
	}
}

func delimiter(r rune) string {
	if r == 0 {
		return ""
	}
	return string(r)
}

// onWire returns the server's name of a folder: below a root, INBOX is the root, so
// that nothing can ever reach the INBOX of whoever logged in.
func (s *session) onWire(name string) string {
	if s.account.Root != "" && strings.EqualFold(name, "INBOX") {
		s.settle()
		return s.account.Root
	}
	return s.names.sealed(name)
}

// begin is what every command begins with that was not foreseen.
func (s *session) begin(ctx context.Context) (end func()) {
	end = s.tie(ctx)
	s.discard()
	return end
}

// tie ties the connection to ctx while an answer is waited for.
func (s *session) tie(ctx context.Context) (end func()) {
	stop := context.AfterFunc(ctx, func() { s.conn.kill(context.Cause(ctx)) })
	s.conn.await(1)
	return func() {
		s.settle()
		s.conn.await(-1)
		stop()
	}
}

// broken is the error of a connection that has ended.
func (s *session) broken(what string) error {
	bye, err := s.conn.failure()
	if err == nil {
		err = errServerLeft
	}
	return lost(err, bye, s.account.Side, what)
}

func (s *session) Close() error {
	s.conn.hangUp()
	<-s.client.Closed()
	return nil
}

func (s *session) Kill(cause error) { s.conn.kill(cause) }
