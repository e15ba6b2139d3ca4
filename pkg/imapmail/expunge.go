package imapmail

import (
	"context"

	"github.com/emersion/go-imap/v2"

	"github.com/mailhaul/mailhaul/pkg/failpoint"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Expunge marks the messages and has exactly these removed (UID EXPUNGE, RFC 4315
// section 2.1). EXPUNGE and CLOSE are never sent: they would remove what the mailbox's
// user has marked as well.
func (s *session) Expunge(ctx context.Context, set mailbox.UIDSet) error {
	if !s.caps.UIDPlus {
		return migration.NewFault(migration.TargetNotPrepared, migration.ScopeUser, s.account.Side, "the server cannot delete single messages (UIDPLUS)", nil)
	}
	defer s.begin(ctx)()
	if err := s.goBack(); err != nil {
		return err
	}
	s.conn.in.quiet.Store(true)
	defer s.conn.in.quiet.Store(false)
	mark := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}
	for _, part := range wireSets(s.visible(set)) {
		if err := s.client.Store(part, mark, nil).Close(); err != nil && !expunged(err) {
			return s.answered(err, opStore, "mark messages as deleted")
		}
		s.conn.answered()
		failpoint.Reach(failpoint.CopiesMarked)
		if err := s.client.UIDExpunge(part).Close(); err != nil && !expunged(err) {
			return s.answered(err, opExpunge, "delete messages")
		}
		s.conn.answered()
	}
	return nil
}
