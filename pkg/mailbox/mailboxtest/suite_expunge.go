package mailboxtest

import (
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

var expungeTests = []test{
	{"what is named is deleted and nothing else, or nothing at all", deletesNamed},
}

// deletesNamed deletes some messages beside others that are marked as deleted already; of
// those named one is gone, and one was marked.
func deletesNamed(t *testing.T, open mailbox.Opener) {
	s, uids := filled(t, open, 6)
	marked := mailbox.NewUIDSet(uids[1], uids[4])
	if err := s.Store(testContext(t), []mailbox.FlagChange{{Set: marked, Add: mailbox.Flags{mailbox.Deleted}}}); err != nil {
		t.Fatalf("mark: %v", err)
	}
	set := mailbox.NewUIDSet(uids[0], uids[4], uids[5])
	if err := s.Expunge(testContext(t), set); !s.Caps().UIDPlus {
		isFault(t, err, migration.TargetNotPrepared, migration.ScopeUser)
		selected(t, s, "INBOX", true)
		if left := flags(t, s, all(), 0); len(left) != 6 || left[uids[0]].Has(mailbox.Deleted) {
			t.Errorf("after a refusal there is %v", left)
		}
		return
	} else if err != nil {
		t.Fatalf("expunge: %v", err)
	}
	for range 2 {
		left := flags(t, s, all(), 0)
		if len(left) != 3 || !left[uids[1]].Has(mailbox.Deleted) || !has(left, uids[2]) || !has(left, uids[3]) {
			t.Errorf("left are %v of %v", left, uids)
		}
		if err := s.Expunge(testContext(t), set); err != nil { // they are gone
			t.Fatalf("expunge once more: %v", err)
		}
	}
	selected(t, s, "INBOX", true)
	if left := flags(t, s, all(), 0); len(left) != 3 {
		t.Errorf("when it is opened again, %v are left", left)
	}
}

func has(left map[mailbox.UID]mailbox.Flags, uid mailbox.UID) bool {
	_, ok := left[uid]
	return ok
}
