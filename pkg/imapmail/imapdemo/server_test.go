package imapdemo_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/imapmail/imapdemo"
	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) *imapdemo.Server {
	t.Helper()
	s, err := imapdemo.Start([]string{"a@example.org"}, "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func opener(s *imapdemo.Server, side migration.Side) mailbox.Opener {
	return imapmail.NewOpener(imapmail.Account{
		Host: "127.0.0.1", Port: s.Port(), Security: migration.Plain, User: "a@example.org", Password: migration.NewSecret("secret"), Side: side,
	}, imapmail.Options{})
}

// TestCopy copies a demo mailbox over real connections, cut off once in the middle.
func TestCopy(t *testing.T) {
	source, target := start(t), start(t)
	if err := source.Fill("a@example.org", "secret", 150); err != nil {
		t.Fatal(err)
	}
	target.CutOnce(100_000)
	from, to := opener(source, migration.Source), opener(target, migration.Target)
	out, err := mailsync.Run(t.Context(), mailsync.Job{Source: from, Target: to, Records: mailsync.NewMemoryRecords()})
	if err != nil {
		t.Fatal(err)
	}
	if c := out.Tally; c.Seen != 150 || c.Copied+c.Adopted != 150 || !target.Cut() {
		t.Errorf("tally %+v, cut %v", c, target.Cut())
	}
	receipt, err := mailsync.Verify(t.Context(), mailsync.VerifyJob{Source: from, Target: to})
	if err != nil {
		t.Fatal(err)
	}
	if !receipt.Same() || receipt.Extra != 0 || receipt.WrongFlags != 0 || receipt.Messages != 150 {
		receipt.Differences = receipt.Differences[:min(5, len(receipt.Differences))]
		t.Errorf("receipt %+v", receipt)
	}
}
